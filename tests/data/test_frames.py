"""Which columns of tables are channels, times and labels."""

import logging

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data.frames import FrameConverter, convert_frame
from amsl_tf.data.reading import Reading
from amsl_tf.errors import AMSLError, DataError

TIMES = pd.date_range("2024-01-01", periods=3, freq="s")
SECONDS = np.array(["2024-01-01T00:00:00", "2024-01-01T00:00:01", "2024-01-01T00:00:02"], "M8[ns]")


@pytest.fixture
def frame():
    columns = {"datetime": TIMES.astype(str), "x": [1.0, 2, np.nan], "y": [4, 5, 6], "anomaly": [0, 1, 0]}
    return pd.DataFrame(columns)


def convert(frame, names=(), **reading):
    return convert_frame(frame, Reading(**reading), names, "a")


def test_roles_of_columns(frame):
    names, rows, zone = convert(frame, label="anomaly")
    assert (names, zone) == (("x", "y"), None)
    np.testing.assert_array_equal(rows.x, [[1, 4], [2, 5], [np.nan, 6]])
    assert (rows.row.tolist(), rows.label.tolist(), rows.starts) == ([0, 1, 2], [0, 1, 0], None)
    assert rows.label.dtype == np.int8
    np.testing.assert_array_equal(rows.time, SECONDS)


def test_columns_may_be_named(frame):
    names, rows, _ = convert(frame, columns=["y", "x"])
    assert names == ("y", "x")
    np.testing.assert_array_equal(rows.x[0], [4, 1])
    assert rows.label is None
    names, rows, _ = convert(frame, drop=["anomaly", "x"], time="none", columns=["y"])
    assert names == ("y",)
    assert rows.time is None
    names, rows, _ = convert(frame, drop=["anomaly", "datetime"], time="y")
    assert names == ("x",)
    assert rows.time.tolist() == [4, 5, 6]


def test_names_of_the_detector_select_the_channels(frame, caplog):
    caplog.set_level(logging.INFO)
    names, rows, _ = convert(frame, ["y", "x"])
    assert names == ("y", "x")
    assert rows.x[0].tolist() == [4, 1]
    assert "a: columns that are not among the channels are ignored: anomaly" in caplog.messages
    assert convert(frame, ["y", "x"], columns=["x", "y"])[0] == ("y", "x")  # the same channels, in the detector's order
    assert convert(frame, ["a", "b"], columns=["x", "y"])[0] == ("x", "y")
    with pytest.raises(
        DataError,
        match=r"expected the 3 channels z, y, w, missing: z, w; new: x, anomaly. Name the 3.* leave out z, w",
    ):
        convert(frame, ["z", "y", "w"])
    with pytest.raises(DataError, match=r"expected 3 channels, found 2 in --columns: x, y. Name the columns that are a, b, c"):
        convert(frame, ["a", "b", "c"], columns=["x", "y"])


def test_columns_without_names_are_channels_in_order():
    frame = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]])
    assert convert(frame)[0] == ("channel 0", "channel 1")
    assert convert(frame, ["x", "y"])[0] == ("x", "y")
    assert convert(frame, ["channel 1"])[1].x.tolist() == [[2], [4]]
    assert convert(frame, columns=["1", "0"])[1].x.tolist() == [[2, 1], [4, 3]]
    with pytest.raises(DataError, match="missing: x; new: channel 0, channel 1"):
        convert(frame, ["x"])


@pytest.mark.parametrize("name", [None, "when", "time"])
def test_index_of_dates_holds_the_times(name):
    index = TIMES.tz_localize("UTC").tz_convert("Europe/Berlin").rename(name)
    names, rows, zone = convert(pd.DataFrame({"time_of_cycle": [3.0, 2, 1]}, index))
    assert names == ("time_of_cycle",)
    np.testing.assert_array_equal(rows.time, SECONDS)
    assert zone == "Europe/Berlin"


def test_other_index_holds_times_by_name():
    frame = pd.DataFrame({"x": [1.0, 2]}, pd.Index([5, 6], name="t"))
    assert convert(frame)[1].time.tolist() == [5, 6]
    assert convert(frame.rename_axis("i"))[1].time is None
    assert convert(frame.rename_axis("i"), time="i")[1].time.tolist() == [5, 6]


@pytest.mark.parametrize(
    ("column", "name", "is_found"),
    [
        (TIMES, "when", True),
        (TIMES.astype(str), "utc_time", True),
        (TIMES.astype(str), "", True),  # the index, as pandas writes it
        ([0.0, 0.1, 0.2], "t", True),
        ([20.5, 20.1, 20.0], "t", False),  # a temperature
        ([0.0, 0.1, 0.2], "lifetime", False),
    ],
)
def test_times_are_found_by_name_or_type(column, name, is_found):
    names, rows, _ = convert(pd.DataFrame({name: column, "x": 1}))
    assert (rows.time is not None) == is_found
    assert names == (("x",) if is_found else (name, "x"))


@pytest.mark.parametrize("name", ["Zeit", "Messung", "when"])
def test_dates_that_are_text_are_times(name, caplog):
    caplog.set_level(logging.INFO)
    texts = TIMES.strftime("%d.%m.%Y %H:%M:%S")
    names, rows, _ = convert(pd.DataFrame({"x": [1.0, 2, 3], name: texts}))
    assert names == ("x",)
    np.testing.assert_array_equal(rows.time, SECONDS)
    assert f"a: the times are in column {name}" in caplog.messages


def test_names_come_before_dates():
    frame = pd.DataFrame({"installed": ["2020-01-01", "2020-01-02", "2020-01-03"], "Zeit": TIMES.astype(str), "x": 1})
    np.testing.assert_array_equal(convert(frame, ["x"])[1].time, SECONDS)


@pytest.mark.parametrize(
    "cells",
    [["2024-01-01"] * 3, ["1.2.3.4", "1.2.3.5", "1.2.3.6"], ["2024-01-01", "off", "on"], ["12-345-6", "12-345-7", "12-345-8"]],
)
def test_other_texts_are_not_times(cells):
    assert convert(pd.DataFrame({"note": cells, "x": 1}), ["x"])[1].time is None


def test_columns_with_a_role_are_not_times(frame):
    frame = frame.rename(columns={"datetime": "when"})
    assert convert(frame, drop=["when"])[1].time is None
    with pytest.raises(DataError, match=r"column when, row 0 .* looks like a time, not a channel: name it with --time"):
        convert(frame, columns=["when", "x"])


def test_usual_column_of_times(frame):
    def time_name(frame, names=(), **reading):
        return FrameConverter(frame, Reading(**reading), names, "a").time_name

    frame = frame.assign(cycle=[7, 8, 9])
    assert time_name(frame) == "datetime"
    assert time_name(frame, usual_time="cycle") == "cycle"
    assert time_name(frame, usual_time="cycle", time="datetime") == "datetime"
    assert time_name(frame, usual_time="other") == "datetime"
    assert time_name(frame, ["cycle"], usual_time="cycle") == "datetime"
    assert time_name(frame, usual_time="cycle", time="none") is None
    assert time_name(frame.set_index(TIMES), usual_time="cycle") == "cycle"
    assert time_name(frame.set_index(TIMES), usual_time="other") == "index"
    assert time_name(frame.set_index("cycle"), usual_time="cycle") == "cycle"
    assert time_name(frame[["x"]]) is None
    assert convert(frame, usual_time="cycle", drop=["datetime"])[1].time.tolist() == [7, 8, 9]


def test_format_of_times(frame):
    frame["datetime"] = ["01/02/2024", "02/02/2024", "03/02/2024"]
    for name in ("datetime", "when"):
        found = convert(frame.rename(columns={"datetime": name}), time_format="%d/%m/%Y")[1].time
        assert found.astype("M8[D]").astype(str).tolist() == ["2024-02-01", "2024-02-02", "2024-02-03"]
    with pytest.raises(DataError, match=r"day and month cannot be told apart.*--time-format '%d/%m/%Y' or '%m/%d/%Y'"):
        convert(frame)


def test_texts_for_missing_values():
    frame = pd.DataFrame({"x": [1.0, "Störung", -999.0], "y": [-999, 2, 3]})
    rows = convert(frame, na=["Störung", "-999"])[1]
    np.testing.assert_array_equal(rows.x, [[1, np.nan], [np.nan, 2], [np.nan, 3]])
    with pytest.raises(DataError, match=r"found 'Störung'. Correct it, name it with --na .*, or leave the column out"):
        convert(frame)
    with pytest.raises(DataError, match=r"found 'Störung'. Correct it, or name it with --na if it stands for a [^,]+\.$"):
        convert(frame, ["x", "y"])


def test_column_that_is_left_out_may_be_in_some_recordings_only(frame, caplog):
    caplog.set_level(logging.INFO)
    assert convert(frame, ["x"], drop=["z"])[0] == ("x",)
    assert "a: there is no column z to leave out" in caplog.messages


def test_channels_of_the_detector_are_not_times():
    frame = pd.DataFrame({"t": [1.0, 2], "x": [3, 4]})
    assert convert(frame, ["x", "t"])[1].time is None
    assert convert(frame, columns=["t", "x"])[1].x.tolist() == [[1, 3], [2, 4]]


def test_columns_without_a_name_are_ignored(caplog):
    caplog.set_level(logging.INFO)
    frame = pd.DataFrame([[0, 1.5, np.nan], [1, 2.5, np.nan]], columns=["", "x", ""])
    assert convert(frame)[0] == ("x",)
    assert "a: columns without a name are ignored: number 1, 3" in caplog.messages


@pytest.mark.parametrize(
    ("values", "warnings"), [([0, 1, 0], 1), ([0.0, np.nan, 1.0], 1), ([0, 1, 2], 0), ([0.0, 0.5, 1.0], 0)]
)
def test_columns_that_look_like_labels_are_a_warning(values, warnings, caplog):
    frame = pd.DataFrame({"x": [1.0, 2, 3], "Anomaly": values})
    assert convert(frame)[0] == ("x", "Anomaly")
    assert len(caplog.messages) == warnings
    assert all("column Anomaly looks like a label, but is used as a channel" in message for message in caplog.messages)
    caplog.clear()
    convert(frame, ["x"])
    convert(frame, drop=["Anomaly"])
    assert not caplog.messages


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 1, 1], [0, 1, 1]),
        ([0.0, 1.0, 1.0], [0, 1, 1]),
        ([True, False, True], [1, 0, 1]),
        (["True", "false", " 1 "], [1, 0, 1]),
        (pd.array([True, False, True], "boolean"), [1, 0, 1]),
        ([0, 1, 2], "row 2 .from 0.: expected a label, 0 or 1, found 2"),
        (["normal", "attack", "normal"], "row 0 .from 0.: expected a label, 0 or 1, found 'normal'"),
        ([0.0, np.nan, 1.0], "row 1 .from 0.: expected a label, 0 or 1, found nan"),
        ([0.0, 1.0, np.nan], [0, 1, 0]),  # a blank row
    ],
)
def test_labels(labels, expected):
    frame = pd.DataFrame({"x": [1.0, 2.0, np.nan], "fault": labels})
    if isinstance(expected, str):
        with pytest.raises(DataError, match=f"^a: column fault, {expected}. Correct it"):
            convert(frame, label="fault")
    else:
        assert convert(frame, label="fault")[1].label.tolist() == expected


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        ({"columns": ["yy"]}, "there is no column yy, named in --columns. Did you mean y?"),
        ({"drop": ["speed"]}, "there is no column speed, named in --drop. There are datetime, x, y, anomaly."),
        ({"time": "datatime"}, "there is no column datatime, named in --time. Did you mean datetime?"),
        ({"label": "anomly"}, "there is no column anomly, named in --label. Did you mean anomaly?"),
        ({"time": "none"}, "column datetime, row 0 .from 0.: expected a number, .* looks like a time.*--time or --drop"),
        ({"drop": ["x", "y"], "label": "anomaly"}, "expected channels, found only datetime, x, y, anomaly"),
    ],
)
def test_unknown_and_unusable_columns_are_errors(frame, reading, message):
    with pytest.raises(DataError, match=f"^a: {message}"):
        convert(frame, **reading)


def test_repeated_columns(caplog):
    frame = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["x", "a", "a"])
    assert convert(frame, columns=["x"])[0] == ("x",)
    assert convert(frame, ["x"])[0] == ("x",)
    assert caplog.messages == ["a: the names of some columns occur several times: a."]
    for reading in ({}, {"columns": ["a"]}):
        with pytest.raises(DataError, match=r"column a.* occurs 2 times. Give each its own name"):
            convert(frame, **reading)


def test_messages_name_few_of_many_columns():
    frame = pd.DataFrame(np.ones((1, 2000)), columns=["a" * 50, *(f"column {number}" for number in range(1999))])
    with pytest.raises(DataError, match=r"new: a{40}\.\.\., column 0, .*column 6, \.\.\. \(2,000 in all\)\. Name the") as error:
        convert(frame, ["x"])
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"x": []}), {"x": [1.0]}])
def test_other_tables_are_errors(frame):
    with pytest.raises(DataError, match=r"^a: expected"):
        convert(frame)


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        ({"columns": "x"}, "columns must be a list of names"),
        ({"drop": ["x", "x"]}, "drop must differ"),
        ({"header": 1}, "header must be True or False"),
        ({"time": None}, "time must be text"),
        ({"decimal": ";"}, "decimal must be one of"),
        ({"usual_time": None}, "usual_time must be text"),
        ({"time_format": "dd/mm"}, "time_format must be as in %d/%m/%Y"),
        ({"na": "Bad"}, "na must be a list of names"),
        ({"encoding": "windows"}, "encoding must be one of Python, such as utf-8 or cp1252. Received: 'windows'"),
        ({"encoding": "rot13"}, "encoding must be one of Python"),
        ({"delimiter": ";;"}, "delimiter must be one character"),
        ({"delimiter": "1"}, "delimiter must be one character"),
        ({"delimiter": "."}, "delimiter must be one character"),
        ({"columns": ["x"], "label": "x"}, "Received twice: x"),
        ({"time": "t", "drop": ["t"]}, "Received twice: t"),
    ],
)
def test_settings_are_validated(reading, message):
    with pytest.raises(AMSLError, match=message):
        Reading(**reading)
