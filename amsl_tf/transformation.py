"""From arrays of windows to the split, and the views of each part of it as files."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from amsl_tf import progress
from amsl_tf.config import TrainingConfig
from amsl_tf.data.files import atomic_folder, write_json
from amsl_tf.data.pipeline import RawWindows, view_batches
from amsl_tf.data.splits import Protocol, protocol_split
from amsl_tf.data.store import (
    GENERATED,
    SPLIT,
    TEST_ABNORMAL,
    TEST_NORMAL,
    TRAIN,
    TRANSFORMED_ENTRIES,
    ArrayWriter,
    open_windows,
    read_sensors,
    write_index,
)
from amsl_tf.errors import DataError
from amsl_tf.views import VIEW_NAMES, VIEWS

_ADVICE = "Run scripts/preprocessing.py first, or name the folder that it wrote with --input."


def transform(
    source: Path, output: Path, *, protocol: Protocol = "window", test_subjects: Sequence[str] = (), seed: int = 0
) -> dict[str, int]:
    """Splits windows and writes the unscaled views of every part, in the original's tree.

    Args:
        source: The folder that preprocessing wrote.
        output: The folder to write; nothing of it is left if anything fails.
        protocol: As `protocol_split` has it.
        test_subjects: As the data call them; 6 also stands for p6.
        seed: Of the split and of the draws.

    Returns:
        The number of windows in each part, by its name.

    Raises:
        AMSLError: The input is missing or broken, the split is not possible, or `output` holds something else.
    """
    seed = TrainingConfig(seed=seed).seed  # one validation for every seed
    normal, abnormal = (open_windows(source / f"{kind}.npy", source / f"{kind}.csv", _ADVICE) for kind in GENERATED)
    if normal.x.shape[1:] != abnormal.x.shape[1:]:
        shapes = f"{normal.x.shape[1:]} and {abnormal.x.shape[1:]}"
        raise DataError(f"{source}: expected windows of one shape (T, C) in normal.npy and abnormal.npy, found {shapes}.")
    sensors = read_sensors(source, _ADVICE)
    known = set() if normal.subject is None else set(normal.subject)
    people = [f"p{name}" if name not in known and f"p{name}" in known else name for name in test_subjects]
    split = protocol_split(normal, abnormal, protocol, test_subjects=people, seed=seed)
    parts = (
        (TRAIN, normal, split.train),
        (TEST_NORMAL, normal, split.test_normal),
        (TEST_ABNORMAL, abnormal, split.test_abnormal),
    )
    with (
        atomic_folder(output, TRANSFORMED_ENTRIES) as folder,
        progress.bar(sum(len(rows) for _, _, rows in parts), "views", "windows") as bar,
    ):
        for part, windows, rows in parts:
            with ExitStack() as files:
                shape = (len(rows), *windows.x.shape[1:])
                arrays = [files.enter_context(ArrayWriter(part.file(folder, view.suffix), shape)) for view in VIEWS]
                for views in view_batches(RawWindows(windows.x, VIEW_NAMES, seed), rows):
                    for index, array in enumerate(arrays):
                        array.append(views[:, index])
                    bar.update(len(views))
            known_of = {name: column[rows] for name, column in windows.index().items()}
            write_index(part.index(folder), {"row": rows, **known_of})
        write_json(folder / SPLIT, {"protocol": protocol, "seed": seed, "test_subjects": people, **sensors})
    return {part.name: len(rows) for part, _, rows in parts}
