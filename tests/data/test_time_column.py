"""The conversion of columns of times."""

import datetime
import logging

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data.time_column import TimeColumn, is_date, is_time, resembles_time
from amsl_tf.errors import DataError

DATES = pd.Series(pd.date_range("2024-01-13 23:59:58", periods=5, freq="s"))  # the day cannot be a month
EXPECTED = np.array(["2024-01-13T23:59:58", "2024-01-13T23:59:59", *(f"2024-01-14T00:00:0{i}" for i in range(3))], "M8[ns]")


def convert(times, name="time", size=5):
    column = TimeColumn(name, "a.csv", times[:size])
    parts = [column.convert(times[start : start + size], start) for start in range(0, len(times), size)]
    return np.concatenate(parts), column.time_zone


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize(
    "times",
    [
        DATES,
        DATES.dt.as_unit("s"),
        DATES.astype(str),
        DATES.map(datetime.datetime.isoformat),
        DATES.map(lambda time: time.to_pydatetime()).astype(object),
        DATES.dt.strftime("%Y%m%dT%H%M%S"),
        DATES.dt.strftime("%Y/%m/%d %H:%M:%S"),
        DATES.dt.strftime("%d.%m.%Y %H:%M:%S"),
        DATES.dt.strftime(" %d/%m/%Y %H:%M:%S "),
        DATES.dt.strftime("%m/%d/%Y %I:%M:%S %p"),
        DATES.dt.strftime("%d-%b-%Y %H:%M:%S,000"),
    ],
)
def test_dates(times, size):
    found, zone = convert(times, size=size)
    assert found.dtype == "M8[ns]"
    assert zone is None
    np.testing.assert_array_equal(found, EXPECTED)


@pytest.mark.parametrize(
    ("text", "expected", "zone"),
    [
        ("2024-01-13T10:00:00.25Z", "2024-01-13T10:00:00.25", "UTC"),
        ("2024-01-13T10Z", "2024-01-13T10:00:00", "UTC"),
        ("20240113T100000Z", "2024-01-13T10:00:00", "UTC"),
        ("2024-01-13 10:00 UTC", "2024-01-13T10:00", "UTC"),
        ("2024-01-13 10:00:00+00:00", "2024-01-13T10:00", "UTC"),
        ("2024-01-13 10:00:00+02:00", "2024-01-13T08:00", "+02:00"),
        ("2024-01-13 10:00:00-0330", "2024-01-13T13:30", "-03:30"),
        ("13.01.2024 10:00:00,5 +01", "2024-01-13T09:00:00.5", "+01:00"),
        ("2024-01-13", "2024-01-13", None),
        ("2024-01-13 10:00:00.123456789", "2024-01-13T10:00:00.123456789", None),
    ],
)
def test_offsets_become_utc(text, expected, zone):
    found, found_zone = convert(pd.Series([text]))
    assert found.tolist() == np.array([expected], "M8[ns]").tolist()
    assert found_zone == zone


def test_time_zones_of_pandas_become_utc():
    times = DATES.dt.tz_localize("Europe/Berlin")  # one hour ahead in winter
    found, zone = convert(times, size=2)
    np.testing.assert_array_equal(found, EXPECTED - np.timedelta64(1, "h"))
    assert zone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("times", "name", "expected"),
    [
        ([0, 1, 2.5], "time", [0, 1, 2.5]),
        ([0, 10, 25], "t_ms", [0, 0.01, 0.025]),
        ([0, 10, 25], "Time [ms]", [0, 0.01, 0.025]),
        ([0, 10, 25], "time_us", [0, 1e-5, 2.5e-5]),
        ([0, 10, 25], "time (ns)", [0, 1e-8, 2.5e-8]),
        ([0, 1, 2], "Time [min]", [0, 60, 120]),
        ([0, 1, 2], "times", [0, 1, 2]),
        ([1_700_000_000, 1_700_000_001], "time", [1_700_000_000, 1_700_000_001]),
        ([1_700_000_000_500], "time", [1_700_000_000.5]),
        ([1_700_000_000_500_000], "time", [1_700_000_000.5]),
        ([1_700_000_000_500_000_000], "time", [1_700_000_000.5]),
        ([2e11], "time_s", [2e11]),
        (["00:00:01", "01:00:00.5", "36:00:00"], "time", [1, 3600.5, 129_600]),
        (pd.to_timedelta([1, 2], "min"), "time", [60, 120]),
    ],
)
def test_numbers_become_seconds(times, name, expected):
    found, zone = convert(pd.Series(times), name)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-15)
    assert zone is None


def test_other_units_are_logged(caplog):
    caplog.set_level(logging.INFO)
    convert(pd.Series([1, 2]), "time")
    assert not caplog.messages
    convert(pd.Series([1_700_000_000_000, 1_700_000_000_001]), "time", size=1)
    assert caplog.messages == ["a.csv: the times in column time are read in ms and converted to seconds"]


def test_missing_times_stay_missing():
    found, _ = convert(pd.Series(["2024-01-13", None, None, "2024-01-14"]), size=2)
    assert np.isnat(found).tolist() == [False, True, True, False]
    found, _ = convert(pd.Series([1.0, np.nan]))
    np.testing.assert_array_equal(found, [1, np.nan])
    found, _ = convert(pd.Series([1, None], dtype="Int64"))
    np.testing.assert_array_equal(found, [1, np.nan])
    column = TimeColumn("time", "a.csv", pd.Series(["2024-01-13"]))
    assert np.isnat(column.convert(pd.Series([np.nan, np.nan]), 1)).all()  # of pandas, a column of empty cells is float64


def test_day_of_dates_with_points_is_first(caplog):
    caplog.set_level(logging.INFO)
    found, _ = convert(pd.Series(["01.02.2024 10:00", "02.02.2024 10:00"]))
    assert found.astype("M8[D]").astype(str).tolist() == ["2024-02-01", "2024-02-02"]
    assert caplog.messages == ["a.csv: the dates in column time are read as day.month.year"]


def test_later_rows_tell_day_and_month_apart():
    found, _ = convert(pd.Series(["01/02/2024", "13/02/2024"]))
    assert found.astype("M8[D]").astype(str).tolist() == ["2024-02-01", "2024-02-13"]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (
            ["01/02/2024 10:00", "02/02/2024 10:00"],
            "day and month cannot be told apart, found '01/02/2024 10:00'. Name the format with --time-format "
            "'%d/%m/%Y %H:%M' or '%m/%d/%Y %H:%M', name another",
        ),
        (["x", "y"], "expected a time, found 'x'. Name its format with --time-format"),
        ([True, False], "expected a time, found 'True'"),
        ([None, None], "expected times, found none in the first 2 rows"),
        (
            ["2024-01-13", "2024-01-14", "x"],
            "row 2 .from 0.: expected a time as in the rows before, found 'x'. Correct it, name",
        ),
        (["2024-01-13", None, "10:00"], "row 2 .from 0.: expected a time as in the rows before, found '10:00'"),
        (["10:00:00", "2024-01-13"], "row 1 .from 0.: expected a time as in the rows before, such as 01:30:00, found '2024"),
        ([1.0, np.inf], "row 1 .from 0.: expected a finite number, as in the rows before, found 'inf'"),
        (
            ["2024-01-13T10:00|-01", "2024-01-13T10:00|-01"],
            r"expected a time as in the rows before, found '2024-01-13T10:00\|-01'",
        ),
        (["2024-01-13 10:00:00.5 -01:00:00"], "expected a time as in the rows before, found '2024"),
        (["2024-01-13", "1024-01-13"], "expected years from 1678 to 2261"),
        (
            ["2024-01-13 10:00+02:00", "2024-01-13 10:01Z"],
            r"found \+02:00 in row 0 and UTC in row 1 .from 0.. Write all times in UTC",
        ),
        (["2024-01-13 10:00Z", "2024-01-13 10:01Z", "2024-01-13 10:02"], "found UTC in row 0 and none in row 2"),
        (["2024-01-13 10:00", "2024-01-13 10:01Z"], "found none in row 0 and UTC in row 1"),
        ([20240131120000, 20240131120001], "found 20240131120000, which looks like a date. Name its format with --time-format"),
    ],
)
@pytest.mark.parametrize("size", [2, 3])
def test_invalid_times_are_errors(times, message, size):
    with pytest.raises(DataError, match=f"^a.csv: column time.*{message}") as error:
        convert(pd.Series(times), size=size)
    assert "\n" not in str(error.value)
    assert "--time none" in str(error.value)


@pytest.mark.parametrize(
    ("times", "time_format", "expected"),
    [
        (["01/02/2024 10:00", "02/02/2024 10:00"], "%d/%m/%Y %H:%M", "2024-02-01T10:00"),
        (["01/02/2024 10:00", "02/02/2024 10:00"], "%m/%d/%Y %H:%M", "2024-01-02T10:00"),
        (["2024|02|01 10:00:00,5+02:00"], "%Y|%m|%d %H:%M:%S,%f%z", "2024-02-01T08:00:00.5"),
        ([20240201100000, 20240201100001], "%Y%m%d%H%M%S", "2024-02-01T10:00"),
        ([20240201.0, np.nan], "%Y%m%d", "2024-02-01"),
        (DATES, "%H", "2024-01-13T23:59:58"),  # of pandas, dates have no format
    ],
)
def test_format_that_is_given(times, time_format, expected):
    times = pd.Series(times)
    found = TimeColumn("time", "a.csv", times, time_format).convert(times, 0)
    assert found[0] == np.datetime64(expected, "ns")


@pytest.mark.parametrize("time_format", ["%d/%m/%Y", "%q"])
def test_times_of_another_format_are_errors(time_format):
    times = pd.Series(["2024-01-13"])
    message = f"row 7 .from 0.: expected a time in the format '{time_format}', found '2024-01-13'"
    with pytest.raises(DataError, match=message):
        TimeColumn("time", "a.csv", times, time_format).convert(times, 7)


@pytest.mark.parametrize(
    "cell", ["2024-01-13", "13.01.2024 10:00", "1/2/2024 10:00:00 PM", "20240113T10", "2024-01-13 10:00+01"]
)
def test_cells_that_are_dates(cell):
    assert is_date(cell)


@pytest.mark.parametrize("cell", ["", "x", "1.5", "1.234.567", "12-345-6", "10:00:00", "192.168.1.1", "20240113"])
def test_cells_that_are_not_dates(cell):
    assert not is_date(cell)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("1/2/24", True), ("01.Feb.2024", True), (" 10:00", True), ("1.234.567", False), ("x", False), ("1.5", False)],
)
def test_cells_that_resemble_times(cell, expected):
    assert resembles_time(cell) == expected


def test_number_that_is_text_is_an_error():
    column = TimeColumn("time", "a.csv", pd.Series([1.0]))
    with pytest.raises(DataError, match=r"row 2 .from 0.: expected a finite number, as in the rows before, found 'x'"):
        column.convert(pd.Series([2.0, "x"], dtype=object), 1)


@pytest.mark.parametrize(
    "name",
    [
        *("time", " Time [s]", "utc_time", "Timestamp", "date", "t", "T", "ts"),
        *("Zeit", "Zeitstempel", "Datum/Uhrzeit", "fecha", "Hora", "heure (UTC)", "horodatage", "tijd", "data_ora", "clock"),
    ],
)
def test_names_of_times(name):
    assert is_time(name)


@pytest.mark.parametrize("name", ["t_oil", "lifetime", "x", ""])
def test_names_of_other_columns(name):
    assert not is_time(name)
