"""Times that must rise, by hand."""

import numpy as np
import pytest

from amsl_tf.data.times import check_rising
from amsl_tf.errors import DataError


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ([3, 3], r"a.csv, row 1 \(from 0\): a repeated time, 3 after 3"),
        ([3, 2.5], r"row 1 \(from 0\): a time that does not rise, 2.5 after 3.0"),
        ([3, np.nan], "does not rise, nan after 3.0"),
        (np.array(["2020-01-02", "2020-01-01"], "datetime64[s]"), "2020-01-01.* after 2020-01-02"),
    ],
)
def test_times_that_do_not_rise(time, message):
    with pytest.raises(DataError, match=message):
        check_rising("a.csv", np.asarray(time))
