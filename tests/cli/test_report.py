"""The command report: a page about one recording."""

import json

import numpy as np
import pytest

from tests.cli.conftest import assert_error, make_table, run


def report(fitted, tmp_path, *arguments, recording="abnormal.csv"):
    return run("report", fitted / recording, "--detector", fitted / "detector", "--output", tmp_path / "page.html", *arguments)


def test_page(fitted, tmp_path, capsys):
    assert report(fitted, tmp_path, "--label", "fault", "--merge", "20s", "--min-length", "10s") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'page.html'}: 1,500 rows, 121 windows, 1 event\n"
    page = (tmp_path / "page.html").read_text()
    assert "2024-01-01 00:01" in page  # the time of the event
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert [item.name for item in tmp_path.iterdir()] == ["page.html"]


def test_json(fitted, tmp_path, capsys):
    assert report(fitted, tmp_path, "--json", "--merge", "20s", "--min-length", "10s", "--stride", 24) == 0
    values = json.loads(capsys.readouterr().out)
    assert values == {"output": str(tmp_path / "page.html"), "rows": 1500, "windows": 61, "events": 1}


def test_recording_with_another_rate_is_resampled_on_request(fitted, tmp_path, capsys):
    table = make_table(4500)
    table["time"] = table["time"][0] + (table["time"] - table["time"][0]) / 4  # 40 Hz
    table.to_csv(tmp_path / "fast.csv", index=False)
    status = report(fitted, tmp_path, recording=tmp_path / "fast.csv")
    assert_error(capsys, status, "fast.csv: expected a row every 0.1 s", "found one every 0.025 s")
    assert report(fitted, tmp_path, "--resample", "--json", recording=tmp_path / "fast.csv") == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 4500 / 4


@pytest.mark.parametrize(("value", "count"), [("flag", "1 event"), ("ignore", "0 events")])
def test_dead_channels_may_be_ignored(fitted, tmp_path, capsys, value, count):
    make_table(200).assign(b=0).to_csv(tmp_path / "dead.csv", index=False)
    assert report(fitted, tmp_path, "--on-dead-channel", value, recording=tmp_path / "dead.csv") == 0
    assert capsys.readouterr().out.endswith(f"200 rows, 13 windows, {count}\n")


def test_recording_without_numbers(fitted, tmp_path, capsys):
    make_table(200).assign(a=np.nan, b=np.nan, c=np.nan).to_csv(tmp_path / "missing.csv", index=False)
    assert report(fitted, tmp_path, recording=tmp_path / "missing.csv") == 0
    assert capsys.readouterr().out.endswith("200 rows, 13 windows, 1 event\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "page.txt"], "Name a file that ends in .html."),
        (["--detector", "typo"], "typo/config.json: not found"),
        (["--false-alarms", "1/day"], "expected at least 580/day"),
        (["--extrapolate"], "--extrapolate needs a budget"),
        (["--columns", "a"], "expected 3 channels, found 1"),
        (["--stride", "0.25s"], "stride must be a whole number of rows"),
    ],
)
def test_invalid_arguments_are_errors(fitted, tmp_path, capsys, arguments, message):
    assert_error(capsys, report(fitted, tmp_path, *arguments), message)
    assert list(tmp_path.iterdir()) == []


def test_page_is_about_one_recording(fitted, tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    assert_error(capsys, report(fitted, tmp_path, recording=tmp_path / "folder"), "folder: expected recordings that end in")
    for name in ("a.csv", "b.csv"):
        make_table(60).to_csv(tmp_path / "folder" / name, index=False)
    status = report(fitted, tmp_path, recording=tmp_path / "folder")
    assert_error(capsys, status, "folder: expected one recording, found 2. Name one of them.")
    assert [item.name for item in tmp_path.iterdir()] == ["folder"]
