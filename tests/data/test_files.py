"""Files and folders appear whole or not at all."""

import errno

import pytest

from amsl_tf.data.files import atomic_file, atomic_folder, locked, read_json, write_json
from amsl_tf.errors import AMSLError
from tests.conftest import run_python

HOLD = """
import sys
from pathlib import Path
from amsl_tf.data.files import locked
with locked(Path(sys.argv[1])):
    pass
"""


def test_a_file_appears_at_the_end(tmp_path):
    with atomic_file(tmp_path / "sub" / "a.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "sub" / "a.txt").exists()
    assert (tmp_path / "sub" / "a.txt").read_text() == "new"
    assert len(list((tmp_path / "sub").iterdir())) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")

    def write_half():
        with atomic_file(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("a.txt", "old")]


def make(folder, content):
    with atomic_folder(folder, ["only"]) as temporary:
        (temporary / "only").write_text(content)
        if content == "bad":
            raise KeyboardInterrupt


def test_a_folder_replaces_one_of_its_kind(tmp_path):
    make(tmp_path / "a", "one")
    make(tmp_path / "a", "two")
    assert [item.name for item in tmp_path.iterdir()] == ["a"]
    assert [(item.name, item.read_text()) for item in (tmp_path / "a").iterdir()] == [("only", "two")]


def test_a_failure_leaves_the_old_folder(tmp_path):
    make(tmp_path / "a", "one")
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "a", "bad")
    assert [item.name for item in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a" / "only").read_text() == "one"


def test_two_writers_do_not_touch_each_other(tmp_path):
    with atomic_folder(tmp_path / "a", ["only"]) as first:
        (first / "only").write_text("first")
        make(tmp_path / "a", "second")
    assert (tmp_path / "a" / "only").read_text() == "first"
    assert [item.name for item in tmp_path.iterdir()] == ["a"]


def test_a_failure_leaves_nothing_new(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "a", "bad")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [["thesis.txt"], ["only", "thesis.txt"]])
def test_nothing_foreign_is_replaced(tmp_path, names):
    (tmp_path / "a").mkdir()
    for name in names:
        (tmp_path / "a" / name).write_text("precious")
    with pytest.raises(AMSLError, match=r"has thesis.txt, .* not replaced"):
        make(tmp_path / "a", "one")
    assert {item.name: item.read_text() for item in (tmp_path / "a").iterdir()} == dict.fromkeys(names, "precious")


def test_an_empty_folder_is_replaced_and_a_file_is_not(tmp_path):
    (tmp_path / "empty").mkdir()
    make(tmp_path / "empty", "one")
    (tmp_path / "file").write_text("precious")
    with pytest.raises(AMSLError, match="is no folder"):
        make(tmp_path / "file", "one")
    assert (tmp_path / "file").read_text() == "precious"


def test_a_folder_is_locked_until_the_block_ends(tmp_path):
    folder = tmp_path / "new"
    for _ in range(2):
        with locked(folder):
            with pytest.raises(AMSLError, match="another process is at work here"), locked(folder):
                pass
            assert "another process is at work here" in run_python("-c", HOLD, folder).stderr
        assert run_python("-c", HOLD, folder).returncode == 0


def test_a_file_system_without_locks_keeps_nobody_out(tmp_path, monkeypatch):
    monkeypatch.setattr("fcntl.flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "no locks")))
    with locked(tmp_path / "new"), locked(tmp_path / "new"):
        pass


def test_json(tmp_path):
    write_json(tmp_path / "a.json", {"a": [1, None]})
    assert read_json(tmp_path / "a.json", "") == {"a": [1, None]}
    (tmp_path / "broken.json").write_text("{")
    for name, said in (
        ("none", "not found. Do this."),
        ("a.json/none", "not found"),
        ("broken", "expected JSON"),
        ("a", "with the key b. Do this."),
    ):
        with pytest.raises(AMSLError, match=said):
            read_json(tmp_path / f"{name}.json", "Do this.", ["a", "b"])
