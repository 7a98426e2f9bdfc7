"""The reduction of curves and states over time to as many points as a page can show."""

import numpy as np

STRIPS = 1_000  # periods of labels, or of faults of a channel, shown at most


def decimate(places: np.ndarray, values: np.ndarray, starts: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Reduces curves to the minimum and the maximum in each bin, in the order in which they occur.

    Args:
        places: (n,), rising.
        values: (n, K), the values of K curves.
        starts: bool (n,), whether a gap lies before a place.
        bins: The number of bins. Curves of at most two values for each are kept.

    Returns:
        The places (m,) and the values (K, m); a NaN marks each gap.
    """
    kept = np.arange(len(places))
    if len(places) > 2 * bins:
        size = -(-len(places) // bins)
        firsts = np.arange(0, len(places), size)
        padding = len(firsts) * size - len(places)
        binned = np.pad(values, ((0, padding), (0, 0)), constant_values=np.nan).reshape(len(firsts), size, -1)
        is_missing = ~np.isfinite(binned)
        extremes = np.where(is_missing, np.inf, binned).argmin(axis=1), np.where(is_missing, -np.inf, binned).argmax(axis=1)
        order = np.sort(extremes, axis=0).transpose(1, 0, 2)
        values = np.take_along_axis(binned, order, axis=1).reshape(2 * len(firsts), -1)
        kept = np.minimum(np.stack([firsts, firsts + size // 2], axis=1).ravel(), len(places) - 1)
    gaps = np.flatnonzero(np.diff(np.cumsum(starts)[kept])) + 1
    places = np.insert(places[kept], gaps, (places[kept][gaps - 1] + places[kept][gaps]) / 2)
    return places, np.insert(values, gaps, np.nan, axis=0).T


def find_strips(states: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds where states other than 0 hold, merged where they continue.

    If these strips are more than `STRIPS`, consecutive states are combined first, of which the largest counts.

    Args:
        states: int (n,), in order of their places.
        starts, stops: (n,), the places where each begins and ends.

    Returns:
        The start, the stop and the state of each strip, (m,).
    """
    changes = np.append(True, (states[1:] != states[:-1]) | (starts[1:] > stops[:-1]))
    firsts = np.flatnonzero(changes)
    if np.count_nonzero(states[firsts]) > STRIPS:
        firsts = np.arange(0, len(states), -(-len(states) // STRIPS))
        lasts = np.append(firsts[1:], len(states)) - 1
        return find_strips(np.maximum.reduceat(states, firsts), starts[firsts], stops[lasts])
    lasts = np.append(firsts[1:], len(states)) - 1
    found = states[firsts]
    is_shown = found != 0
    return starts[firsts][is_shown], stops[lasts][is_shown], found[is_shown]
