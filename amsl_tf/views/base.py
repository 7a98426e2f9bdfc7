"""The views of a window and their registry. This module does not import TensorFlow, so networks can be built without it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amsl_tf.registry import Registry, import_attribute, import_part


@dataclass(frozen=True)
class View:
    """One view of a window.

    Attributes:
        name: The name in settings and in the inputs of the network, and of its entry in `VIEWS`.
        suffix: The suffix of its files in the tree of the original code; each view has another one.
        module: The importable module with its operations: `transform(windows, draw)`, which maps float32 windows (B, T, C) to
            the view (B, T, C), and, if the view is random, `draw(seed, shape)`, which returns the random part of one window of
            shape (T, C) from a seed (2,); `transform` gets it with a leading axis, of length B or 1.
    """

    name: str
    suffix: str
    module: str

    @property
    def transform(self) -> Callable[[Any, Any], Any]:
        """The function `transform(windows, draw)` of the module.

        It maps float32 windows (B, T, C) and the random part, with a leading axis of length B or 1 (None for a deterministic
        view), to the view, float32 (B, T, C).
        """
        return import_attribute(self.module, "transform", self._title)

    @property
    def draw(self) -> Callable[[Any, tuple[int, int]], Any] | None:
        """The function `draw(seed, shape)` of the module, or None for a deterministic view.

        It draws the random part of one window of shape (T, C) from a seed, int (2,).
        """
        return getattr(import_part(self.module, self._title), "draw", None)

    @property
    def _title(self) -> str:
        return f"the view {self.name!r}"


# The order is that of the classes in self-supervision, of the rows in tensors with a view axis and of the random streams of the
# views: append new ones at the end.
VIEWS: Registry[View] = Registry(
    "view",
    {
        view.name: view
        for view in (
            View("raw", "raw", "amsl_tf.views.raw"),
            View("noise", "no", "amsl_tf.views.noise"),
            View("negated", "ne", "amsl_tf.views.negated"),
            View("reversed", "op", "amsl_tf.views.time_reversed"),
            View("permuted", "pe", "amsl_tf.views.permuted"),
            View("scaled", "sc", "amsl_tf.views.scaled"),
            View("smoothed", "ti", "amsl_tf.views.smoothed"),
        )
    },
    attributes=("name", "suffix", "module"),
    unique=("suffix",),
)
PAPER_VIEWS = ("raw", "noise", "negated", "reversed", "permuted", "scaled", "smoothed")


def split_views(views: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Splits views into the inputs of the network.

    Args:
        views: A tensor or array (B, R, T, C).
        names: The names of the R views.

    Returns:
        (B, T, C) by name.
    """
    return {name: views[:, index] for index, name in enumerate(names)}
