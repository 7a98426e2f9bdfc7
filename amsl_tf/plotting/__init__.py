"""Figures: pure functions from arrays to Matplotlib figures, in one style."""

from amsl_tf.plotting.epochs import over_epochs
from amsl_tf.plotting.recordings import recording
from amsl_tf.plotting.scores import confusion, precision_recall, rates, roc, score_histogram
from amsl_tf.plotting.style import pixels, png, svg
from amsl_tf.plotting.windows import by_view, explanation, mosaic

__all__ = [
    "by_view",
    "confusion",
    "explanation",
    "mosaic",
    "over_epochs",
    "pixels",
    "png",
    "precision_recall",
    "rates",
    "recording",
    "roc",
    "score_histogram",
    "svg",
]
