"""The "CAP Sleep Database": polysomnographic recordings of whole nights, with sleep stages.

- Known from its documentation: 108 recordings, `n1.edf` to `sdb4.edf`, of healthy subjects (n) and of patients (brux, ins,
  narco, nfle, plm, rbd, sdb), and the scoring of each as text (`n1.txt`), which names the stage of every 30 s by the rules of
  Rechtschaffen and Kales: S0 (wake), S1 to S4, REM, MT (body movement). Channels and rates differ between recordings.
- Known from the AMSL paper: that it uses this data set, which its abstract calls a "sleep stage detection dataset". Its
  published code does not, and the windows, channels and classes of the paper are not known to this project.
- Chosen by this project: sleep (S1 to S4, REM) is normal, wake and body movement are abnormal; each scored period of 30 s is a
  window. The channels are seven that many recordings share, resampled to 100 Hz; recordings that lack one are left out.

Reference:
    M. G. Terzano et al., "Atlas, rules, and recording techniques for the scoring of cyclic alternating pattern (CAP) in human
    sleep", Sleep Medicine, 2001, and PhysioNet, capslpdb 1.0.0.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amsl_tf.data.conversion import parse_number
from amsl_tf.data.files import check_regular, natural_key
from amsl_tf.data.recordings import Recording
from amsl_tf.datasets.activities import ActivityDataset, resample
from amsl_tf.errors import AMSLError, DataError

RATE = 100  # Hz
EPOCH = 30  # s
CHANNELS = ("ROC-LOC", "F4-C4", "C4-P4", "P4-O2", "C4-A1", "EMG1-EMG2", "ECG1-ECG2")
STAGES = {"S0": "wake", "S1": "stage 1", "S2": "stage 2", "S3": "stage 3", "S4": "stage 4", "REM": "REM", "MT": "movement"}
DAY = 24 * 3600  # s
FIELDS = ("Time", "Event", "Duration")  # the starts of the names of the columns
STAGE = "SLEEP-"  # the start of events that are stages; others are phases of the cyclic alternating pattern
ADVICE = "Download it again, or remove it and its other file from the folder."

log = logging.getLogger(__name__)


class Epoch(NamedTuple):
    """A scored period: its stage, such as "S2", and its start and end in seconds since the start of the recording."""

    stage: str
    start: float
    end: float


class CAP(ActivityDataset):
    """CAP, with sleep as normal, and wake and body movement as abnormal stages. It needs pyedflib.

    Units are those of the files, microvolts or millivolts.

    Args:
        folder: The folder with the .edf and .txt files.
    """

    window_shape = (EPOCH * RATE, len(CHANNELS))
    sampling_rate = RATE
    channel_names = CHANNELS
    titles = STAGES
    abnormal = ("S0", "MT")

    def files(self) -> dict[str, Path]:
        """Finds the .edf files; see `ActivityDataset.files`."""
        files = {file.stem: file for file in sorted(self.folder.glob("*.edf"), key=lambda file: natural_key(file.stem))}
        if not files:
            fault = "expected files like n1.edf and n1.txt of the CAP Sleep Database in it, found none"
            raise DataError(f"{self.folder}: {fault}. Name the folder that holds them with --source.")
        return files

    def read_activities(self, subject: str) -> np.ndarray:
        """Reads the stages; "" where none is scored. See `ActivityDataset.read_activities`."""
        file = self.files()[subject]
        with open_edf(file) as edf:
            missing = [name for name in CHANNELS if _plain(name) not in map(_plain, edf.getSignalLabels())]
            start, seconds = edf.getStartdatetime(), edf.getFileDuration()
        if missing:
            log.warning(f"{file}: left out, since it has no channel {', '.join(missing)}.")
            return np.empty(0, "<U3")
        stages = np.full(int(seconds * RATE), "", "<U3")
        epochs = read_scoring(file.with_suffix(".txt"), 3600 * start.hour + 60 * start.minute + start.second)
        outside = [epoch for epoch in epochs if epoch.start < 0 or epoch.end > seconds]
        if outside:
            log.warning(f"{file}: {len(outside)} of {len(epochs)} scored periods are left out, since they are not within it.")
        for stage, begin, end in epochs:
            if begin >= 0 and end <= seconds and stage in STAGES:
                stages[round(begin * RATE) : round(end * RATE)] = stage
        return stages

    def read_signals(self, subject: str) -> np.ndarray:
        """Reads the seven channels, resampled; see `ActivityDataset.read_signals`."""
        file = self.files()[subject]
        with open_edf(file) as edf:
            labels = [_plain(label) for label in edf.getSignalLabels()]
            x = np.empty((int(edf.getFileDuration() * RATE), len(CHANNELS)), np.float32)
            for column, name in enumerate(CHANNELS):
                position = labels.index(_plain(name))
                signal = resample(edf.readSignal(position), edf.getSampleFrequency(position), RATE)
                x[:, column] = signal[: len(x)]
        return Recording(x, str(file)).x


def read_scoring(file: Path, start: int) -> list[Epoch]:
    """Reads the sleep stages of a scoring that RemLogic exported as text.

    Args:
        file: The text file: a header, a line with the names of the columns, and tab-separated rows.
        start: The start of the recording, in seconds since midnight.

    Returns:
        The scored periods, in order of time. Those that begin up to 12 hours before the recording have a negative start.

    Raises:
        DataError: The file is missing, has no stages, or a row is malformed or begins before the end of the row before.
    """
    check_regular(file, ADVICE)
    lines = [[cell.strip() for cell in line.split("\t")] for line in file.read_text("utf-8", errors="replace").splitlines()]
    header = next((number for number, names in enumerate(lines) if len(_find_columns(names)) == len(FIELDS)), None)
    if header is None:
        raise DataError(f"{file}: expected a line with the columns {', '.join(FIELDS)}, found none. {ADVICE}")
    columns = _find_columns(lines[header])
    epochs: list[Epoch] = []
    previous = float(start)
    for number, cells in enumerate(lines[header + 1 :], start=header + 2):
        time, event, duration = (cells[place] if place < len(cells) else "" for place in columns)
        if not any(cells) or (event and not event.startswith(STAGE)):
            continue
        clock, seconds = re.fullmatch(r"(\d\d?)[:.](\d\d)[:.](\d\d)", time), parse_number(duration)
        if not event or clock is None or seconds is None or not 0 < seconds < DAY:
            expected = "a time like 22:15:42, an event and a duration in seconds"
            raise DataError(f"{file}, line {number}: expected {expected}, found {' '.join(cells)[:40]!r}. {ADVICE}")
        hours, minutes, rest = map(int, clock.groups())
        if hours > 23 or minutes > 59 or rest > 59:
            raise DataError(f"{file}, line {number}: expected a time of day, found {time}. {ADVICE}")
        step = (3600 * hours + 60 * minutes + rest - previous) % DAY  # times begin again at midnight
        if step >= DAY / 2:
            if epochs:
                raise DataError(f"{file}, line {number}: {time} is earlier than the stage before. {ADVICE}")
            step -= DAY  # scored before the recording began
        previous += step
        if epochs and previous - start < epochs[-1].end - 1:  # times are whole seconds
            raise DataError(f"{file}, line {number}: {time} lies within the period of the stage before. {ADVICE}")
        epochs.append(Epoch(event.removeprefix(STAGE), previous - start, previous - start + seconds))
    if not epochs:
        raise DataError(f"{file}: expected events like {STAGE}S2, found no sleep stage. {ADVICE}")
    return epochs


def _find_columns(names: list[str]) -> list[int]:
    """Returns the positions of `FIELDS` among the names of columns; others if they are not names."""
    return [place for field in FIELDS for place, name in enumerate(names) if name.startswith(field)]


@contextmanager
def open_edf(file: Path) -> Iterator[Any]:
    """Opens an EDF file.

    Args:
        file: The file.

    Yields:
        A `pyedflib.EdfReader`.

    Raises:
        AMSLError: pyedflib is not installed.
        DataError: The file is missing, or is not a complete EDF file.
    """
    try:
        from pyedflib import EdfReader
    except ImportError as error:
        raise AMSLError(f"EDF needs pyedflib ({error}). Run pip install 'amsl_tf[edf]'.") from error
    check_regular(file, ADVICE)
    try:
        with EdfReader(str(file)) as edf:
            yield edf
    except OSError as error:
        reason = " ".join(str(error).removeprefix(f"{file}: ").split())
        raise DataError(f"{file}: expected a complete EDF file ({reason}). {ADVICE}") from error


def _plain(label: str) -> str:
    """Returns a channel's label without what differs between recordings: case, spaces and hyphens."""
    return re.sub(r"[\s-]", "", label.upper())
