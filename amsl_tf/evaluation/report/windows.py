"""Explanations of single windows: a figure, the worst channels and the nearest normal window."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from amsl_tf import plotting
from amsl_tf.data.channel_states import HEALTHY, STATES
from amsl_tf.data.store import open_array
from amsl_tf.data.windows import LARGEST, check_windows, hash_windows
from amsl_tf.detector import AMSLDetector
from amsl_tf.errors import DataError

WORST_CHANNELS = 3  # shown for each window
ADVICE = "Name the normal windows that the detector was trained on."


class WindowExplanation(NamedTuple):
    """The explanation of one window.

    Attributes:
        figure: The contributions of channels, time steps and parts of the score.
        worst: The names of the channels with a fault, then of those with the largest contributions to the score.
        nearest: The position of the nearest normal window among the training windows, see `AMSLDetector.nearest`; None for a
            detector whose scores compare with none.
        score: The decision score, dimensionless.
    """

    figure: Figure
    worst: list[str]
    nearest: int | None
    score: float


def open_training(file: Path, detector: AMSLDetector) -> np.ndarray:
    """Opens the training windows of a detector, float32 (N, T, C), memory-mapped.

    Args:
        file: The .npy file of the windows.
        detector: A fitted detector.

    Returns:
        The windows; their positions are those of `AMSLDetector.nearest`.

    Raises:
        DataError: The file is missing or broken, or holds other windows.
    """
    array = check_windows(open_array(file, ADVICE))
    if hash_windows(array) != detector.data_["sha256"]:
        raise DataError(f"{file}: not the training windows of this detector. {ADVICE}")
    return array


def explain_windows(detector: AMSLDetector, windows: np.ndarray, training: np.ndarray | None) -> list[WindowExplanation]:
    """Explains each window.

    Args:
        detector: A fitted detector.
        windows: (N, T, C); NaN where a value is missing.
        training: The training windows of the detector, to show the nearest normal window; None if they are not available. The
            normal range of each channel is shown instead.

    Returns:
        An explanation for each window.

    Raises:
        DataError: The windows have another shape.
    """
    explanation, scores = detector.explain(windows), detector.detect(windows)["score"]
    nearest = [None if place < 0 else int(place) for place in explanation.nearest]
    reconstruction: list[np.ndarray | None] = [None] * len(windows)
    if detector.config_.score == "reconstruction" and detector.config_.views[0] == "raw":
        reconstruction = _reconstruct(detector, windows)
    channels = detector.config_.channel_names or [f"channel {channel}" for channel in range(windows.shape[2])]
    explained = []
    for row, x in enumerate(windows):
        contributions = explanation.channels[row]
        states = explanation.health[row]
        worst = np.lexsort((-contributions, states == HEALTHY))[:WORST_CHANNELS].tolist()  # those with a fault first
        titles = {place: channels[place] + (f" ({STATES[states[place]]})" if states[place] else "") for place in worst}
        figure = plotting.explanation(
            x,
            None if training is None or nearest[row] is None else training[nearest[row]],
            channels={channel: (titles[channel], float(contributions[channel])) for channel in worst},
            time=explanation.time[row],
            members=dict(zip(detector.members_, explanation.members[row].tolist(), strict=True)),
            reconstruction=reconstruction[row],
            normal_range=detector.normal_range_,
        )
        names = [channels[channel] for channel in worst]
        explained.append(WindowExplanation(figure, names, nearest[row], float(scores[row])))
    return explained


def _reconstruct(detector: AMSLDetector, windows: np.ndarray) -> list[np.ndarray | None]:
    """Returns the reconstruction (T, C) of each window by the raw view; None for those with missing values."""
    found: list[np.ndarray | None] = [None] * len(windows)
    usable = np.flatnonzero((np.abs(windows) <= LARGEST).all(axis=(1, 2)))  # false for NaN
    if len(usable):
        reconstruction = detector.reconstruct(windows[usable]).reconstruction
        for row, of_window in zip(usable, reconstruction, strict=True):
            found[row] = of_window[0]
    return found
