"""TensorBoard's files on disk, where its writers do not do what is needed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event

from amsl_tf.data.files import atomic_file

PROJECTOR = "projector_config.pbtxt"


def forget_after(folder: Path, step: int) -> None:
    """Removes what event files in a folder and below say of later steps, so that curves of a resumed training never overlap.

    A training that is killed has written of steps since its last kept state, which it does again when it goes on. One that
    starts anew, at step 0, keeps nothing.
    """
    for file in sorted(folder.rglob("*events.out.tfevents.*")):
        if not step or file.name.startswith("."):  # the rest of a process that was killed in the block below
            file.unlink()
            continue
        kept, found = [], 0
        try:
            for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
                found += 1
                if Event.FromString(record).step <= step:
                    kept.append(record)
        except tf.errors.DataLossError:  # the last record of a killed process is cut off
            found += 1
        if len(kept) < found:
            with atomic_file(file) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
                for record in kept:
                    writer.write(record)


def write_projector(folder: Path, name: str, points: np.ndarray, about: Mapping[str, Sequence[str]]) -> None:
    """Writes points (N, F) for the tab Projector, in place of those of this name.

    Args:
        folder: That holds event files.
        name: Of the points.
        points: One row each.
        about: At least two columns of N words each, without tabs, by title.
    """
    with atomic_file(folder / f"{name}.tsv") as file:
        np.savetxt(file, points, fmt="%.5g", delimiter="\t")
    with atomic_file(folder / f"{name}_about.tsv") as file:
        rows = zip(*about.values(), strict=True)
        file.write_text("".join("\t".join(row) + "\n" for row in (tuple(about), *rows)), encoding="utf-8")
    with atomic_file(folder / PROJECTOR) as file:  # last: what it names is there before it
        file.write_text(
            f'embeddings {{\n  tensor_name: "{name}"\n  tensor_path: "{name}.tsv"\n  metadata_path: "{name}_about.tsv"\n}}\n'
        )
