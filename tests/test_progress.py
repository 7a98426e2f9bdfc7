"""Progress bars: on a terminal only, and not with `--quiet`."""

import logging

import pytest

from amsl_tf import progress


class Terminal:
    """A standard error stream that is a terminal, or not."""

    def __init__(self, is_terminal):
        self.written, self._is_terminal = "", is_terminal

    def write(self, text):
        self.written += text

    def flush(self):
        pass

    def isatty(self):
        return self._is_terminal


@pytest.mark.parametrize(
    ("is_terminal", "level", "shown"),
    [(True, logging.WARNING, True), (False, logging.WARNING, False), (True, logging.ERROR, False)],
)
def test_bar_is_shown_on_a_terminal_unless_quiet(monkeypatch, caplog, is_terminal, level, shown):
    monkeypatch.setattr("sys.stderr", terminal := Terminal(is_terminal))
    caplog.set_level(level, "amsl_tf")
    with progress.bar(10, "scoring", "windows", done=4) as bar:
        bar.delay = 0
        bar.update(3)
        bar.refresh()
    assert ("7/10" in terminal.written) == shown
    assert ("windows/s" in terminal.written) == shown
