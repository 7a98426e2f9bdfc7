"""The windows of a run, split into parts, and the detector that is trained on them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.data.splits import Protocol, Split, protocol_split
from amsl_tf.data.store import GENERATED, open_windows, read_metadata
from amsl_tf.data.windows import Windows
from amsl_tf.datasets.dsads import RATE
from amsl_tf.errors import AMSLError
from amsl_tf.persistence import WEIGHTS, read_summary
from benchmarks.experiments import Run, read_experiments

if TYPE_CHECKING:
    from amsl_tf.detector import AMSLDetector

DEFAULTS = {"network": "amsl", "preset": "paper", "score": "nearest_normal", "extra_scores": ("reconstruction",)}
ADVICE = "Run `amsl preprocess` first, or pass its output folder with --input."


@dataclass(frozen=True)
class Parts:
    """The windows of a run.

    Attributes:
        normal, abnormal: All normal and all abnormal windows, memory-mapped.
        split: The positions of the parts among these.
        groups: (N,), the subject of each training window in the protocol `subject`, otherwise None.
        axes: The number of consecutive channels that are the axes of one sensor.
    """

    normal: Windows
    abnormal: Windows
    split: Split
    groups: np.ndarray | None
    axes: int

    @cached_property
    def train(self) -> np.ndarray:
        """The normal training windows, float32 (N, T, C)."""
        return self.normal.x[self.split.train]

    @cached_property
    def test(self) -> np.ndarray:
        """The test windows, first the normal and then the abnormal ones, float32 (M, T, C)."""
        return np.concatenate([self.normal.x[self.split.test_normal], self.abnormal.x[self.split.test_abnormal]])

    @property
    def is_abnormal(self) -> np.ndarray:
        """The labels of the test windows, bool (M,)."""
        return np.repeat([False, True], [len(self.split.test_normal), len(self.split.test_abnormal)])

    @property
    def is_zero_padded(self) -> np.ndarray:
        """Whether all channels of a test window are zero in its last second (data/README.md), bool (M,)."""
        return np.all(self.test[:, -RATE:] == 0, axis=(1, 2))


def read_parts(source: Path, run: Run, test_subjects: list[list[str]]) -> Parts:
    """Reads the preprocessed windows and splits them for a run.

    Args:
        source: The output folder of `amsl preprocess`.
        run: The run.
        test_subjects: The groups of test subjects, of which the number of the run selects one.

    Raises:
        AMSLError: Files are missing or broken.
    """
    normal, abnormal = (open_windows(source / f"{kind}.npy", source / f"{kind}.csv", ADVICE) for kind in GENERATED)
    if run.experiment.abnormal:
        normal, abnormal = _partition(normal, abnormal, run.experiment.abnormal)
    tested, subjects = (test_subjects[run.number], normal.subject) if run.protocol == "subject" else ([], None)
    split = protocol_split(normal, abnormal, run.protocol, test_subjects=tested, seed=run.seed)
    groups = None if subjects is None else subjects[split.train]
    return Parts(normal, abnormal, split, groups, read_metadata(source, normal.x.shape[2], ADVICE)["axes"])


def _partition(normal: Windows, abnormal: Windows, activities: Sequence[str]) -> tuple[Windows, Windows]:
    """Returns the windows of all other activities, and those of these activities, which count as abnormal."""
    activity, subject = (
        np.concatenate([require_column(part, name) for part in (normal, abnormal)]) for name in ("activity", "subject")
    )
    windows = Windows(np.concatenate([normal.x, abnormal.x]), activity=activity, subject=subject)
    is_abnormal = np.isin(activity, activities)
    return windows[~is_abnormal], windows[is_abnormal]


def require_column(windows: Windows, name: str) -> np.ndarray:
    """Returns the metadata of windows (N,), such as their activity. Raises AMSLError if the index files lack the column."""
    values = windows.columns().get(name)
    if values is None:
        raise AMSLError(f"normal.csv and abnormal.csv need a column {name}. {ADVICE}")
    return values


def missing_results(results: Path, prefix: str, names: Iterable[str]) -> dict[str, Path]:
    """Returns the JSON files that do not exist yet, by the names of the parts of a study; `prefix` may be the protocol."""
    files = {name: results / f"{prefix}.{name}.json" for name in names}
    return {name: file for name, file in files.items() if not file.exists()}


def has_trained_network(folder: Path, config: DetectorConfig, windows: np.ndarray) -> bool:
    """Returns whether a folder holds a detector whose network was trained with these settings on these windows.

    The folder has to be removed by hand after a change to the code of the network or of its training.
    """
    from amsl_tf.training.fingerprint import hash_windows

    try:
        saved = read_summary(folder)
    except AMSLError:  # there is none, or its format is older
        return False
    expected = (config.network, config.training, hash_windows(windows))
    return (saved.config.network, saved.config.training, saved.data["sha256"]) == expected


def make_config(run: Run, parts: Parts) -> DetectorConfig:
    """Returns the settings of the detector of a run, those of `DEFAULTS` where the experiment has none."""
    settings = {**DEFAULTS, **run.experiment.settings, "seed": run.seed, "axes": parts.axes}
    return DetectorConfig.from_settings(**settings)


def make_detector(run: Run, parts: Parts) -> "AMSLDetector":
    """Creates the detector of a run."""
    from amsl_tf.detector import AMSLDetector

    return AMSLDetector.from_config(make_config(run, parts))


def read_first_run(source: Path, name: str, protocol: Protocol) -> tuple[Run, Parts]:
    """Returns the first run of an experiment and its windows, which are the same for all experiments with the usual partition.

    Raises:
        AMSLError: Files are missing or broken.
    """
    (experiment,), test_subjects = read_experiments([name])
    run = Run(experiment, protocol, 0)
    return run, read_parts(source, run, test_subjects)


def fit_detector(run: Run, parts: Parts, work: Path) -> "AMSLDetector":
    """Fits the detector of a run, with the network that the accuracy benchmark trained if it has one.

    Raises:
        AMSLError: There is no such network, or it was trained on other windows or with other settings.
    """
    detector, folder, train = make_detector(run, parts), run.detector(work), parts.train
    if detector.config.network is None:
        return detector.fit(train, groups=parts.groups)
    if not has_trained_network(folder, detector.config, train):
        name = run.experiment.name
        raise AMSLError(
            f"{folder}: expected the detector of the experiment {name}, trained on the same windows. Run "
            f"scripts/benchmark.py accuracy --only {name} --protocols {run.protocol} with the same --input and --work first."
        )
    return detector.fit(train, groups=parts.groups, weights=folder / WEIGHTS)
