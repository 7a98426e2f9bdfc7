"""The shared parts of commands: output and signals."""

import contextlib
import os
import subprocess
import sys

import pytest

from amsl_tf import progress
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
