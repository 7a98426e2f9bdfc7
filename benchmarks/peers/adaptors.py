"""Adaptors: they make peers of methods that score time steps, or windows, each independently of the others."""

from collections.abc import Sequence

import numpy as np

from amsl_tf.evaluation.time_steps import to_time_steps
from benchmarks.peers.interface import Fit, ItemScore, Method, Score

TARGET_WINDOWS = 1_000  # in training: neighbouring windows are nearly equal, and more cost time and memory
MAX_ITEMS = 10_000  # training windows, and training time steps of methods whose time grows with their square
OVERLAPS = 8  # windows that cover a scored time step, enough for a smooth score
BATCH = 1_000  # items scored at once, which bounds the memory of their distances


class SlidingWindows:
    """The windows of recordings, cut when they are needed; no window crosses the border of a recording.

    Args:
        recordings: (rows, C).
        steps: T, the rows of a window; a shorter recording has none.
        stride: The rows between the starts of consecutive windows.

    Attributes:
        rows: The first rows of the windows of each recording, int (n,).
        recording: int (N,), the number of the recording of each window.
    """

    def __init__(self, recordings: Sequence[np.ndarray], steps: int, stride: int) -> None:
        self.rows = [np.arange(0, len(recording) - steps + 1, stride) for recording in recordings]
        self.recording = np.repeat(np.arange(len(self.rows)), [len(rows) for rows in self.rows])
        borders = np.cumsum([0, *(len(recording) for recording in recordings)])
        self._starts = np.concatenate(self.rows) + borders[self.recording]
        self._joined = np.concatenate(recordings)
        self._steps = np.arange(steps)

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, places: np.ndarray | slice) -> np.ndarray:
        """Cuts the windows at places, which count through all recordings: float32 (n, T, C)."""
        windows: np.ndarray = self._joined[self._starts[places][:, None] + self._steps]
        return windows

    def sample(self, most: int) -> np.ndarray:
        """Cuts all windows or, if there are more, this number of evenly spaced ones."""
        return self[spaced(len(self), most)]


def spaced(count: int, most: int) -> np.ndarray:
    """Returns all places from 0 to `count` - 1 or, if there are more, this number of evenly spaced ones."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(int)


def training_windows(recordings: Sequence[np.ndarray], steps: int, target: int = TARGET_WINDOWS) -> np.ndarray:
    """Cuts about `target` training windows (N, T, C), or more so that neighbours overlap by half, but at most `MAX_ITEMS`."""
    total = sum(max(0, len(recording) - steps + 1) for recording in recordings)
    stride = min(-(-total // target), max(1, steps // 2))
    return SlidingWindows(recordings, steps, stride).sample(MAX_ITEMS)


def on_time_steps(method: Method, most: int | None = None) -> Fit:
    """Makes a peer of a method that scores time steps.

    Args:
        method: Normal time steps (N, C) and a seed to the score of others (M, C).
        most: The largest number of training time steps, evenly spaced; None for all.
    """

    def fit(recordings: Sequence[np.ndarray], window: int, seed: int) -> Score:
        normal = np.concatenate(recordings)
        score = method(normal if most is None else normal[spaced(len(normal), most)], seed)

        def score_recordings(others: Sequence[np.ndarray]) -> list[np.ndarray]:
            borders = np.cumsum([len(recording) for recording in others])[:-1]
            joined = np.concatenate(others)
            return np.split(_in_batches(score, joined, len(joined)), borders)

        return score_recordings

    return fit


def on_windows(method: Method, target: int = TARGET_WINDOWS) -> Fit:
    """Makes a peer of a method that scores windows.

    Args:
        method: Normal windows (N, T, C) and a seed to the score of others (M, T, C).
        target: The desired number of training windows; see `training_windows`.
    """

    def fit(recordings: Sequence[np.ndarray], window: int, seed: int) -> Score:
        score = method(training_windows(recordings, window, target), seed)
        return lambda others: score_steps(score, others, window, stride=max(1, window // OVERLAPS), covered=window)

    return fit


def score_steps(score: ItemScore, recordings: Sequence[np.ndarray], steps: int, stride: int, covered: int) -> list[np.ndarray]:
    """Computes the scores of time steps by those of windows; see `to_time_steps`.

    Args:
        score: The score of windows (M, T, C).
        recordings: (rows, C), with at least T rows each.
        steps: T.
        stride: The rows between the starts of consecutive windows.
        covered: The number of steps at the end of a window to which its score applies.

    Returns:
        The scores of each recording, float64 (rows,).
    """
    windows = SlidingWindows(recordings, steps, stride)
    scores = np.split(_in_batches(score, windows, len(windows)), np.cumsum([len(rows) for rows in windows.rows])[:-1])
    return [
        to_time_steps(values, rows + steps - covered, covered, len(recording))
        for values, rows, recording in zip(scores, windows.rows, recordings, strict=True)
    ]


def _in_batches(score: ItemScore, items: np.ndarray | SlidingWindows, count: int) -> np.ndarray:
    parts = [score(items[start : start + BATCH]) for start in range(0, count, BATCH)]
    return np.concatenate(parts).astype(np.float64)
