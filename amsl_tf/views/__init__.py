"""The views of a window: one module for each, and the registry `VIEWS`.

A module has `transform`, which `operations.make_views` calls, and for a random view `draw`, which `draw_for_windows` and
`draw_for_scoring` there call.
"""

from amsl_tf.views.base import PAPER_VIEWS, VIEWS, View, split_views

__all__ = ["PAPER_VIEWS", "VIEWS", "View", "split_views"]
