"""The pieces of overlapping windows, on windows cut from random recordings."""

import numpy as np
import pytest

from amsl_tf.data.pieces import PIECES, find_pieces, find_stride

STEPS = 24


def cut(count, stride, steps=STEPS, seed=0):
    """Cuts windows (N, T, 2) from a recording of white noise."""
    recording = np.random.default_rng(seed).normal(size=((count - 1) * stride + steps, 2)).astype(np.float32)
    return np.stack([recording[first : first + steps] for first in np.arange(count) * stride])


@pytest.mark.parametrize("stride", [1, 7, 12, STEPS - 1])
def test_stride_of_overlapping_windows(stride):
    x = cut(100, stride)
    assert find_stride(x) == find_pieces(x).stride == stride


@pytest.mark.parametrize("stride", [STEPS, STEPS + 1, 3 * STEPS])
def test_windows_without_overlap_have_no_pieces(stride):
    assert find_pieces(cut(100, stride)) is None


def test_shuffled_windows_have_no_pieces():
    """The stride of a few pairs may be found by chance, but not that of most."""
    assert find_pieces(cut(200, 7)[np.random.default_rng(0).permutation(200)]) is None


def test_windows_in_reverse_order():
    assert find_pieces(cut(100, 7)[::-1]).stride == 7


def test_rounding_errors():
    x = cut(100, 7)
    assert find_pieces(x + 1e-6 * np.random.default_rng(0).normal(size=x.shape).astype(np.float32)).stride == 7
    assert find_pieces(x + 1e-2 * np.random.default_rng(0).normal(size=x.shape).astype(np.float32)) is None


@pytest.mark.parametrize("count", [1, 2, 50])
def test_constant_windows_have_no_pieces(count):
    assert find_pieces(np.ones((count, STEPS, 2), np.float32)) is None


def test_constant_windows_do_not_count():
    """A sensor at rest would have any stride: two thirds of the windows are at rest, in blocks."""
    x = cut(120, 7)
    x[20:60] = x[80:120] = 1.0
    assert find_stride(x) == 7


def test_windows_that_begin_and_end_at_rest_do_not_overlap():
    """The last row of each is the first of the next, as it is that of all windows."""
    windows = cut(100, STEPS)
    assert find_stride(windows * np.hanning(STEPS)[:, None].astype(np.float32)) is None
    windows[:, 0] = windows[:, -5:] = 2.0
    assert find_stride(windows) is None


def test_equal_periodic_windows_do_not_overlap():
    period = np.tile(np.arange(8, dtype=np.float32), 3)
    assert find_stride(np.tile(period[None, :, None], (50, 1, 1))) is None


def test_a_constant_sensor_does_not_matter():
    x = cut(100, 7)
    assert find_stride(np.concatenate([x, np.zeros_like(x)], axis=2)) == 7
    assert find_stride(np.concatenate([cut(100, 24), np.zeros_like(x)], axis=2)) is None


def test_windows_of_several_recordings():
    """One pair in five is of two recordings; with single pairs of recordings, every other pair does not overlap."""
    assert find_stride(np.concatenate([cut(5, 7, seed=seed) for seed in range(30)])) == 7
    assert find_stride(np.concatenate([cut(2, 7, seed=seed) for seed in range(32)] + [cut(1, 7, seed=99)])) is None


def test_the_stride_of_most_windows_counts():
    assert find_stride(np.concatenate([cut(60, 3), cut(30, 5, seed=1)])) == 3
    assert find_stride(np.concatenate([cut(40, 3), cut(40, 5, seed=1), cut(40, 8, seed=2)])) is None


def test_two_windows():
    pieces = find_pieces(cut(2, 7))
    assert pieces.number.tolist() == [0, 1]
    assert pieces.border[0] == pieces.border[1]
    assert find_pieces(cut(1, 7)) is None


def test_pieces_by_hand():
    """Windows of 24 rows every 12: three on each side of the border begin less than 48 rows from the nearest on the other."""
    number, border, stride = find_pieces(cut(20, 12))
    assert stride == 12
    np.testing.assert_array_equal(number, np.repeat([0, 1], 10))
    np.testing.assert_array_equal(np.flatnonzero(border == border[9]), np.arange(7, 13))
    assert len(np.unique(border)) == 20 - 6 + 1


@pytest.mark.parametrize(
    ("count", "stride", "expected"),
    [(3, 1, 2), (200, 1, 2), (300, 1, 3), (490, 1, 5), (1000, 1, PIECES), (9, 23, 2), (14, 23, 3), (100, 23, PIECES)],
)
def test_number_of_pieces(count, stride, expected):
    """Each is four windows long at least, about, except that there are two."""
    number = find_pieces(cut(count, stride)).number
    assert (np.diff(number) >= 0).all()
    sizes = np.bincount(number)
    assert len(sizes) == expected
    assert np.ptp(sizes) <= 1


@pytest.mark.parametrize("steps", [16, 24])
@pytest.mark.parametrize("stride", [1, 2, 5, 7, 12, 15])
def test_windows_of_two_pieces_that_are_compared_are_a_window_apart(stride, steps):
    """Their starts differ by two windows or more, and only windows for which this matters are near a border."""
    for count in [*range(2, 40), 60, 97, 129, 145, 150, 193, 200, 245, 300, 385, 386, 400, 500]:
        number, border, _ = find_pieces(cut(count, stride, steps))
        rows = np.abs(np.arange(count)[:, None] - np.arange(count)) * stride
        is_other_piece = number[:, None] != number
        is_same_border = border[:, None] == border
        assert (rows[is_other_piece & ~is_same_border] >= 2 * steps).all(), count
        is_near = np.where(is_other_piece, rows, np.inf).min(axis=1) < 2 * steps
        np.testing.assert_array_equal(is_near, np.bincount(border)[border] > 1, str(count))


def test_memory_mapped_windows(tmp_path):
    x = cut(100, 7)
    np.save(tmp_path / "x.npy", x)
    found, expected = find_pieces(np.load(tmp_path / "x.npy", mmap_mode="r")), find_pieces(x)
    np.testing.assert_array_equal(found.number, expected.number)
    np.testing.assert_array_equal(found.border, expected.border)
    assert found.stride == expected.stride
