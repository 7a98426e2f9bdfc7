"""Single windows, explained in a figure each."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from amsl_tf import figures
from amsl_tf.data.store import open_array
from amsl_tf.data.windows import check_windows
from amsl_tf.detector import AMSLDetector
from amsl_tf.errors import DataError
from amsl_tf.fingerprint import hash_windows

SHOWN = 3  # channels
ADVICE = "Name the normal windows that the detector was trained on."


class Explained(NamedTuple):
    """Where the error of a window lies.

    Attributes:
        figure: That shows it.
        worst: The names of the channels whose error is largest beside what is usual for them, worst first.
        nearest: The position of the nearest normal window among those that were trained on, as `AMSLDetector.nearest` has it.
        score: That decides.
    """

    figure: Figure
    worst: list[str]
    nearest: int
    score: float


def open_training(file: Path, detector: AMSLDetector) -> np.ndarray:
    """The windows (N, T, C) that a detector was trained on, memory-mapped.

    Raises:
        DataError: The file is missing or broken, or holds other windows.
    """
    array = check_windows(open_array(file, ADVICE))
    if hash_windows(array) != detector.data_["sha256"]:
        raise DataError(f"{file}: these are not the windows that the detector was trained on. {ADVICE}")
    return array


def explain_windows(detector: AMSLDetector, windows: np.ndarray, training: np.ndarray | None) -> list[Explained]:
    """Explains each window.

    Args:
        detector: Fitted.
        windows: (N, T, C).
        training: The windows that it was trained on, if they are at hand: the nearest normal window is shown then.

    Raises:
        DataError: The windows are of another shape, or not finite.
    """
    explanation, nearest, usual = detector.explain(windows), detector.nearest(windows), detector.usual_error_
    channels = detector.config.channel_names or [f"channel {place}" for place in range(usual.shape[1])]
    scores, views = detector.decision_function(windows), detector.config.model.views
    explained = []
    for row, x in enumerate(windows):
        ratios = explanation.channel_error[row] / usual.sum(axis=0)
        worst = np.argsort(-ratios, kind="stable")[:SHOWN].tolist()
        of_views = explanation.view_error[row] / usual.mean(axis=1)
        figure = figures.explanation(
            x,
            explanation.reconstruction[row, 0],
            None if training is None else training[nearest[row]],
            channels={place: (channels[place], float(ratios[place])) for place in worst},
            time_error=explanation.time_error[row],
            view_error=dict(zip(views, of_views.tolist(), strict=True)),
            made_of=views[0],
        )
        explained.append(Explained(figure, [channels[place] for place in worst], int(nearest[row]), float(scores[row])))
    return explained
