"""The data set "Wearable Stress and Affect Detection" (WESAD): signals of a chest strap and of a wristband.

- Known from its documentation: a pickle for each of 15 subjects, `S2/S2.pkl` to `S17/S17.pkl`, with the signals of both devices
  and a label at 700 Hz: 0 transient, 1 baseline, 2 stress, 3 amusement, 4 meditation, 5 to 7 not to be used. Its authors tell
  stress from baseline and amusement.
- Known from the AMSL paper: that it uses this data set. Its published code does not, and the windows and classes of the paper
  are not known to this project.
- Chosen by this project: stress is abnormal; baseline and amusement are normal, as with the authors of the data set; meditation
  is left out. The channels are the eight of the chest strap, resampled to 100 Hz; windows of 10 s do not overlap.

The pickle holds the wristband's signals too, at other rates. `read_e4` reads the files of the wristband itself, which have no
labels, as recordings for a detector of your own.

Reference:
    P. Schmidt, A. Reiss, R. Duerichen, C. Marberger and K. Van Laerhoven, "Introducing WESAD, a Multimodal Dataset for Wearable
    Stress and Affect Detection", ICMI, 2018, doi 10.1145/3242969.3242985.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from amsl_tf.data.files import natural_key
from amsl_tf.data.number_tables import read_numbers
from amsl_tf.data.pickles import read_pickle
from amsl_tf.data.recordings import Recording
from amsl_tf.datasets.activities import ActivityDataset, resample
from amsl_tf.errors import DataError

FILE_RATE = 700  # Hz
RATE = 100  # Hz
CHEST = {"ACC": 3, "ECG": 1, "EMG": 1, "EDA": 1, "Temp": 1, "Resp": 1}  # signals of the chest strap, and their columns
E4 = {"ACC": 3, "BVP": 1, "EDA": 1, "TEMP": 1}  # files of the wristband, and their columns
E4_CHANNELS = ("ACC x", "ACC y", "ACC z", "BVP", "EDA", "TEMP")
E4_CLOCK = "BVP"  # the file with the highest rate, 64 Hz
LABELS = range(8)
CONDITIONS = {"1": "baseline", "2": "stress", "3": "amusement"}
ADVICE = "Unpack the data set again."


class WESAD(ActivityDataset):
    """WESAD, the signals of the chest strap: stress is abnormal, baseline and amusement are normal.

    Units are g (acceleration), mV (ECG, EMG), microsiemens (EDA), degrees Celsius (Temp) and percent (Resp).

    Args:
        folder: The folder with S2, S3 and so on.
    """

    window_shape = (1000, sum(CHEST.values()))
    sampling_rate = RATE
    channel_names = ("ACC x", "ACC y", "ACC z", *(name for name in CHEST if name != "ACC"))
    titles = CONDITIONS
    abnormal = ("2",)
    test_subjects = ("S14", "S15", "S16", "S17")

    def files(self) -> dict[str, Path]:
        """Finds the pickle of each folder `S<number>`; see `ActivityDataset.files`."""
        folders = [item for item in self.folder.glob("S*") if re.fullmatch(r"S\d+", item.name) and item.is_dir()]
        if not folders:
            fault = "expected folders like S2 of WESAD in it, found none"
            raise DataError(f"{self.folder}: {fault}. Name the folder that holds them with --source.")
        ordered = sorted(folders, key=lambda folder: natural_key(folder.name))
        return {folder.name: folder / f"{folder.name}.pkl" for folder in ordered}

    def read_activities(self, subject: str) -> np.ndarray:
        """Reads the labels; "" for those that are not used. See `ActivityDataset.read_activities`."""
        labels = self._read(subject)["label"][:: FILE_RATE // RATE].astype(int).astype("<U1")
        return np.where(np.isin(labels, list(CONDITIONS)), labels, "")

    def read_signals(self, subject: str) -> np.ndarray:
        """Reads the channels of the chest strap; see `ActivityDataset.read_signals`."""
        chest = self._read(subject)["signal"]["chest"]
        channels = [resample(np.asarray(chest[name], np.float64), FILE_RATE, RATE) for name in CHEST]
        return Recording(np.concatenate(channels, axis=1), str(self.files()[subject])).x

    def _read(self, subject: str) -> dict[str, Any]:
        """Reads a pickle, and checks that it holds labels and the signals of the chest strap."""
        file = self.files()[subject]
        content = read_pickle(file, ADVICE)
        labels = _entry(file, content, "label")
        is_row = isinstance(labels, np.ndarray) and labels.ndim == 1 and len(labels) and labels.dtype.kind in "fiu"
        if not is_row or not np.isin(labels, LABELS).all():
            raise DataError(f"{file}: expected as label an array (rows,) of numbers from 0 to {LABELS[-1]}. {ADVICE}")
        for name, columns in CHEST.items():
            values = _entry(file, content, "signal", "chest", name)
            shape, found = (len(labels), columns), getattr(values, "shape", type(values).__name__)
            if found != shape:
                fault = f"expected chest {name} of shape {shape}, a row for each label, found {found}"
                raise DataError(f"{file}: {fault}. {ADVICE}")
            if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
                raise DataError(f"{file}: expected finite numbers in chest {name}, found others. {ADVICE}")
        return content


def _entry(file: Path, content: Any, *keys: str) -> Any:
    """Returns the entry of nested dicts; raises DataError if there is none."""
    for key in keys:
        if not isinstance(content, dict) or key not in content:
            raise DataError(f"{file}: expected a dict with the entry {' > '.join(keys)}, found none. {ADVICE}")
        content = content[key]
    return content


def read_e4(folder: Path) -> Recording:
    """Reads the files of an Empatica E4 wristband, `ACC.csv`, `BVP.csv`, `EDA.csv` and `TEMP.csv`.

    The first line of a file is the start, the second the rate; the values follow.

    Args:
        folder: The folder of the files, such as `S2/S2_E4_Data`.

    Returns:
        The channels `E4_CHANNELS`, interpolated linearly to the times of BVP (64 Hz), with times in seconds since 1970. Units
        are 1/64 g, those of the device (BVP), microsiemens and degrees Celsius.

    Raises:
        DataError: A file is missing or malformed, or the files have no time in common.

    Example:
        >>> recording = read_e4(Path("data/WESAD/S2/S2_E4_Data"))
        >>> recording.x.shape, recording.time[0]
    """
    times, values = {}, {}
    for name, columns in E4.items():
        file = folder / f"{name}.csv"
        table = read_numbers(file, columns, ",", ADVICE).to_numpy()
        if len(table) < 3 or table[1, 0] <= 0 or (table[:2] != table[:2, :1]).any():
            raise DataError(f"{file}: expected a line with the start, one with a positive rate, and values. {ADVICE}")
        times[name] = table[0, 0] + np.arange(len(table) - 2) / table[1, 0]
        values[name] = table[2:]
    clock = times[E4_CLOCK]
    is_common = (clock >= max(time[0] for time in times.values())) & (clock <= min(time[-1] for time in times.values()))
    if not is_common.any():
        raise DataError(f"{folder}: expected files of one time, found no time that all of {', '.join(E4)} share. {ADVICE}")
    clock = clock[is_common]
    channels = [np.interp(clock, times[name], column) for name in E4 for column in values[name].T]
    return Recording(np.stack(channels, axis=1), str(folder), time=clock)
