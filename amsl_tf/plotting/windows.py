"""Figures of windows: errors by view, mosaics of views, explanations of scores."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from amsl_tf.plotting.style import ABNORMAL, INK, NORMAL, panels, shorten, styled

MIN_SIZE = (400, 700)  # height and width of a mosaic, in pixels


@styled
def by_view(errors: Mapping[str, np.ndarray], views: Sequence[str]) -> Figure:
    """Draws the median and quartiles of the error of each view, for normal and, if given, abnormal windows.

    Args:
        errors: The squared errors (N, R) of each class by its label, normal windows first; at most two classes. In scaled units
            (views scaled to [0, 1]).
        views: The names of the R views.

    Returns:
        The figure.
    """
    figure, axis = panels()
    for (kind, values), colour, mark, shift in zip(errors.items(), (NORMAL, ABNORMAL), "os", (-0.12, 0.12), strict=False):
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
        places = np.arange(len(views)) + shift
        axis.errorbar(places, middle, (middle - low, high - middle), fmt=mark, color=colour, label=kind, capsize=2)
    axis.set_yscale("log")
    axis.set(xticks=range(len(views)), title="Error of the views: medians and quartiles", ylabel="squared error")
    axis.set_xticklabels(views, rotation=30, ha="right")
    axis.legend()
    return figure


def mosaic(views: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """Renders the scaled views of a window, their reconstructions and the errors as an image.

    A column for each view. In each panel time runs down and channels across, from dark (0 or less) to light (1 or more);
    errors are relative to the largest. There are no axes: TensorBoard gets many mosaics during a training run.

    Args:
        views: (R, T, C), scaled to [0, 1].
        reconstruction: (R, T, C), in the same units.

    Returns:
        uint8 (H, W, 3), RGB, at least `MIN_SIZE` large.
    """
    error = np.abs(views - reconstruction)
    rows = [(views, "viridis"), (reconstruction, "viridis"), (error / max(float(error.max()), 1e-12), "magma")]
    painted = [[matplotlib.colormaps[colours](np.clip(of_view, 0, 1), bytes=True) for of_view in of] for of, colours in rows]
    framed = [[np.pad(image[..., :3], ((2, 2), (2, 2), (0, 0)), constant_values=255) for image in row] for row in painted]
    whole = np.concatenate([np.concatenate(row, axis=1) for row in framed])
    down, across = (max(2, -(-minimum // size)) for minimum, size in zip(MIN_SIZE, whole.shape, strict=False))
    return whole.repeat(down, axis=0).repeat(across, axis=1)


@styled
def explanation(
    x: np.ndarray,
    nearest: np.ndarray | None,
    *,
    channels: Mapping[int, tuple[str, float]],
    time: np.ndarray,
    members: Mapping[str, float],
    reconstruction: np.ndarray | None = None,
    normal_range: np.ndarray | None = None,
) -> Figure:
    """Draws what makes up the score of one window: channels, time steps and parts of the score.

    Args:
        x: The window (T, C), in its own units.
        nearest: The nearest normal window (T, C), if known.
        channels: The channels to show by index: the name, and the contribution to the score.
        time: The contribution of each time step (T,).
        members: The contribution of each part of the score, by name.
        reconstruction: The reconstruction of the window (T, C), if the score is its error.
        normal_range: (2, C), the usual range of each channel in its own units, if known. It is drawn if `nearest` is not known.

    Returns:
        The figure.
    """
    count, score = len(channels), sum(members.values())
    heights = [1.0] * count + [0.7, 0.35 + 0.16 * len(members)]
    figure, axes = panels(count + 2, height=1.15 * sum(heights) + 0.9, gridspec_kw={"height_ratios": heights})
    for axis, (channel, (name, contribution)) in zip(axes, channels.items(), strict=False):
        if nearest is not None:
            axis.plot(nearest[:, channel], color=NORMAL, linewidth=1, linestyle=":", label="nearest normal window")
        elif normal_range is not None:
            axis.axhspan(
                *normal_range[:, channel], facecolor=(NORMAL, 0.12), edgecolor=NORMAL, linewidth=0.8, label="normal range"
            )
        axis.plot(x[:, channel], color=INK, linewidth=1, label="this window")
        if reconstruction is not None:
            axis.plot(reconstruction[:, channel], color=ABNORMAL, linewidth=1, linestyle="--", label="reconstruction")
        axis.set_title(f"{shorten(name)}: {contribution:.3g} of {score:.3g}", fontsize=9)
        axis.sharex(axes[0])
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=7.5)
    over_time, by_member = axes[count:]
    over_time.fill_between(range(len(time)), time, color=ABNORMAL, alpha=0.6, linewidth=0)
    over_time.set_title("contribution of each time step to the score", fontsize=9)
    over_time.set(xlabel="time step")
    over_time.sharex(axes[0])
    by_member.barh(list(members), list(members.values()), color=ABNORMAL, alpha=0.75)
    by_member.axvline(0, color=INK, linewidth=0.8)
    for place, value in enumerate(members.values()):
        by_member.text(max(value, 0), place, f" {value:.3g}", va="center", fontsize=8)
    by_member.set_title("contribution of the parts of the score", fontsize=9)
    by_member.margins(x=0.18)
    by_member.invert_yaxis()
    return figure
