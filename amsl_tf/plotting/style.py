"""The style of figures, and their rendering as PNG, pixels and SVG.

The palette is safe for colour-blind readers, and figures are narrow enough for phones.
"""

import io
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

WIDTH, HEIGHT = 4.4, 3.0  # inches
# the palette of Okabe and Ito, by the names of CSS variables in reports
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
    "svg.fonttype": "none",  # text stays text: small files, searchable
    "axes.prop_cycle": cycler(color=CYCLE),
}
MAX_NAME = 38  # characters


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Decorates a function so that it draws in the style of this module.

    Args:
        draw: A function that returns a figure.

    Returns:
        The function, with the same arguments and result.
    """

    @wraps(draw)
    def draw_styled(*arguments: Any, **settings: Any) -> Figure:
        with matplotlib.rc_context(STYLE):
            return draw(*arguments, **settings)

    return draw_styled


def panels(rows: int = 1, height: float = HEIGHT, **settings: Any) -> tuple[Figure, Any]:
    """Creates a figure with panels below each other.

    Args:
        rows: The number of panels.
        height: The height of the figure in inches; its width is `WIDTH`.
        settings: Further arguments of `Figure.subplots`.

    Returns:
        The figure and its axes, an array of them for more than one panel.
    """
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots(rows, **settings)


def png(figure: Figure, dpi: int = 110) -> bytes:
    """Renders a figure as a PNG file, on white.

    Args:
        figure: The figure.
        dpi: The resolution, pixels per inch.

    Returns:
        The bytes of the file.
    """
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


def pixels(figure: Figure, dpi: int = 90) -> np.ndarray:
    """Renders a figure as an image.

    Args:
        figure: The figure; its resolution is set to `dpi`.
        dpi: The resolution, pixels per inch.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def svg(figure: Figure, name: str) -> str:
    """Renders a figure as an SVG element for an HTML page, without background, with the CSS variables of the page as colours.

    Args:
        figure: A figure of this package.
        name: A name that makes the ids of the figure unique on the page.

    Returns:
        The text of the element, from its opening tag.
    """
    file = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    used = set(re.findall(r"#([\w-]+)", text))  # other ids are equal in all figures
    text = re.sub(r' id="([\w.-]+)"', lambda found: found[0] if found[1] in used else "", text)
    for word, colour in {"ink": INK, **COLOURS}.items():
        text = text.replace(colour, f"var(--{word})")
    return text


def shorten(text: str) -> str:
    """Shortens a user's text to the space in a figure, and escapes it for Matplotlib's formulas.

    Args:
        text: The text, such as the name of a channel.

    Returns:
        At most `MAX_NAME` characters of the text, escaped.
    """
    return (text if len(text) <= MAX_NAME else f"{text[: MAX_NAME - 1]}…").replace("$", r"\$")
