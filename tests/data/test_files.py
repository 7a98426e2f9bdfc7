"""Atomic writes of files and folders, locks, and JSON files."""

import errno
import os
import resource
import signal
import threading
from pathlib import Path

import pytest

from amsl_tf.data import files
from amsl_tf.data.files import (
    atomic_file,
    atomic_folder,
    check_local,
    locked,
    read_json,
    reserve_space,
    write_json,
)
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
    (tmp_path / "nested.json").write_text("[" * 200_000)
    (tmp_path / "large.json").write_bytes(b"1" * (files.MAX_JSON + 1))
    (tmp_path / "device.json").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.json")
    for name, message in (
        ("none", "not found. Do this."),
        ("a.json/none", "not found"),
        ("broken", "expected JSON"),
        ("nested", "expected JSON"),
        ("large", "more than 67,108,864 bytes"),
        ("device", "expected a regular file"),
        ("pipe", "expected a regular file"),
        ("a", "with the key b. Do this."),
    ):
        with pytest.raises(AMSLError, match=message):
            read_json(tmp_path / f"{name}.json", "Do this.", ["a", "b"])


KILLED = """
import os, signal, sys
from pathlib import Path
from amsl_tf.data import files
target = Path(sys.argv[1])
if sys.argv[2] == "between":  # where two folders cannot be exchanged, after the first of the two renames
    files._exchange = lambda *_: False
    rename, count = Path.rename, iter(range(9))
    def stop(source, place):
        if next(count):
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, place)
    Path.rename = stop
with files.atomic_folder(target, ["only"]) as temporary:
    (temporary / "only").write_text("killed")
    if sys.argv[2] == "block":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("moment", ["block", "between"])
def test_next_write_repairs_what_a_killed_one_left(tmp_path, moment):
    write_folder(tmp_path / "a", "old")
    assert run_python("-c", KILLED, tmp_path / "a", moment).returncode == -signal.SIGKILL
    assert (tmp_path / "a").exists() == (moment == "block")
    assert len(list(tmp_path.iterdir())) == 1 + (moment == "block")
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "a", "bad")  # even one that fails
    assert [item.name for item in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a" / "only").read_text() == "old"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_temporary_data_in_use_are_not_leftovers(tmp_path, kind):
    def write(content):
        if kind == "folder":
            write_folder(tmp_path / "a", content)
        else:
            write_json(tmp_path / "a", {"content": content})

    outer = atomic_folder(tmp_path / "a", ["only"]) if kind == "folder" else atomic_file(tmp_path / "a")
    with outer as temporary:
        write("second")
        (temporary / "only" if kind == "folder" else temporary).write_text("first")
    assert [item.name for item in tmp_path.iterdir()] == ["a"]
    assert "first" in (tmp_path / "a" / "only" if kind == "folder" else tmp_path / "a").read_text()


def test_readers_never_miss_a_folder_that_is_replaced(tmp_path):
    """On Linux, where the names of two folders can be exchanged."""
    write_folder(tmp_path / "a", "old")
    missing, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            if not (tmp_path / "a").exists():
                missing.append(True)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(300):
        write_folder(tmp_path / "a", "new")
    stop.set()
    reader.join()
    assert not missing


@pytest.mark.parametrize("url", ["s3://bucket/model", "gs://b", "https://example.org/x.csv", "file:///data/x", "s3:/bucket"])
def test_urls_are_errors(tmp_path, url, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AMSLError, match="looks like a URL"):
        check_local(url)
    with pytest.raises(AMSLError, match="looks like a URL"), atomic_folder(Path(url), ["only"]):
        pass
    assert not list(tmp_path.iterdir())


def test_paths_are_local(tmp_path):
    for path in (tmp_path, "a", "../a:b/c", "C:/data", "a/s3://b"):
        assert check_local(path) == Path(path)
    for path in ("", None, 5, b"a", "a\0b"):
        with pytest.raises(AMSLError, match="expected the path of a file or folder"):
            check_local(path)
    with pytest.raises(AMSLError, match=r"'s\\udcff': expected a path in UTF-8"):
        check_local("s\udcff")


def test_links_are_followed(tmp_path):
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "link.json").symlink_to("real.json")
    write_json(tmp_path / "link.json", {"a": 1})
    assert (tmp_path / "link.json").is_symlink()
    assert read_json(tmp_path / "real.json", "") == {"a": 1}
    (tmp_path / "loop").symlink_to("loop")
    for write in (lambda: write_json(tmp_path / "loop", {}), lambda: write_folder(tmp_path / "loop", "one")):
        with pytest.raises(AMSLError, match="loop: cannot be"):
            write()


@pytest.mark.parametrize("here", ["a", "a/b"])
def test_current_folder_is_not_replaced(tmp_path, monkeypatch, here):
    """The process would stay in the former folder, which is gone."""
    (tmp_path / here).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / here)
    with pytest.raises(AMSLError, match="holds the current folder, so it is not replaced"):
        write_folder(tmp_path / "a", "one")
    assert (tmp_path / here).exists()


def test_mount_point_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "a")
    with pytest.raises(AMSLError, match="is a mount point, which cannot be replaced"):
        write_folder(tmp_path / "a", "one")


def test_files_of_the_user_in_folders_within_are_kept(tmp_path):
    entries = ["only", "sub/data_*.npy"]

    def write():
        with atomic_folder(tmp_path / "a", entries) as temporary:
            (temporary / "sub").mkdir()
            (temporary / "only").touch()
            (temporary / "sub/data_1.npy").touch()

    write()
    write()
    (tmp_path / "a/sub/notes.txt").write_text("precious")
    with pytest.raises(AMSLError, match=r"contains sub/notes.txt, .* not replaced"):
        write()
    assert (tmp_path / "a/sub/notes.txt").read_text() == "precious"


def test_long_names(tmp_path):
    """The name of the temporary folder is shorter than the limit of the file system; a longer name of a file is not."""
    write_json(tmp_path / ("n" * 245), {})
    assert [len(item.name) for item in tmp_path.iterdir()] == [245]
    with pytest.raises(AMSLError, match="Choose a shorter name"):
        write_json(tmp_path / ("n" * 300), {})
    with pytest.raises(AMSLError, match="cannot be read"):
        write_folder(tmp_path / ("n" * 300), "one")


def test_folder_that_cannot_be_locked(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "sub", Path("/proc/a")):
        with pytest.raises(AMSLError, match=f"{folder}: cannot be used .*Name another folder"), locked(folder):
            pass


@pytest.mark.parametrize("place", ["file/a", "/proc/a", "/sys/a", "file/sub/a"])
def test_place_that_cannot_be_written_is_an_error(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(AMSLError, match=rf"^{tmp_path / place}: cannot be written \(.*write permission"):
        write_json(tmp_path / place, {})


def test_errors_of_other_files_are_not_those_of_the_output(tmp_path):
    with pytest.raises(FileNotFoundError, match="input"), atomic_file(tmp_path / "sub" / "a"):
        (tmp_path / "input").read_text()


def test_space_is_reserved(tmp_path):
    """The limit on the size of a file stands for the size of the disk."""
    reserve_space(tmp_path, 10_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            reserve_space(tmp_path, 10_001)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_without_locks_temporary_data_are_never_leftovers(tmp_path, monkeypatch):
    monkeypatch.setattr("fcntl.flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "no locks")))
    with atomic_folder(tmp_path / "a", ["only"]) as temporary:
        write_folder(tmp_path / "a", "second")
        (temporary / "only").write_text("first")
    assert (tmp_path / "a" / "only").read_text() == "first"


def test_leftovers_of_a_longer_name_are_kept(tmp_path):
    """The names of temporary folders are cut off, so that those of two long names can look alike."""
    ours, theirs = tmp_path / ("n" * 60), tmp_path / ("n" * 60 + "theirs")
    leftover = tmp_path / f".{'n' * files.MAX_NAME}.0a1b2c3d.tmp"
    (leftover / theirs.name).mkdir(parents=True)
    (leftover / files.FORMER).mkdir()
    write_folder(ours, "one")
    assert (ours / "only").read_text() == "one"
    assert (leftover / files.FORMER).exists()
    write_folder(theirs, "two")
    assert not leftover.exists()
