"""Operations on TensorBoard files that its writers do not have."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event

from amsl_tf.data.files import atomic_file

PROJECTOR = "projector_config.pbtxt"


def truncate_after_step(folder: Path, step: int) -> None:
    """Removes the records of later steps from the event files in a folder and below, so that resumed curves do not overlap.

    An interrupted training run has written records of steps after its last saved state, which it repeats when it resumes. At
    step 0 all records are removed.

    Args:
        folder: The folder of a training run.
        step: The last step to keep.
    """
    for leftover in list(folder.rglob(".*.tmp")):  # of a killed process
        shutil.rmtree(leftover)
    for file in sorted(folder.rglob("events.out.tfevents.*")):
        if not step:
            file.unlink()
            continue
        kept, count = [], 0
        try:
            for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
                count += 1
                if Event.FromString(record).step <= step:
                    kept.append(record)
        except tf.errors.DataLossError:  # the last record of a killed process is incomplete
            count += 1
        if len(kept) < count:
            with atomic_file(file) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
                for record in kept:
                    writer.write(record)


def write_projector(folder: Path, name: str, points: np.ndarray, metadata: Mapping[str, Sequence[str]]) -> None:
    """Writes points for the tab Projector, replacing those of the same name.

    Args:
        folder: A folder with event files.
        name: The name of the points.
        points: (N, F).
        metadata: At least two columns of N strings without tabs, by title.
    """
    with atomic_file(folder / f"{name}.tsv") as file:
        np.savetxt(file, points, fmt="%.5g", delimiter="\t")
    with atomic_file(folder / f"{name}_about.tsv") as file:
        rows = zip(*metadata.values(), strict=True)
        file.write_text("".join("\t".join(row) + "\n" for row in (tuple(metadata), *rows)), encoding="utf-8")
    with atomic_file(folder / PROJECTOR) as file:  # last, because it names the other two
        file.write_text(
            f'embeddings {{\n  tensor_name: "{name}"\n  tensor_path: "{name}.tsv"\n  metadata_path: "{name}_about.tsv"\n}}\n'
        )
