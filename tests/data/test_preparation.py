"""The preparation of recordings: values by hand, and that parts do not matter."""

import dataclasses
import itertools
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amsl_tf.data import times as times_module
from amsl_tf.data.findings import Findings
from amsl_tf.data.preparation import Preparation, default_max_gap, prepare
from amsl_tf.data.rows import Rows
from amsl_tf.data.times import find_period
from amsl_tf.errors import AMSLError, DataError

NAN = np.nan
FIELDS = [item.name for item in dataclasses.fields(Rows)]


def make_rows(x, time=None, label=None, first_row=0):
    x = np.array(x, np.float64)
    x = x[:, None] if x.ndim == 1 else x
    time = None if time is None else np.array(time, None if isinstance(time, np.ndarray) else np.float64)
    label = None if label is None else np.array(label, np.int8)
    return Rows(x, np.arange(len(x)) + first_row, time, label)


def run(rows, cuts=(), **settings):
    """Prepares rows that are cut into parts, and joins the result."""
    findings = Findings("a.csv")
    edges = [0, *cuts, len(rows)]
    parts = [rows[low:high] for low, high in itertools.pairwise(edges)]
    found = list(prepare(iter(parts), Preparation(**settings), findings))
    columns = ([getattr(part, name) for part in found] for name in FIELDS)
    return Rows(*(None if column[0] is None else np.concatenate(column) for column in columns)), findings


def to_dates(seconds):
    return np.datetime64("2024-03-01", "ns") + np.round(1e9 * np.array(seconds)).astype("timedelta64[ns]")


@pytest.mark.parametrize("as_times", [np.array, to_dates])
def test_segments_begin_after_gaps_and_falls(as_times):
    """Steps of 1, 1, 3, 0, 2.5, -4 and 1 seconds, where 2.5 are no gap yet."""
    found, findings = run(make_rows(np.zeros(8), as_times([0.0, 1, 2, 5, 5, 7.5, 3.5, 4.5])), period=1.0, max_gap=2.5)
    assert found.starts.tolist() == [True, False, False, True, False, False, True, False]
    assert findings.steps == {"gap": 1, "repeated": 1, "backwards": 1}
    assert findings.places == {"gap": (3, 3.0), "repeated": (4, 0.0), "backwards": (6, -4.0)}
    assert findings.describe() == [
        "1 gap in time: 3 s before row 3 (from 0); longer than --max-gap: no window spans it",
        "1 repeated time: before row 4 (from 0)",
        "1 step back in time: before row 6 (from 0); no window spans it",
    ]


def test_without_times_all_rows_follow_each_other():
    found, findings = run(make_rows([1, 2, 3], first_row=7), [1], max_gap=1.0)
    assert found.starts.tolist() == [True, False, False]
    assert (found.row.tolist(), found.time, found.x.dtype) == ([7, 8, 9], None, np.float32)
    assert (findings.rows, findings.describe()) == (3, [])


@pytest.mark.parametrize("as_times", [np.array, to_dates])
@pytest.mark.parametrize("cuts", [[], [1], [2], [3, 4, 5]])
def test_missing_times_continue_the_time_before(as_times, cuts):
    expected = as_times([0.0, 1, 2, 3, 4, 5, 6])
    time = expected.copy()
    time[[0, 1, 3, 4, 6]] = np.array("NaT", time.dtype) if time.dtype.kind == "M" else NAN
    for period in (1.0, None):  # None: found from the two times that are known
        found, findings = run(make_rows(np.zeros(7), time), cuts, period=period)
        np.testing.assert_array_equal(found.time, expected)
        assert not findings.steps
    found, findings = run(make_rows(np.zeros(7), time), cuts, period=2.0, resample=True, max_gap=9)
    assert found.starts.tolist() == [True, False, False, False]
    np.testing.assert_array_equal(found.time, as_times([0.0, 2, 4, 6]))


def test_recording_without_any_time_is_an_error():
    with pytest.raises(DataError, match=r"a.csv: expected times, found only missing ones"):
        run(make_rows(np.zeros(3), [NAN, NAN, NAN]), [1])


def test_mean_in_intervals_by_hand():
    """Intervals of 2 s from 0, 2, 4, 6 and 8 on; none has a row from 4 to 8, and labels are those of any row."""
    rows = make_rows([[1, 10], [3, NAN], [5, NAN], [7, 4]], [0.5, 1.9, 2.0, 8.0], [0, 1, 0, 0])
    found, findings = run(rows, period=2.0, resample=True, max_gap=10)
    np.testing.assert_array_equal(found.x, [[2, 10], [5, NAN], [NAN, NAN], [NAN, NAN], [7, 4]])
    assert found.time.tolist() == [0, 2, 4, 6, 8]
    assert found.row.tolist() == [0, 2, 2, 2, 3]
    assert found.label.tolist() == [1, 0, 0, 0, 0]
    assert found.starts.tolist() == [True, False, False, False, False]
    assert (findings.rows, findings.left) == (5, 5)


def test_last_in_intervals_by_hand():
    rows = make_rows([[1, 10], [3, NAN], [5, NAN], [7, 4]], to_dates([0.5, 1.9, 2.0, 5.0]))
    found, _ = run(rows, period=2.0, resample=True, resample_by="last", max_gap=10)
    np.testing.assert_array_equal(found.x, [[3, NAN], [5, NAN], [7, 4]])
    np.testing.assert_array_equal(found.time, to_dates([0, 2, 4]))


def test_no_rows_are_inserted_into_gaps():
    found, findings = run(make_rows([1, 2, 3, 4], [0.0, 1, 1e6, 1e6 + 1]), period=1.0, resample=True, max_gap=10)
    assert found.x[:, 0].tolist() == [1, 2, 3, 4]
    assert found.time.tolist() == [0, 1, 1e6, 1e6 + 1]
    assert found.starts.tolist() == [True, False, True, False]
    assert findings.steps == {"gap": 1}


def test_rows_of_one_interval_in_two_segments_are_not_mixed():
    found, _ = run(make_rows([1, 3, 5, 9], [0.1, 0.2, 0.0, 0.9]), period=1.0, resample=True, max_gap=10)
    assert found.x[:, 0].tolist() == [2, 7]
    assert found.starts.tolist() == [True, True]


def test_resampling_needs_times():
    with pytest.raises(DataError, match=r"a.csv: expected times to resample, found none. Name their column"):
        run(make_rows([1, 2]), period=1.0, resample=True)


def test_times_that_are_not_exact_stay_in_their_interval():
    found, _ = run(make_rows(np.arange(100.0), np.arange(100) * 0.1), period=0.1, resample=True, max_gap=1)
    assert found.x[:, 0].tolist() == list(range(100))


def test_interpolation_by_hand():
    """Up to two values in a row, not at the ends, and each channel by itself."""
    x = [[NAN, 1], [2, NAN], [NAN, 3], [NAN, NAN], [8, NAN], [NAN, NAN], [NAN, 7], [NAN, NAN], [0, NAN]]
    found, findings = run(make_rows(x), max_fill=2)
    assert np.isnan(found.x[:, 0]).tolist() == [True, False, False, False, False, True, True, True, False]
    assert found.x[1:5, 0].tolist() == [2, 4, 6, 8]
    np.testing.assert_array_equal(found.x[:, 1], [1, 2, 3, NAN, NAN, NAN, 7, NAN, NAN])
    assert (findings.filled, findings.left) == (3, 9)
    assert findings.describe() == [
        "3 missing values were interpolated",
        "9 missing values are left, as runs exceed --max-fill: the channels are missing in these windows",
    ]


def test_nothing_is_interpolated_over_gaps():
    found, findings = run(make_rows([1, NAN, 3, NAN, 5], [0.0, 1, 10, 11, 12]), period=1.0, max_gap=5, max_fill=3)
    np.testing.assert_array_equal(found.x[:, 0], [1, NAN, 3, 4, 5])
    assert findings.describe()[1:] == [
        "1 missing value was interpolated",
        "1 missing value is left, as runs exceed --max-fill: the channels are missing in these windows",
    ]


@pytest.mark.parametrize("cuts", [[], [2], [1, 2, 3, 4]])
def test_channel_without_any_value(cuts):
    found, _ = run(make_rows([[1, NAN]] * 5), cuts, max_fill=2)
    assert np.isnan(found.x[:, 1]).all()
    assert (found.x[:, 0] == 1).all()


def test_missing_values_may_be_refused():
    assert len(run(make_rows([1, 2]), missing="refuse")[0]) == 2
    message = r"a.csv, row 1,008, channel 1 \(counted from 0\): expected a number, found a missing value. Fill it"
    with pytest.raises(DataError, match=message):
        run(make_rows([[1, 2]] * 8 + [[1, NAN]], first_row=1000), [3], missing="refuse", max_fill=9)


def test_unusable_values_are_missing():
    found, findings = run(make_rows([np.inf, 1e39, -1e31, 1e30, NAN]))
    np.testing.assert_array_equal(found.x[:, 0], np.array([NAN, NAN, NAN, 1e30, NAN], np.float32))
    assert (findings.unusable, findings.left) == (3, 4)
    assert findings.describe()[0] == "3 values that are infinite or beyond 1e+30 count as missing"
    assert run(make_rows([np.inf, 0]))[1].describe()[0] == "1 value that is infinite or beyond 1e+30 counts as missing"


def test_other_sampling_rate_is_refused():
    for step in (0.95, 1.05):
        run(make_rows(np.zeros(30), step * np.arange(30)), period=1.0)
    message = r"a.csv: expected a row every 1 s, as in the recordings before; found one every 0.5 s. Resample all"
    for step, count, cuts in ((0.5, 30, []), (0.5, 30, [3]), (0.5, 9000, [2000, 4000])):
        rows = make_rows(np.zeros(count), step * np.arange(count))
        with pytest.raises(DataError, match=message):
            run(rows, cuts, period=1.0)
        assert len(run(rows, cuts, period=1.0, resample=True, max_gap=9)[0]) == count / 2
    run(make_rows([1.0], [3.0]), period=1.0)  # nothing is known of one row


@pytest.mark.parametrize("name", ["resample_by", "missing"])
def test_invalid_preparation(name):
    with pytest.raises(AMSLError, match=name):
        Preparation(**{name: "other"})


@pytest.mark.parametrize("as_times", [np.array, to_dates])
def test_periods_by_hand(as_times):
    assert find_period(as_times([0.0, 1, 2, 10, 11])) == 1
    assert find_period(as_times([0.0, 0.02, 0.04, 0.04, 0.06, 0.08, 0.1])) == pytest.approx(0.02)
    assert find_period(as_times([5.0])) is None
    assert find_period(as_times([5.0, 5.0])) is None
    assert find_period(None) is None


@pytest.mark.parametrize("rate", [3, 50, 100, 800])
@pytest.mark.parametrize("phase", [0.0, 0.3, 0.9])
def test_period_of_coarse_times(rate, phase):
    """Times in whole seconds, which repeat; an hour is missing."""
    time = np.floor(np.arange(4000) / rate + phase)
    time[2000:] += 3600
    expected = pytest.approx(1 / rate, rel=0.05)
    assert find_period(time) == expected
    assert find_period(to_dates(time)) == expected


def test_default_of_the_largest_gap():
    assert default_max_gap(100, 0.5) == 12.5
    assert default_max_gap(7, 1.0) == 2.5  # one missing row is no gap
    assert default_max_gap(100, None) is None


def test_report(caplog):
    caplog.set_level(logging.INFO)
    Findings("a.csv", filled=1234).report()
    assert caplog.messages == ["a.csv: 1,234 missing values were interpolated."]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    cuts=st.lists(st.integers(0, 120), max_size=12).map(sorted),
    kind=st.sampled_from(["float", "dates", "none"]),
    values=st.sampled_from(
        [
            {"period": 1.0, "max_gap": 10, "max_fill": 3},
            {"max_gap": 10, "max_fill": 1},
            {"period": 2.0, "resample": True, "max_gap": 10, "max_fill": 3},
            {"period": 2.0, "resample": True, "resample_by": "last", "max_gap": 10},
        ]
    ),
)
def test_parts_do_not_matter(seed, cuts, kind, values):
    if kind == "none":
        values = {**values, "resample": False}
    rng = np.random.default_rng(seed)
    time = np.cumsum(rng.choice([1.0] * 9 + [0, 2, 7, 30, -3], 120))
    time[rng.random(120) < 0.1] = NAN
    x = rng.normal(size=(120, 2))
    x[rng.random((120, 2)) < 0.3] = NAN
    x[rng.random((120, 2)) < 0.02] = np.inf
    times = {"float": time, "none": None, "dates": to_dates(np.nan_to_num(time))}
    times["dates"][np.isnan(time)] = np.datetime64("NaT")
    rows = make_rows(x, times[kind], rng.random(120) < 0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(times_module, "EXAMINED", 8)
        patch.setattr(times_module, "SAME_RATE", 1e9)
        whole, expected = run(rows, **values)
        found, findings = run(rows, cuts, **values)
    assert findings == expected
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), err_msg=name)
    if not values.get("resample"):
        is_number = np.isfinite(x)
        np.testing.assert_array_equal(found.x[is_number], x[is_number].astype(np.float32))


def test_resampling_to_more_rows_is_said():
    _, findings = run(make_rows(np.zeros(20), np.arange(20.0) * 2), period=1.0, resample=True, max_gap=10.0, max_fill=1)
    assert "a row every 2 s, of which resampling makes one every 1 s" in findings.describe()[0]
    _, findings = run(make_rows(np.zeros(20), np.arange(20.0)), period=2.0, resample=True, max_gap=10.0, max_fill=1)
    assert not findings.describe()


def test_long_gaps_are_not_filled():
    """A gap of 20,000 s within `max_gap` would be as many rows of missing values."""
    time = np.append(np.arange(5.0), 20_000 + np.arange(5.0))
    found, _ = run(make_rows(np.zeros(10), time), period=1.0, resample=True, max_gap=1e9)
    assert found.time.tolist() == time.tolist()
    assert np.flatnonzero(found.starts).tolist() == [0, 5]
