"""The Server Machine Dataset (SMD): metrics of 28 servers of an internet company, every minute.

A series is three files of comma-separated numbers without a header, `train/machine-1-1.txt`, `test/machine-1-1.txt` and
`test_label/machine-1-1.txt`; or the same arrays as pickles, `machine-1-1_train.pkl`, `machine-1-1_test.pkl` and
`machine-1-1_test_label.pkl`.

Reference:
    Y. Su et al., "Robust anomaly detection for multivariate time series through stochastic recurrent neural network", KDD 2019,
    doi 10.1145/3292500.3330672.
"""

from pathlib import Path

import numpy as np

from amsl_tf.data.number_tables import read_numbers
from amsl_tf.datasets.pickled import PickledDataset


class SMD(PickledDataset):
    """SMD. A series is a machine. The release does not name the metrics; `interpretation_label` is not read.

    Args:
        folder: The folder with train, test and test_label, or the folder with the pickles.
    """

    window_shape = (64, 38)
    sampling_rate = 1 / 60
    prefix = "machine-"

    def names(self) -> tuple[str, ...]:
        """Returns the names of the machines whose test recordings exist, such as `machine-1-1`."""
        patterns = ("test/machine-*.txt",) if self._is_text else ("machine-*_test.pkl",)
        files = self.find_files(*patterns, example="test/machine-1-1.txt or machine-1-1_test.pkl")
        return tuple(file.stem.removesuffix("_test") for file in files)

    @property
    def _is_text(self) -> bool:
        return (self.folder / "test").is_dir()

    def _file(self, name: str, part: str) -> Path:
        return self.folder / part / f"{name}.txt" if self._is_text else super()._file(name, part)

    def _read_array(self, file: Path) -> np.ndarray:
        if not self._is_text:
            return super()._read_array(file)
        if file.parent.name == "test_label":
            return read_numbers(file, 1, ",", self.advice)[0].to_numpy()
        return read_numbers(file, self.window_shape[1], ",", self.advice).to_numpy()
