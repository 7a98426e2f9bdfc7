"""The command fit: a detector from recordings, and what it says of them."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from amsl_tf import AMSLDetector
from amsl_tf.data.frames import FrameConverter
from amsl_tf.evaluation.summary import summarise_detector
from tests.cli.conftest import assert_error, make_table, run

COVERED = 50 + 120 * 12  # rows of the 121 windows of 1,500 rows


def fit(fitted, tmp_path, *arguments):
    return run("fit", fitted / "normal.csv", "--detector", tmp_path / "new", "--window", 50, *arguments)


def test_summary_and_detector(fitted, tmp_path, capsys):
    assert fit(fitted, tmp_path) == 0
    lines = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["recordings"].strip() == "1, 1,500 rows (2 min 30 s)"
    assert lines["windows"].strip() == "121 of 50 rows (5 s), one every 12 rows (1.2 s)"
    assert lines["channels"].strip() == "3: a, b, c"
    detector = AMSLDetector.load(tmp_path / "new")
    scores = detector.decision_scores_
    flagged = (scores >= detector.threshold_).sum()
    assert lines["threshold"].strip().startswith(f"{detector.threshold_:.4g}, reached by {flagged} of 121 normal windows")
    assert lines["saved"].strip() == str(tmp_path / "new")


def test_json_is_the_summary(fitted, tmp_path, capsys):
    assert fit(fitted, tmp_path, "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    values = json.loads(line)
    assert {name: values[name] for name in ("rows", "windows", "window_rows", "stride_rows", "filled")} == {
        "rows": 1500,
        "windows": 121,
        "window_rows": 50,
        "stride_rows": 12,
        "filled": 0,
    }
    assert values["normal_seconds"] == pytest.approx(COVERED / 10)
    assert values["false_alarms_per_hour"] == pytest.approx(values["normal_events"] / (COVERED / 10) * 3600)
    assert values["channels"] == ["a", "b", "c"]


def test_quiet(fitted, tmp_path, capsys, caplog):
    assert fit(fitted, tmp_path, "--quiet") == 0
    output = capsys.readouterr()
    assert (output.out, output.err, caplog.text) == ("", "", "")


def test_windows_with_abnormal_rows_are_left_out(fitted, tmp_path, capsys):
    status = run("fit", fitted / "abnormal.csv", "--label", "fault", "--window", 50, "--detector", tmp_path / "new", "--json")
    assert status == 0
    values = json.loads(capsys.readouterr().out)
    # windows begin at rows 0, 12, ...; those from row 660 to 792 overlap the rows 700 to 799
    assert (values["abnormal_windows"], values["windows"]) == (12, 121 - 12)


def test_decimal_commas_and_gaps(fitted, tmp_path, capsys, caplog):
    """The same recording with semicolons, decimal commas and dates of day, month and year has the same threshold."""
    table = make_table()
    table["time"] = table["time"].dt.strftime("%d.%m.%Y %H:%M:%S.%f")
    table.to_csv(tmp_path / "german.csv", sep=";", decimal=",", index=False)
    status = run("fit", tmp_path / "german.csv", "--window", 50, "--detector", tmp_path / "new", "--json")
    assert status == 0
    assert "cells are separated by ';', numbers have decimal commas" in caplog.text
    assert json.loads(capsys.readouterr().out)["threshold"] == AMSLDetector.load(fitted / "detector").threshold_
    pd.concat([table[:600], table[700:]]).to_csv(tmp_path / "gap.csv", sep=";", decimal=",", index=False)
    assert run("fit", tmp_path / "gap.csv", "--window", 50, "--detector", tmp_path / "new", "--json") == 0
    # 46 windows of the first 600 rows and 63 of the last 800
    assert json.loads(capsys.readouterr().out)["windows"] == 46 + 63
    assert "1 gap in time: 10.1 s before row 600 (from 0)" in caplog.text


def test_table_of_another_program(fitted, tmp_path, capsys):
    """The same recording in another encoding, with dates of day and month, and words for missing values."""
    table = make_table()
    table["time"] = table["time"].dt.strftime("%d/%m/%Y %H:%M:%S.%f")
    table = table.astype({"b": object})
    table.loc[[7, 90], "b"] = ["Störung", "Bad"]
    table = table.rename(columns={"time": "Messung", "a": "Strömung"})
    table.to_csv(tmp_path / "a.csv", index=False, encoding="cp1252")
    arguments = ("--detector", tmp_path / "new", "--window", 50)
    options = {
        "--encoding": (("cp1252",), "found the byte 0xf6. Name its encoding with --encoding"),
        "--time-format": (("%d/%m/%Y %H:%M:%S.%f",), "day and month cannot be told apart"),
        "--na": (("Störung", "Bad"), "row 7 (from 0): expected a number, found 'Störung'. Correct it, name it with --na"),
    }
    for option, (values, message) in options.items():
        assert_error(capsys, run("fit", tmp_path / "a.csv", *arguments), message)
        arguments += (option, *values)
    assert run("fit", tmp_path / "a.csv", *arguments, "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["filled"], values["channels"]) == (2, ["Strömung", "b", "c"])
    assert values["period"] == pytest.approx(0.1)


def test_channel_of_some_recordings_only_can_be_left_out(fitted, tmp_path, capsys):
    _write(make_table().drop(columns="c"), tmp_path / "two.csv")
    command = ("fit", fitted / "normal.csv", tmp_path / "two.csv", "--window", 50, "--detector", tmp_path / "new", "--json")
    assert_error(capsys, run(*command), "missing: c. Name", "or leave out c with --drop.")
    for advice in (("--drop", "c"), ("--columns", "a", "b")):
        assert run(*command, *advice) == 0
        assert json.loads(capsys.readouterr().out)["channels"] == ["a", "b"]


def _write_many(folder):
    """Four recordings and, before and between them, one that cannot be opened and one with text."""
    folder.mkdir()
    (folder / "0.csv").touch()
    for number in range(1, 6):
        table = make_table(300, seed=number).astype({"b": object})
        _write(table.replace({"b": {table["b"][200]: "off"}}) if number == 2 else table, folder / f"{number}.csv")
    return folder


def test_unusable_recordings_are_left_out_and_listed(tmp_path, capsys):
    folder = _write_many(tmp_path / "in")
    command = ("fit", folder, "--window", 50, "--detector", tmp_path / "new")
    assert_error(capsys, run(*command), "0.csv: expected a recording, but the file is empty")
    assert run(*command, "--skip-bad") == 0
    lines = capsys.readouterr().err.splitlines()
    place = lines.index("left out: 2 that cannot be used")
    assert lines[place + 1].startswith(f"  {folder}/0.csv: expected a recording")
    assert lines[place + 2].startswith(f"  {folder}/2.csv: column b, row 200 (from 0): expected a number")
    assert run(*command, "--skip-bad", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert [own["name"] for own in values["skipped"]] == [f"{folder}/0.csv", f"{folder}/2.csv"]
    assert (values["recordings"], values["windows"]) == (4, 4 * 21)  # (300 - 50) // 12 + 1 windows each


@pytest.mark.slow
def test_engine_ray_fits_the_same_detector(tmp_path, capsys):
    pytest.importorskip("ray", reason="needs the extra scale")
    folder, detectors = _write_many(tmp_path / "in"), []
    for engine, options in (("local", ()), ("ray", ("--engine", "ray", "--workers", 2))):
        assert run("fit", folder, "--window", 50, "--detector", tmp_path / engine, "--skip-bad", "--json", *options) == 0
        detectors.append(AMSLDetector.load(tmp_path / engine))
    plain, ray = map(json.loads, capsys.readouterr().out.splitlines())
    assert ray["skipped"] == plain["skipped"]
    assert ray["threshold"] == pytest.approx(plain["threshold"], abs=1e-6)
    np.testing.assert_allclose(detectors[1].decision_scores_, detectors[0].decision_scores_, atol=1e-6)
    assert detectors[1].recordings_ == detectors[0].recordings_


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["s3://data/a.csv"], "s3://data/a.csv: URLs need --engine ray, also on one machine. Add it, or copy"),
        (["a.csv", "--workers", "2"], "--workers needs a cluster. Add --engine ray."),
        (["a.csv", "--address", "auto"], "--address needs a cluster. Add --engine ray."),
        (["a.csv", "--engine", "ray", "--network", "cae"], "a cluster fits the score ensemble without a network."),
    ],
)
def test_engines_and_their_options(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    _write(make_table(60), "a.csv")
    assert_error(capsys, run("fit", *arguments, "--detector", tmp_path / "new"), message)
    assert [item.name for item in tmp_path.iterdir()] == ["a.csv"]


def test_folder_that_cannot_be_written_is_found_before_the_fit(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(AMSLDetector, "fit_recordings", lambda *arguments, **settings: pytest.fail("fitted first"))
    _write(make_table(60), tmp_path / "a.csv")
    assert_error(capsys, run("fit", tmp_path / "a.csv", "--detector", "/proc/mine"), "/proc/mine: cannot be written")


def test_missing_values_are_counted(tmp_path, capsys):
    table = make_table()
    table.loc[100:102, "a"] = np.nan  # interpolated, up to a tenth of a window
    table.loc[300:319, "b"] = np.nan
    table.to_csv(tmp_path / "missing.csv", index=False)
    assert run("fit", tmp_path / "missing.csv", "--window", 50, "--detector", tmp_path / "new") == 0
    text = capsys.readouterr().out
    assert "1,500 rows (2 min 30 s), 3 missing values interpolated" in text
    assert "left out: 6 with missing values" in text  # those that begin in rows 252 to 312


def test_false_alarms(fitted, tmp_path, capsys):
    assert fit(fitted, tmp_path, "--false-alarms", 0.1, "--json") == 0
    # the smallest score that at most a tenth of the windows reach
    assert (flagged := json.loads(capsys.readouterr().out)["flagged"]) in (12, 13)
    assert fit(fitted, tmp_path, "--false-alarms", "10%", "--json") == 0
    assert json.loads(capsys.readouterr().out)["flagged"] == flagged
    assert fit(fitted, tmp_path, "--false-alarms", "1/min", "--json") == 0
    assert json.loads(capsys.readouterr().out)["normal_events"] <= 2  # in 149 s
    # 86,400 s a day / 149 s = 579.9
    assert_error(capsys, fit(fitted, tmp_path / "other", "--false-alarms", "1/day"), "expected at least 580/day")
    assert not (tmp_path / "other").exists()


def test_no_event_in_normal_data_is_no_rate(fitted):
    """A threshold above all normal scores, as an extrapolated one."""
    detector = AMSLDetector.load(fitted / "detector")
    detector.set_threshold(1 + float(detector.decision_scores_.max()))
    text, values = summarise_detector(detector)
    # 86,400 s a day / 149 s = 579.9
    assert "0 events in 2 min 29 s of normal data: they are too short to tell rates below 580 a day" in text
    assert (values["flagged"], values["normal_events"]) == (0, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--false-alarms", "1/dy"], "argument --false-alarms: false alarms: expected a number above 0 and a unit"),
        (["--false-alarms", "few"], "expected a share such as 0.02, or a budget such as 1/day, not 'few'"),
        (["--false-alarms", "2"], "must be a number from 1e-06 to 0.5"),
        (["--extrapolate"], "--extrapolate needs a budget of events. Add one, such as --false-alarms 1/day."),
        (["--extrapolate", "--false-alarms", "0.1"], "--extrapolate needs a budget"),
        (["--window", "3x"], "argument --window: a length must be a number of rows or a time, above 0. Received: '3x'"),
        (["--merge", "-1"], "argument --merge: "),
        (["--window", "60,5s"], "Received: '60,5s'. If the comma is a decimal one, write 60.5s."),
        (["--false-alarms", "%"], "expected a share such as 0.02, or a budget such as 1/day, not '%'"),
        (["--false-alarms", "60%"], "must be a number from 1e-06 to 0.5"),
        (["--time-format", "dd.mm.yyyy"], "time_format must be as in %d/%m/%Y"),
        (["--encoding", "windows"], "encoding must be one of Python"),
        (["--window", "0.25s"], "window must be a whole number of rows, which are 0.1 s apart"),
        (["--drop", "d"], "there is no column d, named in --drop"),
        (["--rate", "0"], "rate must be a number from 1e-09"),
        (["--memory", "none"], "unrecognized arguments"),
    ],
)
def test_invalid_arguments_are_errors(fitted, tmp_path, capsys, arguments, message):
    assert_error(capsys, fit(fitted, tmp_path, *arguments), message)
    assert list(tmp_path.iterdir()) == []


def _write(table, file):
    table.to_csv(file, index=False)


WRITERS = {
    "empty.csv": lambda file: file.touch(),
    "header.csv": lambda file: file.write_text("time,a,b\n"),
    "short.csv": lambda file: _write(make_table(30), file),
    "text.csv": lambda file: _write(make_table().astype({"b": object}).replace({"b": {make_table()["b"][900]: "off"}}), file),
    "abnormal.csv": lambda file: _write(make_table().assign(fault=1), file),
    "numbers.csv": lambda file: make_table().drop(columns="time").to_csv(file, index=False, header=False),
    "offsets.csv": lambda file: _write(
        make_table().assign(time=pd.date_range("2024-03-31T01:59", periods=1500, freq="100ms", tz="Europe/Berlin")), file
    ),
    "broken.parquet": lambda file: file.write_text("a,b,c"),
    "notes.txt": lambda file: file.write_text("a,b,c"),
    "broken.npy": lambda file: file.write_text("a,b,c"),
    "missing.csv": lambda file: None,
}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty.csv", "expected a recording, but the file is empty"),
        ("header.csv", "expected rows of numbers, found none; the file has a header, but no rows"),
        ("short.csv", "expected at least 2 normal windows of 50 rows. Received: 0, of 30 rows"),
        ("text.csv", "column b, row 900 (from 0): expected a number, found 'off'"),
        ("abnormal.csv", "expected at least 2 normal windows of 50 rows. Received: 0"),
        ("numbers.csv", "the first line holds only numbers. Use --no-header"),
        ("offsets.csv", "expected times with the same offset from UTC, found +01:00 in row 0 and +02:00 in row 600"),
        ("broken.parquet", "expected the content of a .parquet file"),
        ("notes.txt", "expected a file that ends in .npy"),
        ("broken.npy", "broken.npy"),
        ("missing.csv", "not found. Name files that end in .npy, .npz"),
    ],
)
def test_unusable_recordings_are_errors(tmp_path, capsys, name, message):
    WRITERS[name](tmp_path / name)
    labels = ("--label", "fault") if name == "abnormal.csv" else ()
    status = run("fit", tmp_path / name, *labels, "--window", 50, "--detector", tmp_path / "detector")
    assert_error(capsys, status, name if "normal windows" not in message else "", message)
    assert [item.name for item in tmp_path.iterdir()] == ([name] if name != "missing.csv" else [])


def test_recordings_with_other_channels_or_rate_are_errors(fitted, tmp_path, capsys):
    _write(make_table().rename(columns={"c": "d"}), tmp_path / "other.csv")
    arguments = ("--window", 50, "--detector", tmp_path / "detector")
    assert_error(capsys, run("fit", fitted / "normal.csv", tmp_path / "other.csv", *arguments), "missing: c", "new: d")
    _write(make_table().assign(time=pd.date_range("2024-01-01", periods=1500, freq="1s")), tmp_path / "slow.csv")
    status = run("fit", fitted / "normal.csv", tmp_path / "slow.csv", *arguments)
    assert_error(capsys, status, "slow.csv: expected a row every 0.1 s", "found one every 1 s")
    assert not (tmp_path / "detector").exists()


def test_recording_that_grows_is_an_error(fitted, tmp_path, capsys, monkeypatch):
    file = tmp_path / "growing.csv"
    file.write_bytes((fitted / "normal.csv").read_bytes())
    convert = FrameConverter.convert

    def grow(self, frame, start):
        with file.open("a") as opened:
            opened.write("2024-01-01 00:02:30,0,0,0\n")
        return convert(self, frame, start)

    monkeypatch.setattr(FrameConverter, "convert", grow)
    status = run("fit", file, "--window", 50, "--detector", tmp_path / "detector")
    assert_error(capsys, status, "growing.csv: has grown while it was read. Wait until it is complete, or copy it.")
    assert [item.name for item in tmp_path.iterdir()] == ["growing.csv"]


def test_interrupted_fit_leaves_the_old_detector(fitted, tmp_path, capsys, monkeypatch):
    assert fit(fitted, tmp_path) == 0
    before = {item.name: item.read_bytes() for item in (tmp_path / "new").iterdir()}

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupt)
    monkeypatch.setattr(np, "savez_compressed", interrupt)
    assert fit(fitted, tmp_path, "--window", 40) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "amsl fit: interrupted"
    assert {item.name: item.read_bytes() for item in (tmp_path / "new").iterdir()} == before
    assert os.listdir(tmp_path) == ["new"]


def test_detector_folder_is_checked_first(fitted, tmp_path, capsys):
    (tmp_path / "new").mkdir()
    Path(tmp_path / "new/thesis.txt").touch()
    assert_error(capsys, fit(fitted, tmp_path), "thesis.txt, which amsl_tf does not write")


def test_help_is_grouped(capsys):
    assert run("fit", "--help") == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: amsl fit RECORDING ... [OPTION ...]\n")
    for group in ("reading:", "windows:", "events and threshold:", "detector:", "network:"):
        assert f"\n{group}\n" in text
    assert "by preset, paper: 100; compact: 4)" in " ".join(text.split())
    assert "(default: )" not in text
    assert "(default: False)" not in text
