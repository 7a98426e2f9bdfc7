"""The states of channels, and their names for tables. They are found by `amsl_tf/scoring/health.py`."""

from collections.abc import Sequence

import numpy as np

STATES = ("healthy", "dead", "stuck", "saturated", "missing")  # by code
HEALTHY, DEAD, STUCK, SATURATED, MISSING = range(len(STATES))


def name_states(health: np.ndarray, channel_names: Sequence[str] = ()) -> list[str]:
    """Names the channels of windows that are not healthy, such as `wrist x dead; ankle y stuck`.

    Args:
        health: int (N, C), positions in `STATES`.
        channel_names: The names of the channels; without them `channel 0` and so on.

    Returns:
        A text for each window, empty where all channels are healthy.
    """
    texts = [""] * len(health)
    for row in np.flatnonzero((health != HEALTHY).any(axis=1)):
        found = np.flatnonzero(health[row] != HEALTHY)
        names = (channel_names[channel] if channel_names else f"channel {channel}" for channel in found)
        texts[row] = "; ".join(f"{name} {STATES[state]}" for name, state in zip(names, health[row, found], strict=True))
    return texts
