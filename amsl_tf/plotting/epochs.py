"""Figures of a training run."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from amsl_tf.plotting.style import CYCLE, HEIGHT, panels, styled


@styled
def over_epochs(curves: Mapping[str, Sequence[float]], title: str, label: str) -> Figure:
    """Draws values by epoch, a curve for each name.

    Args:
        curves: The values of each epoch by name.
        title: The title of the figure.
        label: The label of the vertical axis.

    Returns:
        The figure.
    """
    figure, axis = panels(height=HEIGHT + 0.16 * (len(curves) // 3))
    lines = ("-", "--", ":")
    for place, (name, values) in enumerate(curves.items()):
        style = {"color": CYCLE[place % len(CYCLE)], "linestyle": lines[place // len(CYCLE) % len(lines)]}
        axis.plot(range(1, len(values) + 1), values, label=name, marker="." if len(values) < 20 else "", **style)
    axis.set(title=title, xlabel="epoch", ylabel=label)
    axis.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside lower center", ncols=3, fontsize=7.5)
    return figure
