"""The checks of a file before it is read."""

import gzip
import os

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data.formats import FORMATS, check_input, file_format
from amsl_tf.errors import DataError


@pytest.mark.parametrize("suffix", FORMATS)
def test_formats_are_found_by_name(suffix, tmp_path):
    for name in (f"a{suffix}", f"a.b{suffix.upper()}", suffix):
        assert file_format(tmp_path / name) == suffix


@pytest.mark.parametrize("name", ["a", "a.txt", "a.zip", "a.xlsx", "a.csv.zst", "a.csv.zip", "a.gz", "csv"])
def test_other_names_have_no_format(name, tmp_path):
    assert not file_format(tmp_path / name)
    (tmp_path / name).write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match=rf"{name}: expected a file that ends in .npy, .npz, .csv, .*\. Name such a file, or"):
        check_input(tmp_path / name)


@pytest.mark.parametrize("suffix", FORMATS)
def test_missing_and_empty_files_are_errors(suffix, tmp_path):
    file = tmp_path / f"a{suffix}"
    with pytest.raises(DataError, match=r"not found. Name a file that exists"):
        check_input(file)
    file.symlink_to("typo")
    with pytest.raises(DataError, match=r"not found. Name a file that exists"):
        check_input(file)
    (tmp_path / "typo").touch()
    with pytest.raises(DataError, match="expected a recording, but the file is empty"):
        check_input(file)


@pytest.mark.parametrize("suffix", [*FORMATS, ""])
def test_only_regular_files_are_read(suffix, tmp_path):
    for name in ("folder", "pipe", "device", "link"):
        (tmp_path / name).mkdir()
    (tmp_path / f"folder/a{suffix}").mkdir()
    os.mkfifo(tmp_path / f"pipe/a{suffix}")
    (tmp_path / f"device/a{suffix}").symlink_to("/dev/zero")
    (tmp_path / f"link/a{suffix}").symlink_to(tmp_path / f"pipe/a{suffix}")
    for name in ("folder", "pipe", "device", "link"):
        with pytest.raises(DataError, match="expected a regular file, found a folder, a pipe or a device"):
            check_input(tmp_path / f"{name}/a{suffix}")


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """Files with the content of each format, by description."""
    folder = tmp_path_factory.mktemp("contents")
    np.save(folder / "array", np.zeros((3, 2)))
    np.savez(folder / "archive", np.zeros((3, 2)))
    pd.DataFrame({"x": [1.0]}).to_parquet(folder / "table")
    written = {"an array": "array.npy", "a zip archive, such as .npz": "archive.npz", "a Parquet table": "table"}
    return {
        **{description: (folder / name).read_bytes() for description, name in written.items()},
        "gzip data": gzip.compress(b"x\n1\n"),
        "text in UTF-16": "x\n1\n".encode("utf-16"),
        "other data": b"\x00\x01",
    }


@pytest.mark.parametrize("suffix", FORMATS)
def test_other_content_is_an_error(suffix, contents, tmp_path):
    own = {
        ".npy": "an array",
        ".npz": "a zip archive, such as .npz",
        ".csv": "other data",
        ".csv.gz": "gzip data",
        ".parquet": "a Parquet table",
    }.get(suffix)
    file = tmp_path / f"a{suffix}"
    for description, content in contents.items():
        file.write_bytes(content)
        if description == own:
            check_input(file)
        else:
            with pytest.raises(DataError, match=f"^{file}: expected the content of a {suffix} file, found {description}.*; "):
                check_input(file)


def test_content_without_a_known_name_is_described(contents, tmp_path):
    (tmp_path / "a.xlsx").write_bytes(contents["a zip archive, such as .npz"])
    with pytest.raises(DataError, match=r"found a zip archive, such as .npz or .xlsx; name it .npz if it holds arrays"):
        check_input(tmp_path / "a.xlsx")


def test_text_in_utf_16_needs_its_encoding(contents, tmp_path):
    (tmp_path / "a.csv").write_bytes(contents["text in UTF-16"])
    check_input(tmp_path / "a.csv", "utf-16")
    with pytest.raises(DataError, match=r"found text in UTF-16; use --encoding utf-16\."):
        check_input(tmp_path / "a.csv", "cp1252")


def test_file_that_cannot_be_opened_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("x\n1\n")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "open", refuse)  # root may read everything
    with pytest.raises(DataError, match=r"a.csv: cannot be read \(Permission denied\)"):
        check_input(tmp_path / "a.csv")
