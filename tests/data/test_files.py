"""Atomic writes of files and folders, locks, and JSON files."""

import errno

import pytest

from amsl_tf.data.files import atomic_file, atomic_folder, locked, read_json, write_json
from amsl_tf.errors import AMSLError
from tests.conftest import run_python

LOCK = """
import sys
from pathlib import Path
from amsl_tf.data.files import locked
with locked(Path(sys.argv[1])):
    pass
"""


def test_file_appears_after_the_block(tmp_path):
    with atomic_file(tmp_path / "sub" / "a.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "sub" / "a.txt").exists()
    assert (tmp_path / "sub" / "a.txt").read_text() == "new"
    assert len(list((tmp_path / "sub").iterdir())) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_keeps_the_existing_file(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")

    def write_partially():
        with atomic_file(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_partially()
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("a.txt", "old")]


def write_folder(folder, content):
    with atomic_folder(folder, ["only"]) as temporary:
        (temporary / "only").write_text(content)
        if content == "bad":
            raise KeyboardInterrupt


def test_folder_with_the_same_entries_is_replaced(tmp_path):
    write_folder(tmp_path / "a", "one")
    write_folder(tmp_path / "a", "two")
    assert [item.name for item in tmp_path.iterdir()] == ["a"]
    assert [(item.name, item.read_text()) for item in (tmp_path / "a").iterdir()] == [("only", "two")]


def test_failure_keeps_the_existing_folder(tmp_path):
    write_folder(tmp_path / "a", "one")
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "a", "bad")
    assert [item.name for item in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a" / "only").read_text() == "one"


def test_concurrent_writers_are_independent(tmp_path):
    with atomic_folder(tmp_path / "a", ["only"]) as first:
        (first / "only").write_text("first")
        write_folder(tmp_path / "a", "second")
    assert (tmp_path / "a" / "only").read_text() == "first"
    assert [item.name for item in tmp_path.iterdir()] == ["a"]


def test_failure_leaves_no_files(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "a", "bad")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [["thesis.txt"], ["only", "thesis.txt"]])
def test_folder_with_other_entries_is_not_replaced(tmp_path, names):
    (tmp_path / "a").mkdir()
    for name in names:
        (tmp_path / "a" / name).write_text("precious")
    with pytest.raises(AMSLError, match=r"contains thesis.txt, .* not replaced"):
        write_folder(tmp_path / "a", "one")
    assert {item.name: item.read_text() for item in (tmp_path / "a").iterdir()} == dict.fromkeys(names, "precious")


def test_empty_folder_is_replaced_but_not_a_file(tmp_path):
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "empty", "one")
    (tmp_path / "file").write_text("precious")
    with pytest.raises(AMSLError, match="is not a folder"):
        write_folder(tmp_path / "file", "one")
    assert (tmp_path / "file").read_text() == "precious"


def test_folder_is_locked_within_the_block(tmp_path):
    folder = tmp_path / "new"
    for _ in range(2):
        with locked(folder):
            with pytest.raises(AMSLError, match="in use by another process"), locked(folder):
                pass
            assert "in use by another process" in run_python("-c", LOCK, folder).stderr
        assert run_python("-c", LOCK, folder).returncode == 0


def test_file_system_without_locks(tmp_path, monkeypatch):
    monkeypatch.setattr("fcntl.flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "no locks")))
    with locked(tmp_path / "new"), locked(tmp_path / "new"):
        pass


def test_json_round_trip_and_errors(tmp_path):
    write_json(tmp_path / "a.json", {"a": [1, None]})
    assert read_json(tmp_path / "a.json", "") == {"a": [1, None]}
    (tmp_path / "broken.json").write_text("{")
    for name, message in (
        ("none", "not found. Do this."),
        ("a.json/none", "not found"),
        ("broken", "expected JSON"),
        ("a", "with the key b. Do this."),
    ):
        with pytest.raises(AMSLError, match=message):
            read_json(tmp_path / f"{name}.json", "Do this.", ["a", "b"])
