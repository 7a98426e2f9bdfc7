"""The data set "Daily and Sports Activities" (DSADS).

A file is a window: 5 s at 25 Hz, 125 rows of 45 comma-separated numbers, `a<activity>/p<subject>/s<segment>.txt`.

Reference:
    B. Barshan and K. Altun, UCI Machine Learning Repository, 2010, doi 10.24432/C5C59F.
"""

import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from amsl_tf.datasets.base import Dataset
from amsl_tf.errors import DataError

STEPS, CHANNELS = 125, 45
RATE = 25  # Hz
AXES = 3  # consecutive channels that are the axes of one sensor
UNITS = ("torso", "right arm", "left arm", "right leg", "left leg")
CHANNEL_NAMES = tuple(
    f"{unit} {sensor} {axis}" for unit in UNITS for sensor in ("accelerometer", "gyroscope", "magnetometer") for axis in "xyz"
)
ADVICE = "Unpack the data set again."
ACTIVITIES = {
    "a01": "sitting",
    "a02": "standing",
    "a03": "lying on back",
    "a04": "lying on right side",
    "a05": "ascending stairs",
    "a06": "descending stairs",
    "a07": "standing in an elevator",
    "a08": "moving around in an elevator",
    "a09": "walking in a parking lot",
    "a10": "walking on a flat treadmill",
    "a11": "walking on an inclined treadmill",
    "a12": "running on a treadmill",
    "a13": "exercising on a stepper",
    "a14": "exercising on a cross trainer",
    "a15": "cycling, horizontal position",
    "a16": "cycling, vertical position",
    "a17": "rowing",
    "a18": "jumping",
    "a19": "playing basketball",
}
ABNORMAL = ("a05", "a06", "a12", "a18", "a19")
_AHEAD = 8  # recordings parsed in advance, which keeps the threads busy and the memory small
NORMAL = tuple(activity for activity in ACTIVITIES if activity not in ABNORMAL)


class DSADS(Dataset):
    """DSADS, with the abnormal activities of the AMSL paper: climbing stairs, running, jumping and playing basketball.

    Units are m/s2 (accelerometers), rad/s (gyroscopes) and the strength of the earth's magnetic field (magnetometers).

    Args:
        folder: The folder with a01 to a19.
    """

    window_shape = (STEPS, CHANNELS)
    sampling_rate = RATE
    axes = AXES
    channel_names = CHANNEL_NAMES
    titles = ACTIVITIES
    test_subjects = ("p6", "p7", "p8")
    folder_name = "DASADS"  # in the original code

    @cached_property
    def _recordings(self) -> list["Recording"]:
        return find_recordings(self.folder)

    def index(self) -> dict[str, np.ndarray]:
        """Reads the activity, subject, segment, source and label of all windows; see `Dataset.index`."""
        rows = [(item, segment) for item in self._recordings for segment in item.segments]
        return {
            "activity": np.array([item.activity for item, _ in rows]),
            "subject": np.array([item.subject for item, _ in rows]),
            "segment": np.array([segment for _, segment in rows]),
            "source": np.array([f"{item.activity}/{item.subject}/{segment}.txt" for item, segment in rows]),
            "label": np.array([int(item.activity in ABNORMAL) for item, _ in rows]),
        }

    def read(self) -> Iterator[np.ndarray]:
        """Reads the windows of each recording in turn; see `Dataset.read`."""
        return read_recordings(self._recordings)


@dataclass(frozen=True)
class Recording:
    """The files of one subject and one activity.

    Attributes:
        folder: The folder of the files, `a<activity>/p<subject>`.
        segments: The names of the files without `.txt`, in order.
    """

    folder: Path
    segments: tuple[str, ...]

    @property
    def activity(self) -> str:
        """The name of the activity, such as `a05`."""
        return self.folder.parent.name

    @property
    def subject(self) -> str:
        """The name of the subject, such as `p1`."""
        return self.folder.name

    @property
    def files(self) -> list[Path]:
        """The files of the segments, in order."""
        return [self.folder / f"{segment}.txt" for segment in self.segments]


def find_recordings(root: Path) -> list[Recording]:
    """Finds all recordings below a folder, by activity and subject.

    Every activity must have the same subjects, and every subject the same segments.

    Args:
        root: The folder with a01 to a19.

    Returns:
        The recordings, ordered by activity, then by subject.

    Raises:
        DataError: The folder does not hold the data set, or a folder or file is missing.
    """
    if not root.is_dir():
        raise DataError(
            f"{root}: expected a folder with the folders a01 to a19 of DSADS, found none. Name it with --source; the data set "
            "has the doi 10.24432/C5C59F."
        )
    if not _named(root, r"a\d\d"):
        raise DataError(f"{root}: expected the folders a01 to a19 of DSADS in it, found none. Name the folder that holds them.")
    folders = {activity: _named(root / activity, r"p\d+") for activity in ACTIVITIES}
    for activity, found in folders.items():
        if not found:
            raise DataError(f"{root / activity}: expected a folder for each subject (p1, p2, ...), found none. {ADVICE}")
    subjects = sorted({name for names in folders.values() for name in names}, key=_number)
    held = {
        (activity, subject): _named(root / activity / subject, r"s\d+\.txt") for activity in ACTIVITIES for subject in subjects
    }
    files = sorted({name for names in held.values() for name in names}, key=_number)
    if not files:
        raise DataError(f"{root}: expected files like a01/p1/s01.txt, found none. {ADVICE}")
    for (activity, subject), names in held.items():
        for name in files:
            if name not in names:
                raise DataError(f"{root / activity / subject / name}: missing, though other recordings have {name}. {ADVICE}")
    segments = tuple(name.removesuffix(".txt") for name in files)
    return [Recording(root / activity / subject, segments) for activity in ACTIVITIES for subject in subjects]


def read_recordings(recordings: Iterable[Recording]) -> Iterator[np.ndarray]:
    """Reads the windows of recordings, parsed in threads.

    Args:
        recordings: The recordings.

    Yields:
        The windows of each recording in turn, float32 (segments, 125, 45).

    Raises:
        DataError: A file has another number of rows or columns, or a value that is not a finite number.
    """
    with ThreadPoolExecutor() as pool:
        ahead: deque[Future[np.ndarray]] = deque()
        try:
            for recording in recordings:
                ahead.append(pool.submit(_read_recording, recording))
                if len(ahead) > _AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


@np.errstate(over="ignore")  # overflow in float32 is detected as infinity
def _read_recording(recording: Recording) -> np.ndarray:
    texts = [file.read_bytes() for file in recording.files]
    if all(text.count(b"\n") + (not text.endswith(b"\n")) == STEPS for text in texts):
        joined = b"\n".join(text.removesuffix(b"\n") for text in texts)
        try:
            values = pd.read_csv(io.BytesIO(joined), header=None, dtype=np.float32).to_numpy()
        except (ValueError, UnicodeDecodeError):  # pandas' ParserError is a ValueError
            values = np.empty((0, 0))
        if values.shape == (len(texts) * STEPS, CHANNELS) and np.isfinite(values).all():
            return values.reshape(len(texts), STEPS, CHANNELS)
    return np.stack([_read_carefully(file, text) for file, text in zip(recording.files, texts, strict=True)])


def _read_carefully(file: Path, text: bytes) -> np.ndarray:
    """Reads one file line by line, slowly, to report an error with its position."""
    lines = text.decode(errors="replace").splitlines()
    if not text.strip():
        raise DataError(f"{file}: expected {STEPS} rows of {CHANNELS} numbers, found an empty file. {ADVICE}")
    rows = np.empty((len(lines), CHANNELS), np.float32)
    for number, line in enumerate(lines, start=1):
        cells = line.split(",")
        if len(cells) != CHANNELS:
            raise DataError(f"{file}, row {number}: expected {CHANNELS} numbers, found {len(cells)}. {ADVICE}")
        for column, cell in enumerate(cells, start=1):
            value = _number_or_nan(cell)
            if not np.isfinite(value):
                raise DataError(
                    f"{file}, row {number}, column {column}: expected a finite number, found {cell.strip()[:40]!r}. {ADVICE}"
                )
            rows[number - 1, column - 1] = value
    if len(lines) != STEPS:
        raise DataError(f"{file}, row {min(len(lines), STEPS) + 1}: expected {STEPS} rows, found {len(lines)}. {ADVICE}")
    return rows


def _number_or_nan(cell: str) -> np.float32:
    try:
        return np.float32(cell)
    except ValueError:
        return np.float32("nan")


def _named(folder: Path, pattern: str) -> set[str]:
    return {item.name for item in folder.iterdir() if re.fullmatch(pattern, item.name)} if folder.is_dir() else set()


def _number(name: str) -> int:
    return int(re.sub(r"\D", "", name))
