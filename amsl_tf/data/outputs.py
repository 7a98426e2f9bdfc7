"""Writes tables in constant memory, and checks names of output files."""

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd

from amsl_tf.data.files import atomic_file, check_local, check_writable
from amsl_tf.data.formats import import_parquet
from amsl_tf.errors import AMSLError

TABLES = (".csv", ".parquet")  # the suffixes of `write_table`
ROW_GROUP = 65_536  # rows of a row group of Parquet


def check_table_name(file: str | Path, suffixes: Collection[str] = TABLES) -> None:
    """Raises AMSLError if the name of a file to write has none of the suffixes."""
    if not str(file).lower().endswith(tuple(suffixes)):
        raise AMSLError(f"{file}: cannot be written. Name a file that ends in {' or '.join(suffixes)}.")


def check_output(file: Path, source: Path | None = None, suffixes: Collection[str] = TABLES) -> None:
    """Raises AMSLError if a file cannot be written, has none of the suffixes, or is the input `source`."""
    check_local(file)
    if source is not None and file.exists() and source.exists() and file.samefile(source):
        raise AMSLError(f"{file}: is the input, which would be overwritten. Name another file.")
    if file.is_dir():
        raise AMSLError(f"{file}: is a folder. Name a file.")
    check_table_name(file, suffixes)
    if file.exists() and not file.is_file():
        raise AMSLError(f"{file}: is a pipe or a device, which would be replaced. Name another file.")
    folder = next(parent for parent in file.absolute().parents if parent.exists())  # the others will be created
    if not folder.is_dir():
        raise AMSLError(f"{file}: cannot be written, since {folder} is not a folder. Name a file in a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise AMSLError(f"{file}: cannot be written, since the folder {folder} is read-only. Name a file in another folder.")
    check_writable(file)  # a folder of the system may refuse without saying so


def write_table(file: Path, parts: Iterable[Mapping[str, Any]]) -> None:
    """Writes a table to a CSV or Parquet file part by part, completely or not at all.

    Args:
        file: A file that `check_output` accepts.
        parts: The columns of each part by name, (rows,) each; the same names in all parts.

    Raises:
        AMSLError: The file cannot be written, or Parquet needs a package that is not installed.
    """
    tables = (pd.DataFrame(part) for part in parts)
    with atomic_file(file) as temporary:
        if file.suffix.lower() == ".csv":
            with temporary.open("w", newline="") as opened:
                for number, table in enumerate(tables):
                    table.to_csv(opened, index=False, header=not number)
            return
        parquet = import_parquet()
        from pyarrow import Table, concat_tables

        with ExitStack() as stack:
            writer, waiting = None, []
            for table in tables:
                waiting.append(Table.from_pandas(table, preserve_index=False))
                writer = writer or stack.enter_context(parquet.ParquetWriter(temporary, waiting[0].schema))
                # groups of the same size, however the rows come: the file depends on the rows alone
                while sum(map(len, waiting)) >= ROW_GROUP:
                    whole = concat_tables(waiting)
                    writer.write_table(whole[:ROW_GROUP])
                    waiting = [whole[ROW_GROUP:]]
            if writer is not None and (rest := concat_tables(waiting)):
                writer.write_table(rest)
