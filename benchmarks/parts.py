"""The windows of a run: read, split, and a detector that was trained on them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.data.dsads import RATE
from amsl_tf.data.splits import Protocol, Split, protocol_split
from amsl_tf.data.store import GENERATED, open_windows, read_sensors
from amsl_tf.data.windows import Windows
from amsl_tf.errors import AMSLError
from amsl_tf.saved import WEIGHTS, read_summary
from benchmarks.experiments import Run, read_experiments

if TYPE_CHECKING:
    from amsl_tf.detector import AMSLDetector

ADVICE = "Run scripts/preprocessing.py first, or name the folder that it wrote with --input."


@dataclass(frozen=True)
class Parts:
    """The windows of a run.

    Attributes:
        normal, abnormal: All of them, memory-mapped.
        split: Positions among these.
        groups: The person of each training window, in the protocol `subject`.
        axes: Consecutive channels of one sensor.
    """

    normal: Windows
    abnormal: Windows
    split: Split
    groups: np.ndarray | None
    axes: int

    @cached_property
    def train(self) -> np.ndarray:
        """Normal windows, float32 (N, T, C)."""
        return self.normal.x[self.split.train]

    @cached_property
    def test(self) -> np.ndarray:
        """Normal windows and, after them, abnormal ones, float32 (M, T, C)."""
        return np.concatenate([self.normal.x[self.split.test_normal], self.abnormal.x[self.split.test_abnormal]])

    @property
    def is_abnormal(self) -> np.ndarray:
        """bool (M,), of the test windows."""
        return np.repeat([False, True], [len(self.split.test_normal), len(self.split.test_abnormal)])

    @property
    def is_whole(self) -> np.ndarray:
        """bool (M,): the test windows but for those that end in a second of zeros in all channels (data/README.md)."""
        return np.any(self.test[:, -RATE:] != 0, axis=(1, 2))


def read_parts(source: Path, one: Run, people: list[list[str]]) -> Parts:
    """Reads what preprocessing wrote to `source` and splits it for a run; `people` are the groups to test on."""
    normal, abnormal = (open_windows(source / f"{kind}.npy", source / f"{kind}.csv", ADVICE) for kind in GENERATED)
    tested, subjects = (people[one.number], normal.subject) if one.protocol == "subject" else ([], None)
    split = protocol_split(normal, abnormal, one.protocol, test_subjects=tested, seed=one.seed)
    groups = None if subjects is None else subjects[split.train]
    return Parts(normal, abnormal, split, groups, read_sensors(source, ADVICE)["axes"])


def labels(windows: Windows, name: str) -> np.ndarray:
    """What is known of windows, by the name of the attribute. Raises AMSLError where it is not."""
    values = windows.index().get(name)
    if values is None:
        raise AMSLError(f"normal.csv and abnormal.csv need a column {name}; one lacks it. {ADVICE}")
    return values


def unfinished(results: Path, protocol: Protocol, names: Iterable[str]) -> dict[str, Path]:
    """The JSON files of a study's parts that have not been run, by the names of the parts."""
    files = {name: results / f"{protocol}.{name}.json" for name in names}
    return {name: file for name, file in files.items() if not file.exists()}


def holds(folder: Path, config: DetectorConfig, windows: np.ndarray) -> bool:
    """Whether a folder holds a detector with a network that was trained so: it need not be trained again.

    After a change to the network or its training the folder has to be removed.
    """
    from amsl_tf.fingerprint import hash_windows

    try:
        saved = read_summary(folder)
    except AMSLError:  # there is none, or it is of an older format
        return False
    wanted = (config.model, config.training, hash_windows(windows))
    return (saved.config.model, saved.config.training, saved.data["sha256"]) == wanted


def trained_detector(source: Path, work: Path, protocol: Protocol) -> tuple["AMSLDetector", Parts]:
    """A detector with the network of the first run of `amsl`, which the accuracy benchmark keeps, and the windows of that run.

    Raises:
        AMSLError: It is not kept, or was trained otherwise.
    """
    from amsl_tf.detector import AMSLDetector

    (amsl,), people = read_experiments(["amsl"])
    one = Run(amsl, protocol, 0)
    parts = read_parts(source, one, people)
    detector, folder, train = AMSLDetector(**amsl.settings, seed=one.seed, axes=parts.axes), one.detector(work), parts.train
    if not holds(folder, detector.config, train):
        raise AMSLError(
            f"{folder}: expected the detector of the experiment amsl, found none that was trained on these windows. Run "
            f"scripts/benchmark.py accuracy --only amsl --protocols {protocol} first, with the same --input and --work."
        )
    return detector.fit(train, groups=parts.groups, weights=folder / WEIGHTS), parts
