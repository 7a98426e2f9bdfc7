"""Notes that are not repeated."""

import logging

from amsl_tf.data.notes import note, without_repeats


def test_notes_are_not_repeated_within_a_block(caplog):
    caplog.set_level(logging.INFO)
    with without_repeats():
        note("a.csv", "x")
        note("b.csv", "x")
        note("c.csv", "y", logging.WARNING)
    note("d.csv", "x")
    note("e.csv", "x")
    assert caplog.messages == ["a.csv: x", "c.csv: y", "d.csv: x", "e.csv: x"]
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO", "INFO"]
