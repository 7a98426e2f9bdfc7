"""The shared parts of commands: output and signals."""

import contextlib
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from amsl_tf import progress
from amsl_tf.cli import fit
from amsl_tf.cli.common import Parser
from amsl_tf.cli.recordings import add_events, describe_events, make_rule
from amsl_tf.evaluation.summary import describe_count
from amsl_tf.scoring.events import Event, MergeRule
from tests.conftest import ROOT

PRINT = "from amsl_tf.cli.common import Parser; p = Parser('test'); p.parse_args([]); p.print_result(sys.argv[1], {})"
CALL = f"import sys; from amsl_tf.cli.common import call; call(lambda: exec({PRINT!r}), 'test')"


def run_print(text, stdout, **environment):
    command = [sys.executable, "-c", CALL, text]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, env=environment, text=True, check=False)


def test_reader_that_closes_the_pipe_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    finished = run_print("result", writing)
    os.close(writing)
    assert (finished.returncode, finished.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_output_that_cannot_be_printed_is_an_error():
    with open("/dev/full", "w") as full:
        finished = run_print("result", full)
    assert finished.returncode == 2
    assert "the result cannot be printed (No space left on device). Write to another place" in finished.stderr


def test_names_that_the_terminal_cannot_show():
    finished = run_print("\u00e9", subprocess.PIPE, PYTHONIOENCODING="ascii")
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "\\xe9\n", "")


def test_signal_that_a_callback_loses_is_raised_again(monkeypatch):
    monkeypatch.setattr(progress, "_interruption", None)
    with progress.bar(10, "test", "windows") as bar:
        bar.update(1)
        with contextlib.suppress(KeyboardInterrupt):  # as Python does in the callback of another library
            progress.interrupt(KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            bar.update(1)


def test_json_has_no_numbers_that_are_not_finite(capsys):
    parser = Parser("test")
    parser.parse_args(["--json"])
    values = {
        "score": np.float32(np.nan),
        "peak": math.inf,
        "count": np.int64(3),
        "flag": np.bool_(True),
        "file": Path("a.csv"),
    }
    parser.print_result("text", {**values, "events": [{"p_value": math.nan, "end": None}], "names": ("a", "b")})
    expected = {"score": None, "peak": None, "count": 3, "flag": True, "file": "a.csv"}
    expected |= {"events": [{"p_value": None, "end": None}], "names": ["a", "b"]}
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert found == expected


def test_help_shows_defaults_that_say_something():
    parser = Parser("test")
    parser.add_argument("--name", default="", help="a name")
    parser.add_argument("--flag", action="store_true", help="a flag")
    parser.add_argument("--size", default=0, help="a size")
    lines = [line.split() for line in parser.format_help().splitlines()]
    assert ["--name", "NAME", "a", "name"] in lines
    assert ["--flag", "a", "flag"] in lines
    assert ["--size", "SIZE", "a", "size", "(default:", "0)"] in lines


def make_event(**values):
    rows = {"recording": "pump.csv", "first_row": 1200, "last_row": 1299, "start": None, "end": None}
    return Event(**{**rows, "windows": 3, "peak_score": 2.5, "peak_row": 1210, "p_value": 0.0123, **values})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"channels": {"a": 2.0, "b": 1.0}}, "rows 1,200 to 1,299: score 2.5, p 0.012: a, b"),
        (
            {"start": np.datetime64("2020-03-09T11:05:40", "ns"), "end": np.datetime64("2020-03-09T11:07:00", "ns")},
            "2020-03-09 12:05:40+01:00 to 2020-03-09 12:07:00+01:00 (1 min 20 s): score 2.5, p 0.012: ",
        ),
        ({"start": 0.5, "end": 2.0, "p_value": math.nan}, "0.5 s to 2 s (1.5 s): score 2.5: "),
        (
            {"health": {"b": "stuck"}, "channels": {"b": 9.0, "a": 2.0, "c": 1.0, "d": 0.5}},
            "rows 1,200 to 1,299: score 2.5, p 0.012: b stuck, a, c",
        ),
        (
            {"health": {"b": "missing"}, "channels": {"a": 0.0, "b": 0.0, "c": -1.0}},
            "rows 1,200 to 1,299: score 2.5, p 0.012: b missing",
        ),
        ({"peak_score": math.nan, "health": {"a": "missing"}}, "rows 1,200 to 1,299: no score, p 0.012: a missing"),
    ],
)
def test_events_in_words(values, expected):
    assert describe_events([make_event(**values)], "Europe/Berlin") == [f"  {expected}"]


def test_many_events_in_words():
    lines = describe_events([make_event()] * 1010, None)
    assert len(lines) == 11
    assert lines[-1] == "  ... and 1,000 more"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], MergeRule()),
        (["--merge", "0"], MergeRule()),
        (["--merge", "20", "--min-length", "3"], MergeRule(merge_rows=20, min_rows=3)),
        (["--merge", "2s", "--min-length", "500ms"], MergeRule(merge_rows=20, min_rows=5)),
    ],
)
def test_rule_of_events(arguments, expected):
    parser = Parser("test")
    add_events(parser)
    assert make_rule(parser.parse_args(arguments), 0.1) == expected


def test_runs_of_missing_values_may_be_left_as_they_are():
    """`--max-fill 0` is a length; `--max-gap 0` is none."""
    parser = Parser("test")
    fit.add_arguments(parser)
    assert parser.parse_args(["a.csv", "--max-fill", "0"]).max_fill == "0"
    with pytest.raises(SystemExit):
        parser.parse_args(["a.csv", "--max-gap", "0"])


def test_counts_in_words():
    assert [describe_count(number, "event") for number in (0, 1, 2000)] == ["0 events", "1 event", "2,000 events"]
