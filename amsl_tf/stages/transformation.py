"""The second stage: splits windows into training and test, and writes the views of each part."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from amsl_tf import progress
from amsl_tf.checks import check_seed
from amsl_tf.data.files import atomic_folder, write_json
from amsl_tf.data.splits import Protocol, protocol_split
from amsl_tf.data.store import (
    PARTS,
    SPLIT,
    TEST_ABNORMAL,
    TEST_NORMAL,
    TRAIN,
    TRANSFORMED_ENTRIES,
    ArrayWriter,
    expected_entries,
    open_generated,
    read_metadata,
    write_index,
)
from amsl_tf.views.base import VIEWS
from amsl_tf.views.sources import RawWindows, view_batches

_ADVICE = "Run amsl preprocess first, or name the folder that it wrote with --input."


def transform(
    source: Path, output: Path, *, protocol: Protocol = "window", test_subjects: Sequence[str] | None = None, seed: int = 0
) -> dict[str, int]:
    """Splits windows and writes the unscaled views of every part, in the tree of the original code.

    Without abnormal windows there is no folder of them.

    Args:
        source: The folder that preprocessing or the user wrote, see `open_generated`.
        output: The folder to write; it is written completely or not at all.
        protocol: The protocol of `protocol_split`.
        test_subjects: The names of the test subjects in the data; 6 is also accepted for p6. If None, the protocol `subject`
            uses those of the data set.
        seed: The seed of the split and of the views.

    Returns:
        The number of windows in each part, by its name.

    Raises:
        AMSLError: The input is missing or broken, the split is not possible, or `output` holds other files.
    """
    seed = check_seed(seed)
    normal, abnormal = open_generated(source, _ADVICE)
    metadata = read_metadata(source, normal.x.shape[2], _ADVICE)
    known = set() if normal.subject is None else set(normal.subject)
    default_subjects = metadata.pop("test_subjects")
    if test_subjects is None:
        test_subjects = default_subjects if protocol == "subject" else []
    subjects = [f"p{name}" if name not in known and f"p{name}" in known else name for name in test_subjects]
    split = protocol_split(normal, abnormal, protocol, test_subjects=subjects, seed=seed)
    parts = [(TRAIN, normal, split.train), (TEST_NORMAL, normal, split.test_normal)]
    if abnormal is not None:
        parts.append((TEST_ABNORMAL, abnormal, split.test_abnormal))
    with (
        atomic_folder(output, expected_entries(output, TRANSFORMED_ENTRIES)) as folder,
        progress.bar(sum(len(rows) for _, _, rows in parts), "views", "windows") as bar,
    ):
        for part, windows, rows in parts:
            with ExitStack() as files:
                shape = (len(rows), *windows.x.shape[1:])
                arrays = [files.enter_context(ArrayWriter(part.file(folder, view.suffix), shape)) for view in VIEWS.values()]
                for views in view_batches(RawWindows(windows.x, tuple(VIEWS), seed), rows):
                    for index, array in enumerate(arrays):
                        array.append(views[:, index])
                    bar.update(len(views))
            columns = {name: column[rows] for name, column in windows.columns().items()}
            write_index(part.index(folder), {"row": rows, **columns})
        write_json(folder / SPLIT, {"protocol": protocol, "seed": seed, "test_subjects": subjects, **metadata})
    return {part.name: 0 for part in PARTS} | {part.name: len(rows) for part, _, rows in parts}
