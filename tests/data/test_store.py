"""Files of windows."""

import numpy as np
import pytest

from amsl_tf.data.store import ArrayWriter
from amsl_tf.errors import DataError


def test_array_is_written_in_parts(tmp_path):
    x = np.arange(24.0).reshape(4, 3, 2)
    with ArrayWriter(tmp_path / "x.npy", (4, 3, 2)) as array:
        array.append(x[:1])
        array.append(x[1:])
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), x)
    assert np.load(tmp_path / "x.npy").dtype == np.float32


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([(4, 2, 3)], r"received a part of shape \(4, 2, 3\)"),
        ([(3, 3, 2), (2, 3, 2)], "ends at row 5"),
        ([(3, 3, 2)], "expected 4 rows, received 3"),
        ([], "expected 4 rows, received 0"),
    ],
)
def test_parts_that_do_not_fit_are_rejected(tmp_path, parts, message):
    with pytest.raises(DataError, match=f"x.npy: .*{message}"):
        _write(tmp_path / "x.npy", parts)


def _write(file, parts):
    with ArrayWriter(file, (4, 3, 2)) as array:
        for shape in parts:
            array.append(np.zeros(shape))


def test_errors_inside_the_block_pass_through(tmp_path):
    with pytest.raises(KeyboardInterrupt), ArrayWriter(tmp_path / "x.npy", (4, 3, 2)):
        raise KeyboardInterrupt
