"""The seven views of a window, declared once.

A view's place in `VIEWS` is its class in self-supervision, its row in every tensor with a view axis, and the order in which
subsets are taken; its suffix is what the original's files are named by. What each view does to a window is in
`amsl_tf.transforms`, under the view's name; this module needs no TensorFlow, so that the network can be built without it.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class View:
    """One view: its name, and the suffix of its files in the original's tree."""

    name: str
    suffix: str


VIEWS = (
    View("raw", "raw"),
    View("noise", "no"),
    View("negated", "ne"),
    View("reversed", "op"),
    View("permuted", "pe"),
    View("scaled", "sc"),
    View("smoothed", "ti"),
)
VIEW_NAMES = tuple(view.name for view in VIEWS)


def split_views(views: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The views by name, (B, T, C) each, from one tensor or array (B, R, T, C): what the network takes."""
    return {name: views[:, index] for index, name in enumerate(names)}
