"""Consecutive pieces of overlapping windows, so that a window is not compared with windows that share its rows."""

from typing import NamedTuple

import numpy as np

PIECES = 5  # of a recording, at most
LENGTH = 4  # windows without overlap, the least length of a piece: no window is near two borders
ROUNDING = 1e-4  # of the standard deviation of a window: rows that differ by less are equal, as after a conversion
PAIRS = 64  # pairs of consecutive windows that are examined


class Pieces(NamedTuple):
    """The pieces of overlapping windows.

    Attributes:
        number: int (N,), the piece of each window.
        border: int (N,), equal for the windows near the same border of two pieces; all others have numbers of their own.
        stride: The rows between the starts of consecutive windows.
    """

    number: np.ndarray
    border: np.ndarray
    stride: int


def find_pieces(x: np.ndarray) -> Pieces | None:
    """Splits windows into consecutive pieces if consecutive ones overlap.

    Windows may be in reverse order. Those of different pieces whose starts are less than two windows apart are near a
    border: they share rows, or nearly.

    Args:
        x: float32 (N, T, C), possibly memory-mapped.

    Returns:
        The pieces, 2 to 5; None if most consecutive windows have no row in common, or there are fewer than 2 windows.
    """
    stride, steps = find_stride(x) or find_stride(x[::-1]), x.shape[1]
    return None if stride is None else make_pieces(len(x), steps, stride)


def make_pieces(windows: int, steps: int, stride: int) -> Pieces:
    """Splits consecutive windows into 2 to 5 pieces; see `find_pieces`.

    Args:
        windows: The number of windows, at least 2.
        steps: T, the rows of a window.
        stride: The rows between the starts of consecutive windows.
    """
    count = min(PIECES, max(2, (windows - 1) * stride // (LENGTH * steps)))
    number = np.arange(windows) * count // windows
    border = np.arange(windows) + count
    near = -(-2 * steps // stride) - 1  # the largest difference of two positions less than two windows apart
    for place, first in enumerate(np.flatnonzero(np.diff(number)) + 1):
        border[max(0, first - near) : first + near] = place
    return Pieces(number, border, stride)


def find_stride(x: np.ndarray) -> int | None:
    """Finds the rows between the starts of consecutive windows that overlap.

    Args:
        x: float32 (N, T, C).

    Returns:
        The stride of most of the examined pairs, from 1 to T - 1; None if most do not overlap. Pairs with a window that is
        constant over time do not count, nor those that begin with the same row: all windows may begin and end at rest.
    """
    steps, found = x.shape[1], []
    for place in np.unique(np.linspace(0, len(x) - 2, min(PAIRS, len(x) - 1)).astype(int)):
        first, second = x[place], x[place + 1]
        rounding = ROUNDING * first.std(axis=0, dtype=np.float64)
        unclear = ((first, first[0]), (second, second[0]), (first[0], second[0]))
        if any((np.abs(part - other) <= rounding).all() for part, other in unclear):
            continue
        candidates = np.flatnonzero((np.abs(first[1:] - second[0]) <= rounding).all(axis=1)) + 1
        is_shift = (int(row) for row in candidates if (np.abs(first[row:] - second[: steps - row]) <= rounding).all())
        found.append(next(is_shift, 0))
    strides, counts = np.unique(np.array(found, int), return_counts=True)
    if not len(strides) or not strides[counts.argmax()] or 2 * counts.max() <= len(found):
        return None
    return int(strides[counts.argmax()])
