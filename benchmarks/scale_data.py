"""Recordings of the scale benchmark: waves with noise, made when they are read."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from amsl_tf.data.rows import Rows

PART = 16_384  # rows in memory at a time
NOISE = 0.2
LENGTH, HEIGHT = 150, 3.0  # of a fault, in rows and in standard deviations of its channels


class Waves:
    """A recording of sines with noise, one channel each, at 100 Hz; see `Source`.

    Args:
        number: The number of the recording, the seed of everything random.
        rows: The number of its rows.
        channels: The number of its channels.
        has_fault: Whether the first three channels are too high for a while.
    """

    time_name = time_zone = window_steps = None

    def __init__(self, number: int, rows: int, channels: int, has_fault: bool = False) -> None:
        self.name = f"recording {number:06d}"
        self.channel_names = tuple(f"channel {channel}" for channel in range(channels))
        self._number, self._rows, self._has_fault = number, rows, has_fault

    def parts(self) -> Iterator[Rows]:
        channels = len(self.channel_names)
        random = np.random.default_rng(self._number)
        speed = (0.05 + 0.004 * np.arange(channels)) * random.uniform(0.95, 1.05, channels)
        phase = random.uniform(0, 2 * np.pi, channels)
        fault = int(random.integers(max(1, self._rows - LENGTH)))
        for start in range(0, self._rows, PART):
            row = np.arange(start, min(start + PART, self._rows))
            x = np.sin(row[:, None] * speed + phase).astype(np.float32)
            x += NOISE * random.standard_normal(x.shape, np.float32)
            if self._has_fault:
                x[(row >= fault) & (row < fault + LENGTH), :3] += HEIGHT
            yield Rows(x, row)


def write_recordings(folder: Path, count: int, rows: int, channels: int) -> None:
    """Writes recordings to Parquet files, with times; every third one has a fault."""
    folder.mkdir(parents=True)
    times = pd.date_range("2026-01-01", periods=rows, freq="10ms")
    for number in range(count):
        waves = Waves(number, rows, channels, has_fault=number % 3 == 0)
        x = np.concatenate([part.x for part in waves.parts()])
        table = pd.DataFrame(x, columns=list(waves.channel_names))
        table.insert(0, "time", times)
        table.to_parquet(folder / f"{number:06d}.parquet", index=False)
