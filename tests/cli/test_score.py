"""The command score: tables, events and exit statuses; equal scores from a detector and from a server."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from amsl_tf import AMSLDetector
from amsl_tf.scoring.detection import DetectionMixin
from tests.cli.conftest import ABNORMAL, assert_error, make_table, run
from tests.conftest import close, run_python
from tests.serving.conftest import embedded

FIRST_ROWS = list(range(0, 1451, 12))  # of the windows of 1,500 rows


def score(fitted, *arguments, recording="abnormal.csv"):
    return run("score", fitted / recording, "--detector", fitted / "detector", *arguments)


def test_table_and_events(fitted, tmp_path, capsys):
    outputs = ("--output", tmp_path / "windows.csv", "--events", tmp_path / "events.csv")
    assert score(fitted, "--label", "fault", *outputs) == 0
    windows, events = pd.read_csv(tmp_path / "windows.csv"), pd.read_csv(tmp_path / "events.csv")
    assert windows["first_row"].tolist() == FIRST_ROWS
    assert windows["start"][1] == "2024-01-01 00:00:01.200"
    is_abnormal = (windows["first_row"] < ABNORMAL.stop) & (windows["last_row"] >= ABNORMAL.start)
    assert windows["label"].tolist() == is_abnormal.astype(int).tolist()
    scores = AMSLDetector.load(fitted / "detector").score_recording(fitted / "abnormal.csv")
    np.testing.assert_allclose(windows["score"], scores.score, rtol=1e-6)
    np.testing.assert_allclose(windows["p_value"], scores.p_value)
    assert windows["is_anomaly"].tolist() == scores.is_anomaly.tolist()
    place = events["peak_score"].argmax()
    assert events["first_row"][place] < ABNORMAL.start < ABNORMAL.stop <= events["last_row"][place] + 1
    assert events["channels"][place].startswith("b ")
    text = capsys.readouterr().out
    count = f"{len(events)} event" + "s" * (len(events) != 1)
    assert f"1 recording, 121 windows, {scores.is_anomaly.sum()} flagged, 0 with missing values: {count}" in text
    start, end = (str(pd.Timestamp(time)).rstrip("0") for time in events.loc[place, ["start", "end"]])
    assert re.search(rf"  {start}0* to {end}0* \(", text)
    assert f"events: {tmp_path / 'events.csv'}" in text


def test_json(fitted, capsys):
    assert score(fitted, "--json", "--merge", "10s") == 0
    (line,) = capsys.readouterr().out.splitlines()
    values = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert values["windows"] == 121
    event = max(values["events"], key=lambda event: event["peak_score"])
    assert next(iter(event["channels"])) == "b"
    assert pd.Timestamp(event["start"]) == pd.Timestamp("2024-01-01") + pd.Timedelta(event["first_row"] / 10, "s")


def test_json_of_a_window_without_a_score(fitted, tmp_path, capsys):
    table = make_table(200)
    table.loc[50:120, ["a", "b", "c"]] = np.nan
    table.to_csv(tmp_path / "recording.csv", index=False)
    assert score(fitted, "--json", recording=tmp_path / "recording.csv") == 0
    values = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    event = next(event for event in values["events"] if event["health"])
    assert event["health"] == {"a": "missing", "b": "missing", "c": "missing"}


def test_quiet_and_exit_code(fitted, capsys, caplog):
    assert score(fitted, "--quiet", "--exit-code") == 1
    output = capsys.readouterr()
    assert (output.out, output.err, caplog.text) == ("", "", "")
    assert score(fitted, "--exit-code", "--quiet", "--min-length", "2min") == 0


def test_missing_channel_is_left_out(fitted, tmp_path):
    """A window is scored from the channels without missing values."""
    table = make_table()
    table.loc[300:320, "b"] = np.nan
    table.to_csv(tmp_path / "recording.csv", index=False)
    assert score(fitted, "--output", tmp_path / "windows.csv", recording=tmp_path / "recording.csv") == 0
    windows = pd.read_csv(tmp_path / "windows.csv", keep_default_na=False)
    is_missing = (windows["first_row"] <= 320) & (windows["last_row"] >= 300)
    assert (windows["health"] == "b missing").tolist() == (~windows["valid"]).tolist() == is_missing.tolist()
    x = table[["a", "b", "c"]].to_numpy(np.float32)
    cut = np.stack([x[row : row + 50] for row in windows["first_row"]])
    expected = AMSLDetector.load(fitted / "detector").detect(cut)["score"]
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(windows["score"].astype(float), expected, rtol=1e-5)


def test_time_steps(fitted, tmp_path):
    assert score(fitted, "--steps", "--output", tmp_path / "steps.parquet") == 0
    table = pd.read_parquet(tmp_path / "steps.parquet")
    assert table["row"].tolist() == list(range(1490))  # no window covers the last ten rows
    assert table["time"][10] == pd.Timestamp("2024-01-01 00:00:01")
    threshold = AMSLDetector.load(fitted / "detector").threshold_
    assert table["is_anomaly"].tolist() == (table["score"] >= np.float32(threshold)).tolist()


def test_stride_and_folder(fitted, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("b2.csv", "b10.csv"):
        make_table(60).to_csv(tmp_path / "in" / name, index=False)
    outputs = ("--output", tmp_path / "out/windows.csv", "--stride", "0.5s")
    assert run("score", tmp_path / "in", "--detector", fitted / "detector", *outputs) == 0
    table = pd.read_csv(tmp_path / "out/windows.csv")
    assert table["first_row"].tolist() == [0, 5, 10] * 2
    assert table["file"].tolist() == [str(tmp_path / "in/b2.csv")] * 3 + [str(tmp_path / "in/b10.csv")] * 3


@pytest.mark.parametrize("option", ["--output", "--events"])
def test_tables_among_the_recordings_are_errors(fitted, tmp_path, monkeypatch, capsys, option):
    """The next run would read them."""
    make_table(60).to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    for folder, output in ((".", "events.csv"), (tmp_path, "deep/events.csv"), ("link", tmp_path / "events.csv")):
        status = run("score", folder, "--detector", fitted / "detector", option, output)
        assert_error(capsys, status, "events.csv: lies in ", "where it would be read as a recording the next time. Name a file")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.csv", "link"]


@pytest.mark.parametrize(("value", "flagged"), [("flag", 13), ("ignore", 0)])
def test_dead_channels_may_be_ignored(fitted, tmp_path, capsys, value, flagged):
    make_table(200).assign(b=0).to_csv(tmp_path / "dead.csv", index=False)
    assert score(fitted, "--on-dead-channel", value, "--json", recording=tmp_path / "dead.csv") == 0
    assert json.loads(capsys.readouterr().out)["flagged"] == flagged


def test_time_column_is_that_of_the_training_recordings(tmp_path, capsys):
    """Another column has the name of a time, and is no channel."""
    table = make_table().rename(columns={"time": "Messung"})
    table.to_csv(tmp_path / "normal.csv", index=False)
    detector = ("--detector", tmp_path / "detector")
    assert run("fit", tmp_path / "normal.csv", "--window", 50, "--quiet", *detector) == 0
    table.insert(0, "date", "2020-01-01")
    table.to_csv(tmp_path / "other.csv", index=False)
    assert run("score", tmp_path / "other.csv", "--output", tmp_path / "windows.csv", *detector) == 0
    assert pd.read_csv(tmp_path / "windows.csv")["start"][1] == "2024-01-01 00:00:01.200"


@pytest.mark.parametrize("command", ["score", "report", "explain", "fit"])
def test_wrong_paths_are_found_before_tensorflow_is_imported(fitted, tmp_path, command):
    options = {"explain": ("--window", "0")}.get(command, ())
    code = "import sys; from amsl_tf.cli import main\ntry: main(sys.argv[1:])\nfinally: assert 'tensorflow' not in sys.modules"
    wrong = [(tmp_path / "typo.csv", fitted / "detector")]
    wrong += [(fitted / "normal.csv", tmp_path / "typo")] if command != "fit" else []
    for recording, detector in wrong:
        finished = run_python("-c", code, command, recording, "--detector", detector, *options)
        assert (finished.returncode, finished.stdout) == (2, "")
        assert "not found" in finished.stderr


def test_false_alarms(fitted, capsys):
    assert score(fitted, "--false-alarms", 0.5, "--json") == 0
    many = json.loads(capsys.readouterr().out)["flagged"]
    assert score(fitted, "--false-alarms", "1/min", "--json") == 0
    assert json.loads(capsys.readouterr().out)["flagged"] < many
    assert_error(capsys, score(fitted, "--false-alarms", "1/day"), "expected at least 580/day")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--detector", "typo"], "typo/config.json: not found"),
        (["--columns", "a"], "expected 3 channels, found 1"),
        (["--columns", "a", "b", "b"], "columns must differ from each other"),
        (["--columns", "time", "a", "b"], "time"),
        (["--label", "typo"], "there is no column typo, named in --label"),
        (["--stride", 0], "argument --stride: a length must be a number of rows or a time, above 0"),
        (["--stride", "0.25s"], "stride must be a whole number of rows, which are 0.1 s apart"),
        (["--min-length", "soon"], "argument --min-length: "),
        (["--steps"], "--steps needs a table. Name it with --output."),
        (["--output", "README.md/scores.csv"], "README.md is not a folder. Name a file in a folder."),
        (["--output", "scores.txt"], "ends in .csv or .parquet"),
        (["--output", "same.csv", "--events", "./same.csv"], "same.csv: is named twice, in --output and --events"),
        (["--extrapolate"], "--extrapolate needs a budget"),
        (["--server", "localhost:8501"], "not allowed with"),
    ],
)
def test_invalid_arguments_are_errors(fitted, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").touch()
    assert_error(capsys, score(fitted, *arguments), message)
    assert [item.name for item in tmp_path.iterdir()] == ["README.md"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--server", "localhost:8501"], "must start with http://"),
        (["--server", "http://localhost:1", "--steps", "--output", "steps.csv"], "--steps needs a detector"),
        (["--server", "http://localhost:1", "--on-dead-channel", "flag"], "--on-dead-channel needs a detector"),
        (["--server", "http://localhost:1", "--resample"], "--resample needs a detector"),
        (["--server", "http://localhost:1", "--false-alarms", "1/day"], "--false-alarms needs a detector"),
        (["--server", "http://localhost:1", "--stride", "2s"], "--stride must be a number of rows with --server"),
        (["--server", "http://localhost:1", "--merge", "1min"], "--merge must be a number of rows with --server"),
    ],
)
def test_options_that_a_server_does_not_have(fitted, capsys, arguments, message):
    assert_error(capsys, run("score", fitted / "abnormal.csv", *arguments), message)


@pytest.mark.parametrize("option", ["--output", "--events"])
def test_recording_is_not_overwritten(fitted, capsys, option):
    assert_error(capsys, score(fitted, option, fitted / "abnormal.csv"), "is the input, which would be overwritten")


def test_unusable_recordings_are_errors(fitted, tmp_path, capsys):
    file, table = tmp_path / "recording.csv", make_table()
    for changed, message in (
        (table[:40], "expected at least 50 rows, the length of a window, found 40"),
        (table.rename(columns={"c": "d"}), "missing: c"),
        (table.assign(time=pd.date_range("2024-01-01", periods=1500, freq="1s")), "found one every 1 s"),
        (table.astype({"b": object}).replace({"b": {table["b"][900]: "off"}}), "column b, row 900 (from 0): expected a number"),
    ):
        changed.to_csv(file, index=False)
        assert_error(capsys, score(fitted, "--output", tmp_path / "windows.csv", recording=file), "recording.csv: ", message)
        assert [item.name for item in tmp_path.iterdir()] == ["recording.csv"]


def test_interruption_leaves_the_old_table(fitted, tmp_path, capsys, monkeypatch):
    (tmp_path / "windows.csv").write_text("old")
    detect, calls = DetectionMixin.detect, iter(range(9))

    def interrupt(self, windows):
        if next(calls) == 1:  # in the second batch
            raise KeyboardInterrupt
        return detect(self, windows)

    monkeypatch.setattr(AMSLDetector, "detect", interrupt)
    assert score(fitted, "--output", tmp_path / "windows.csv", "--events", tmp_path / "events.csv") == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("amsl score: interrupted: with --engine ray")
    assert [item.name for item in tmp_path.iterdir()] == ["windows.csv"]
    assert (tmp_path / "windows.csv").read_text() == "old"


@pytest.fixture
def many(tmp_path):
    """A folder with two recordings and, between them, one that is too short, one with text, and one that cannot be opened."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number, rows in ((0, 200), (1, 40), (2, 200), (4, 150)):
        table = make_table(rows, seed=number)
        table.assign(b=table["b"].astype(object).where(table.index != 150, "off") if number == 2 else table["b"]).to_csv(
            folder / f"{number}.csv", index=False
        )
    (folder / "3.csv").touch()
    return folder


def test_unusable_recordings_are_left_out_and_listed(fitted, many, tmp_path, capsys):
    outputs = ("--output", tmp_path / "windows.csv", "--events", tmp_path / "events.csv")
    assert_error(capsys, score(fitted, *outputs, recording=many), "3.csv: expected a recording, but the file is empty")
    assert [item.name for item in tmp_path.iterdir()] == ["in"]
    assert score(fitted, *outputs, "--skip-bad", recording=many) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("2 recordings, 22 windows, ")  # (200 - 50) // 12 + 1 and (150 - 50) // 12 + 1
    lines = printed.err.splitlines()
    place = lines.index("left out: 3 that cannot be used")
    messages = (
        "1.csv: expected at least",
        "2.csv: column b, row 150 (from 0): expected a number",
        "3.csv: expected a recording",
    )
    for line, message in zip(lines[place + 1 : place + 4], messages, strict=True):
        assert line.startswith(f"  {many}/{message}")
    assert pd.read_csv(tmp_path / "windows.csv")["file"].unique().tolist() == [f"{many}/0.csv", f"{many}/4.csv"]
    assert score(fitted, *outputs, "--skip-bad", "--quiet", recording=many) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[-4:] == lines[place : place + 4]
    assert score(fitted, "--skip-bad", "--json", recording=many) == 0
    skipped = json.loads(capsys.readouterr().out)["skipped"]
    assert [(own["position"], own["name"]) for own in skipped] == [(n, f"{many}/{n}.csv") for n in (1, 2, 3)]
    assert score(fitted, "--json", recording=many / "0.csv") == 0
    assert json.loads(capsys.readouterr().out)["skipped"] == []
    assert_error(capsys, score(fitted, "--skip-bad", recording=many / "3.csv"), "none of 1 recordings can be used. The first: ")


@pytest.mark.slow
def test_engine_ray_writes_the_same_files(fitted, many, tmp_path, capsys):
    pytest.importorskip("ray", reason="needs the extra scale")
    for engine in ("local", "ray"):
        outputs = ("--output", tmp_path / engine / "windows.parquet", "--events", tmp_path / engine / "events.csv")
        options = ("--engine", "ray", "--workers", 2) if engine == "ray" else ()
        assert score(fitted, *outputs, "--skip-bad", "--json", *options, recording=many) == 0
    plain, ray = map(json.loads, capsys.readouterr().out.splitlines())
    files = ("output", "events_file")
    assert {name: ray[name] for name in ray if name not in files} == {name: plain[name] for name in plain if name not in files}
    for name in ("windows.parquet", "events.csv"):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
    assert sorted(item.name for item in (tmp_path / "ray").iterdir()) == ["events.csv", "windows.parquet"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["s3://key:secret@data/a.csv"], "error: s3://data/a.csv: URLs need --engine ray, also on one machine. Add it"),
        (["a.csv", "--output", "s3://data/scores.csv"], "s3://data/scores.csv: URLs need --engine ray"),
        (["a.csv", "--events", "s3://data/events.csv"], "s3://data/events.csv: URLs need --engine ray"),
        (
            ["a.csv", "--engine", "ray", "--output", "s3://key:secret@data/a.csv", "--events", "s3://key:secret@data/a.csv"],
            "error: s3://data/a.csv: is named twice",
        ),
        (["a.csv", "--workers", "2"], "--workers needs a cluster. Add --engine ray."),
        (["a.csv", "--address", "auto"], "--address needs a cluster. Add --engine ray."),
        (["a.csv", "--workers", "0", "--engine", "ray"], "argument --workers: "),
        (["a.csv", "--engine", "spark"], "argument --engine: invalid choice"),
        (["a.csv", "--engine", "ray", "--output", "s3://data/scores.txt"], "ends in .csv or .parquet"),
        (["a.csv", "--engine", "ray", "--server", "http://localhost:1"], "--engine ray needs a detector. Use --detector in"),
    ],
)
def test_engines_and_their_options(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    make_table(60).to_csv("a.csv", index=False)
    assert_error(capsys, run("score", *arguments), message)
    assert [item.name for item in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.slow
def test_detector_and_server_have_equal_scores(detector, exported, waves, tmp_path):
    """Of five windows and seven more rows, with a missing value in the fourth window."""
    detector.save(tmp_path / "detector")
    rows = waves[:6].reshape(-1, 3)[: 5 * 24 + 7].copy()
    rows[3 * 24 + 2, 1] = np.nan
    pd.DataFrame(rows, columns=["x", "y", "z"]).assign(note="text").to_csv(tmp_path / "recording.csv", index=False)
    expected = detector.detect(np.stack([rows[24 * i : 24 * i + 24] for i in range(5)]))
    command = ("scripts/score.py", tmp_path / "recording.csv")

    def check(name, *arguments):
        finished = run_python(*command, "--output", tmp_path / name, "--columns", "x", "y", "z", *arguments)
        assert finished.returncode == 0, finished.stderr
        assert "1 recording, 5 windows, " in finished.stdout
        assert "1 with missing values" in finished.stdout
        table = (pd.read_parquet if name.endswith("parquet") else pd.read_csv)(tmp_path / name)
        assert table["first_row"].tolist() == [0, 24, 48, 72, 96]
        assert table["valid"].tolist() == [True, True, True, False, True]
        assert table["is_anomaly"].tolist() == expected["is_anomaly"].tolist()
        assert table["health"].fillna("").tolist() == ["", "", "", "y missing", ""]
        valid = [0, 1, 2, 4]
        close(table["score"].to_numpy()[valid], expected["score"][valid])
        np.testing.assert_allclose(table["score"], expected["score"], rtol=1e-4)

    check("detector.csv", "--detector", tmp_path / "detector")
    with embedded(exported.parent) as (address, _):
        for interface in ("rest", "grpc"):
            server = ("--server", address.url(interface), "--model", "waves")
            check(f"{interface}.parquet", *server)
        finished = run_python(*command, "--columns", "x", "y", *server)
        assert finished.returncode == 2
        assert "expected the 3 channels of the model waves, found 2. Name them with --columns." in finished.stderr
