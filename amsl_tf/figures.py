"""Figures: pure functions from arrays to drawings, in colours that the colour-blind tell apart.

Each is narrow enough for a telephone. `svg` draws in colours that a page's style sheet decides, for light and for dark.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from amsl_tf.threshold import is_abnormal

WIDTH, HEIGHT = 4.4, 3.0  # inches
# after Okabe and Ito; what a page calls the colour in its style sheet
COLOURS = {
    "normal": "#0072b2",
    "abnormal": "#d55e00",
    "third": "#009e73",
    "fourth": "#cc79a7",
    "fifth": "#e69f00",
    "sixth": "#56b4e9",
    "seventh": "#8c8c8c",
}
NORMAL, ABNORMAL, *_ = CYCLE = tuple(COLOURS.values())
INK, PAPER = "#1a1b1c", "#ffffff"
STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "axes.facecolor": "none",
    "hatch.color": INK,
    "figure.facecolor": PAPER,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "none",  # words stay words: small, and found by a search
    "axes.prop_cycle": cycler(color=CYCLE),
}
LONGEST = 38  # letters of a name
MANY = 400  # points of a curve that are drawn
SMALLEST = (400, 700)  # height and width of a mosaic, in pixels


def _styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    @wraps(draw)
    def styled(*arguments: Any, **named: Any) -> Figure:
        with matplotlib.rc_context(STYLE):
            return draw(*arguments, **named)

    return styled


def _panels(rows: int = 1, height: float = HEIGHT, **settings: Any) -> tuple[Figure, Any]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, **settings)


def png(figure: Figure, dpi: int = 110) -> bytes:
    """The figure as the bytes of a PNG file, on white."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


def pixels(figure: Figure, dpi: int = 90) -> np.ndarray:
    """The figure as an image, uint8 (H, W, 3)."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def svg(figure: Figure, name: str) -> str:
    """The figure as an element of an HTML page: no background, its colours as the page's `--ink`, `--normal`, and so on.

    Args:
        figure: As a function of this module has drawn it.
        name: Tells the figure's parts from those of others on the page.
    """
    file = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    used = set(re.findall(r"#([\w-]+)", text))  # the other ids are the same in every figure
    text = re.sub(r' id="([\w.-]+)"', lambda found: found[0] if found[1] in used else "", text)
    for word, colour in {"ink": INK, **COLOURS}.items():
        text = text.replace(colour, f"var(--{word})")
    return text


def _plain(words: str) -> str:
    """Words of a user, as many as there is room for, which Matplotlib is not to take for a formula."""
    return (words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…").replace("$", r"\$")


@_styled
def score_histogram(scores: Mapping[str, np.ndarray], threshold: float, title: str) -> Figure:
    """How scores (N,) of one or two kinds of windows, normal ones first, lie beside the threshold."""
    figure, axis = _panels()
    together = np.concatenate(list(scores.values())).astype(float)
    low, high = together.min(), together.max()
    logarithmic = low > 0 and high > 50 * np.median(together)
    edges = np.geomspace(low, high, 61) if logarithmic else np.linspace(low, high, 61)
    for (kind, values), colour, texture in zip(scores.items(), (NORMAL, ABNORMAL), ("", "//"), strict=False):
        shares = np.full(len(values), 100 / len(values))
        axis.hist(values, edges, weights=shares, label=kind, histtype="stepfilled", alpha=0.55, color=colour, hatch=texture)
    axis.axvline(threshold, color=INK, linewidth=1, linestyle="--", label=f"threshold {threshold:.4g}")
    if logarithmic:
        axis.set_xscale("log")
    axis.set(xlabel="score, higher is more abnormal", ylabel="windows, %", title=title)
    axis.legend()
    return figure


def roc(scores: Mapping[str, np.ndarray], abnormal: np.ndarray, thresholds: Mapping[str, float]) -> Figure:
    """Found share over false alarms for every threshold, a curve for each score (N,); a dot where the threshold is."""
    curves = {}
    for name, values in scores.items():
        flagged = is_abnormal(values, thresholds[name])
        curves[name] = (*roc_curve(abnormal, values)[:2], (flagged[~abnormal].mean(), flagged[abnormal].mean()))
    words = {"xlabel": "false alarms: share of normal windows", "ylabel": "found: share of abnormal windows", "title": "ROC"}
    return _curves(curves, blind=(0, 1), legend="lower right", **words)


def precision_recall(scores: Mapping[str, np.ndarray], abnormal: np.ndarray, thresholds: Mapping[str, float]) -> Figure:
    """Right share of the alarms over the found share, a curve for each score (N,); a dot where the threshold is."""
    curves = {}
    for name, values in scores.items():
        precision, recall, _ = precision_recall_curve(abnormal, values)
        flagged = is_abnormal(values, thresholds[name])
        right = abnormal[flagged].mean() if flagged.any() else 1.0  # as the curve ends
        curves[name] = (recall, precision, (flagged[abnormal].mean(), right))
    words = {
        "xlabel": "found: share of abnormal windows",
        "ylabel": "share of alarms that are right",
        "title": "Precision and recall",
    }
    return _curves(curves, blind=(abnormal.mean(), abnormal.mean()), legend="lower left", ylim=(0, 1.02), **words)


@_styled
def _curves(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray, tuple[float, float]]],
    *,
    blind: tuple[float, float],
    legend: str,
    **settings: Any,
) -> Figure:
    """Curves (x, y, dot) by name, and what blind guessing would reach: a line from x = 0 to 1, by its ends."""
    figure, axis = _panels()
    for name, (x, y, dot) in curves.items():
        some = np.unique(np.linspace(0, len(x) - 1, MANY).astype(int))
        (line,) = axis.plot(x[some], y[some], label=name)
        axis.plot(*dot, "o", color=line.get_color())
    axis.plot([0, 1], blind, color=INK, linewidth=0.6, linestyle=":")
    axis.set(**settings)
    axis.legend(loc=legend)
    return figure


@_styled
def confusion(counts: np.ndarray, title: str) -> Figure:
    """A confusion matrix: (2, 2), rows what a window is and columns what it was taken for, normal first."""
    figure, axis = _panels()
    shares = counts / counts.sum(axis=1, keepdims=True)
    for (row, column), share in np.ndenumerate(shares):
        colour = NORMAL if row == column else ABNORMAL
        axis.fill_between([column - 0.48, column + 0.48], row - 0.48, row + 0.48, color=colour, alpha=0.1 + 0.5 * share)
        axis.text(column, row - 0.05, f"{100 * share:.1f} %", ha="center", va="bottom", fontsize=13)
        axis.text(column, row + 0.05, f"{counts[row, column]:,} windows", ha="center", va="top")
    axis.set(xticks=[0, 1], xticklabels=["taken for normal", "flagged"], yticks=[0, 1], yticklabels=["normal", "abnormal"])
    axis.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5), title=title)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure


@_styled
def rates(found: Mapping[str, Mapping[str, Mapping[str, float]]], title: str) -> Figure:
    """The flagged share of each label's normal and abnormal windows, as `flagged_by` counts it."""
    rows = [(label, kind, counted) for label, kinds in found.items() for kind, counted in kinds.items()]
    figure, axis = _panels(height=0.9 + 0.21 * len(rows))
    for place, (_, kind, counted) in enumerate(rows):
        share = 100 * counted["flagged"]
        texture = "//" if kind == "abnormal" else ""
        axis.barh(place, share, color=NORMAL if kind == "normal" else ABNORMAL, alpha=0.75, hatch=texture, height=0.75)
        axis.text(share + 1, place, f"{share:.1f}", va="center", fontsize=8)
    axis.set(yticks=range(len(rows)), yticklabels=[f"{_plain(label)}, {kind}" for label, kind, _ in rows], title=title)
    axis.set(xlim=(0, 112), xticks=range(0, 101, 25), xlabel="flagged, %")
    axis.tick_params(axis="y", labelsize=7.5)
    axis.invert_yaxis()
    return figure


@_styled
def by_view(errors: Mapping[str, np.ndarray], views: Sequence[str]) -> Figure:
    """The error of each view, (N, R) for normal and for abnormal windows: medians, and where half of the windows lie."""
    figure, axis = _panels()
    for (kind, values), colour, mark, shift in zip(errors.items(), (NORMAL, ABNORMAL), "os", (-0.12, 0.12), strict=True):
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
        places = np.arange(len(views)) + shift
        axis.errorbar(places, middle, (middle - low, high - middle), fmt=mark, color=colour, label=kind, capsize=2)
    axis.set_yscale("log")
    axis.set(xticks=range(len(views)), title="Error of the views: medians and quartiles", ylabel="squared error")
    axis.set_xticklabels(views, rotation=30, ha="right")
    axis.legend()
    return figure


@_styled
def over_epochs(curves: Mapping[str, Sequence[float]], title: str, label: str) -> Figure:
    """Values at the end of each epoch, a curve for each name."""
    figure, axis = _panels(height=HEIGHT + 0.16 * (len(curves) // 3))
    lines = ("-", "--", ":")
    for place, (name, values) in enumerate(curves.items()):
        style = {"color": CYCLE[place % len(CYCLE)], "linestyle": lines[place // len(CYCLE) % len(lines)]}
        axis.plot(range(1, len(values) + 1), values, label=name, marker="." if len(values) < 20 else "", **style)
    axis.set(title=title, xlabel="epoch", ylabel=label)
    axis.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside lower center", ncols=3, fontsize=7.5)
    return figure


def mosaic(views: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Scaled views (R, T, C) of a window, what the network makes of them, and the error, as an image, uint8 (H, W, 3).

    A column for each view. In each picture time goes down and channels across, from dark, 0 or less, to light, 1 or more; the
    error is as light as can be where it is largest. Made without axes: TensorBoard gets many of them during a training.
    """
    error = np.abs(views - made)
    rows = [(views, "viridis"), (made, "viridis"), (error / max(float(error.max()), 1e-12), "magma")]
    painted = [[matplotlib.colormaps[colours](np.clip(of_view, 0, 1), bytes=True) for of_view in of] for of, colours in rows]
    framed = [[np.pad(image[..., :3], ((2, 2), (2, 2), (0, 0)), constant_values=255) for image in row] for row in painted]
    whole = np.concatenate([np.concatenate(row, axis=1) for row in framed])
    tall, wide = (max(2, -(-least // size)) for least, size in zip(SMALLEST, whole.shape, strict=False))
    return whole.repeat(tall, axis=0).repeat(wide, axis=1)


@_styled
def explanation(
    x: np.ndarray,
    made: np.ndarray,
    nearest: np.ndarray | None,
    *,
    channels: Mapping[int, tuple[str, float]],
    time_error: np.ndarray,
    view_error: Mapping[str, float],
    made_of: str = "raw",
) -> Figure:
    """Where the error of one window lies.

    Args:
        x, made: The window and its reconstruction, (T, C).
        nearest: The nearest normal window (T, C), if it is known.
        channels: To show, by number: the name, and the error in multiples of what is usual.
        time_error: (T,).
        view_error: Of each view by name, in multiples of what is usual.
        made_of: The view that the reconstruction is one of.
    """
    count = len(channels)
    label = "reconstruction" if made_of == "raw" else f"reconstruction, {made_of}"
    heights = [1.0] * count + [0.7, 0.35 + 0.16 * len(view_error)]
    figure, axes = _panels(count + 2, height=1.15 * sum(heights) + 0.9, gridspec_kw={"height_ratios": heights})
    for axis, (channel, (name, ratio)) in zip(axes, channels.items(), strict=False):
        if nearest is not None:
            axis.plot(nearest[:, channel], color=NORMAL, linewidth=1, linestyle=":", label="nearest normal window")
        axis.plot(x[:, channel], color=INK, linewidth=1, label="this window")
        axis.plot(made[:, channel], color=ABNORMAL, linewidth=1, linestyle="--", label=label)
        axis.set_title(f"{_plain(name)}: {ratio:.3g} times the usual error", fontsize=9)
        axis.sharex(axes[0])
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=7.5)
    over_time, by_view = axes[count:]
    over_time.fill_between(range(len(time_error)), time_error, color=ABNORMAL, alpha=0.6, linewidth=0)
    over_time.set_title("error over time, all channels and views", fontsize=9)
    over_time.set(xlabel="time step", ylim=(0, None))
    over_time.sharex(axes[0])
    by_view.barh(list(view_error), list(view_error.values()), color=ABNORMAL, alpha=0.75)
    by_view.axvline(1, color=INK, linewidth=0.8, linestyle=":")
    for place, value in enumerate(view_error.values()):
        by_view.text(value, place, f" {value:.3g}", va="center", fontsize=8)
    by_view.set_title("error of the views, times the usual", fontsize=9)
    by_view.set(xlim=(0, 1.18 * max(1, *view_error.values())))
    by_view.invert_yaxis()
    return figure
