"""Small synthetic data sets in the formats of PAMAP2, WESAD and CAP; abnormal activities are faster and stronger."""

import pickle
from datetime import datetime, timedelta

import numpy as np

from amsl_tf.datasets.cap import CHANNELS as CAP_CHANNELS
from amsl_tf.datasets.cap import EPOCH
from amsl_tf.datasets.pamap2 import COLUMNS
from amsl_tf.datasets.wesad import CHEST, FILE_RATE

HEADER = "RemLogic Event Export\n\nPatient:\tsynthetic\n\n"
SCORING = f"{HEADER}Sleep Stage\tPosition\tTime [hh:mm:ss]\tEvent\tDuration[s]\tLocation\n"


def make_signals(is_abnormal, rate, channels, generator):
    """Makes waves (rows, channels) with noise, of 0.6 Hz, or of 2.5 Hz and thrice as strong where `is_abnormal` (rows,)."""
    phase = 2 * np.pi * np.cumsum(np.where(is_abnormal, 2.5, 0.6)) / rate
    strength = np.where(is_abnormal, 3.0, 1.0)[:, None]
    waves = strength * np.sin(phase[:, None] + np.arange(channels))
    return waves + generator.normal(0, 0.05, waves.shape)


def pamap2_table(activities, seed=0):
    """Makes the table (rows, 54) of a file from its activities (rows,); the heart rate is NaN but for every 11th row."""
    activities = np.asarray(activities)
    table = np.empty((len(activities), COLUMNS))
    table[:, 0] = 5 + np.arange(len(table)) / 100
    table[:, 1] = activities
    table[:, 2] = np.where(np.arange(len(table)) % 11, np.nan, 80)
    table[:, 3:] = make_signals(np.isin(activities, (5, 12, 13, 24)), 100, COLUMNS - 3, np.random.default_rng(seed))
    return table


def write_pamap2(file, table):
    """Writes a table as a .dat file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = (" ".join("NaN" if np.isnan(x) else f"{x:.7g}" for x in row) for row in table)
    file.write_text("".join(f"{row}\n" for row in rows))


def wesad_content(labels, seed=0):
    """Makes the content of a pickle from the labels (rows,) at 700 Hz."""
    labels = np.asarray(labels, np.int32)
    x = make_signals(labels == 2, FILE_RATE, 8, np.random.default_rng(seed))
    columns = np.cumsum(list(CHEST.values()))[:-1]
    chest = dict(zip(CHEST, np.split(x, columns, axis=1), strict=True))
    wrist = {"ACC": np.zeros((4, 3)), "BVP": np.zeros((8, 1)), "EDA": np.zeros((1, 1)), "TEMP": np.zeros((1, 1))}
    return {"signal": {"chest": chest, "wrist": wrist}, "label": labels, "subject": "S2"}


def write_wesad(file, content):
    """Writes the pickle of a subject with the protocol of Python 2."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps(content, 2))


def write_e4(folder, start=1_495_437_325.0, seconds=10):
    """Writes the four files of a wristband; BVP is 0, 1, 2, ..., and the others are their time since `start`, in seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rate, columns in (("ACC", 32, 3), ("BVP", 64, 1), ("EDA", 4, 1), ("TEMP", 4, 1)):
        values = np.arange(seconds * rate) / (1 if name == "BVP" else rate)
        lines = [f"{start:.6f}", f"{rate:.6f}", *(f"{value:g}" for value in values)]
        (folder / f"{name}.csv").write_text("".join(", ".join([line] * columns) + "\n" for line in lines))


def write_scoring(file, stages, first, event="SLEEP-{}"):
    """Writes the scoring of consecutive periods of 30 s, the first of which begins at a `datetime`."""
    times = [(first + timedelta(seconds=EPOCH * number)).strftime("%H:%M:%S") for number in range(len(stages))]
    rows = (f"{stage}\tN/A\t{time}\t{event.format(stage)}\t{EPOCH}\tEOG-L\n" for stage, time in zip(stages, times, strict=True))
    file.write_text(SCORING + "".join(rows))


def write_cap(folder, name, stages, start=datetime(2020, 1, 1, 23, 59), delay=0, rate=100, channels=CAP_CHANNELS, seed=0):
    """Writes the recording of a night and its scoring, which begins `delay` seconds after the recording."""
    from pyedflib import EdfWriter

    folder.mkdir(parents=True, exist_ok=True)
    is_abnormal = np.repeat(np.isin(stages, ("S0", "MT")), EPOCH * rate)
    is_abnormal = np.concatenate([np.zeros(delay * rate, bool), is_abnormal])
    signals = make_signals(is_abnormal, rate, len(channels), np.random.default_rng(seed))
    with EdfWriter(str(folder / f"{name}.edf"), len(channels), file_type=0) as edf:
        edf.setStartdatetime(start)
        settings = {"dimension": "uV", "physical_min": -10, "physical_max": 10, "digital_min": -32768, "digital_max": 32767}
        edf.setSignalHeaders([{**settings, "label": label, "sample_frequency": rate} for label in channels])
        edf.writeSamples(list(np.ascontiguousarray(signals.T)))
    write_scoring(folder / f"{name}.txt", stages, start + timedelta(seconds=delay))
    return signals
