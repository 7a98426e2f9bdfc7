"""Output files: written completely or not at all."""

import errno
import os
import resource
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amsl_tf.data import outputs
from amsl_tf.data.files import atomic_file
from amsl_tf.data.outputs import check_output, write_table
from amsl_tf.errors import AMSLError


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".CSV", ".Parquet"])
def test_table_is_written_completely_or_not_at_all(suffix, tmp_path):
    file = tmp_path / f"scores{suffix}"
    parts = [
        {"first_row": np.array([0, 20]), "score": np.float32([0.1, np.nan])},
        {"first_row": np.array([40]), "score": np.float32([7])},
    ]
    write_table(file, parts)
    table = pd.read_csv(file) if suffix.lower() == ".csv" else pd.read_parquet(file)
    assert table["first_row"].tolist() == [0, 20, 40]
    np.testing.assert_allclose(table["score"], [0.1, np.nan, 7], rtol=1e-6)
    before = file.read_bytes()

    def interrupted():
        yield parts[1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table(file, interrupted())
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


@given(cuts=st.lists(st.integers(0, 40), max_size=12), rows=st.integers(1, 40), size=st.integers(1, 15))
@settings(max_examples=60, deadline=None)
def test_parquet_files_depend_on_the_rows_alone(tmp_path_factory, cuts, rows, size):
    """And not on their parts: all row groups but the last one have the same size."""
    folder, ends = tmp_path_factory.mktemp("groups"), np.unique([0, *(min(cut, rows) for cut in cuts), rows])
    table = {"name": np.arange(rows).astype(str), "score": np.arange(rows, dtype=np.float32)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outputs, "ROW_GROUP", size)
        write_table(folder / "whole.parquet", [table])
        parts = [{name: values[first:last] for name, values in table.items()} for first, last in pairwise(ends)]
        write_table(folder / "parts.parquet", parts)
    assert (folder / "parts.parquet").read_bytes() == (folder / "whole.parquet").read_bytes()
    metadata = pytest.importorskip("pyarrow.parquet").read_metadata(folder / "parts.parquet")
    groups = [metadata.row_group(place).num_rows for place in range(metadata.num_row_groups)]
    assert groups == [size] * (rows // size) + [rows % size] * (rows % size > 0)
    assert pd.read_parquet(folder / "parts.parquet")["score"].tolist() == list(range(rows))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_full_disk_is_an_error_that_names_the_file(suffix, tmp_path, rng):
    """The limit on the size of a file stands for the size of the disk."""
    file = tmp_path / f"scores{suffix}"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(AMSLError, match=rf"^{file}: cannot be written \(.*{os.strerror(errno.EFBIG)}.*free space\.$"):
            write_table(file, ({"score": rng.normal(size=1000)} for _ in range(20)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_folder_that_disappears_is_an_error_that_names_the_file(tmp_path):
    def write():
        with atomic_file(tmp_path / "sub" / "a.png") as temporary:
            shutil.rmtree(tmp_path / "sub")
            temporary.write_bytes(b"")

    with pytest.raises(AMSLError, match=rf"^{tmp_path}/sub/a.png: cannot be written \(No such file or directory\)\. Name"):
        write()


def test_invalid_outputs_are_errors(tmp_path):
    (tmp_path / "recording.csv").touch()
    (tmp_path / "link.csv").symlink_to("recording.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "null.csv").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("scores.csv", "scores.PARQUET", "new/folder/scores.csv", "folder.csv/scores.csv"):
        check_output(tmp_path / name, tmp_path / "recording.csv")
    for name, message in (
        ("scores.txt", "ends in .csv or .parquet"),
        ("recording.csv", "would be overwritten"),
        ("link.csv", "would be overwritten"),
        ("folder.csv", "is a folder"),
        ("pipe.csv", "is a pipe or a device"),
        ("null.csv", "is a pipe or a device"),
        ("recording.csv/scores.csv", "recording.csv is not a folder. Name a file in a folder"),
        ("recording.csv/a/scores.csv", "recording.csv is not a folder. Name a file in a folder"),
    ):
        with pytest.raises(AMSLError, match=message):
            check_output(tmp_path / name, tmp_path / "recording.csv")


def test_relative_output_lies_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_output(type(tmp_path)("scores.csv"), tmp_path / "recording.csv")


def test_folder_that_refuses_files_is_an_error():
    with pytest.raises(AMSLError, match=r"^/proc/a.csv: cannot be written \(.*\)\. Name a place with write permission"):
        check_output(Path("/proc/a.csv"))
    with pytest.raises(AMSLError, match=r"^/proc/a: cannot be written"):
        check_output(Path("/proc/a/b/c.csv"))


def test_read_only_folder_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)  # root may write everywhere
    with pytest.raises(AMSLError, match=rf"{tmp_path} is read-only. Name a file in another folder"):
        check_output(tmp_path / "new" / "scores.csv", tmp_path / "recording.csv")
