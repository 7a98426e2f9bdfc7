"""The first stage: reads a data set and writes its normal and abnormal windows as arrays."""

from contextlib import ExitStack
from pathlib import Path

from amsl_tf import progress
from amsl_tf.data.files import atomic_folder, write_json
from amsl_tf.data.store import GENERATED_ENTRIES, SENSORS, ArrayWriter, expected_entries, write_index
from amsl_tf.datasets import DATASETS
from amsl_tf.errors import DataError


def preprocess(source: Path, output: Path, dataset: str = "dsads") -> dict[str, tuple[int, ...]]:
    """Reads a data set and writes normal.npy, abnormal.npy if there are abnormal windows, an index of each, and sensors.json.

    Args:
        source: The folder of the data set.
        output: The folder to write; it is written completely or not at all.
        dataset: The name of the data set in `DATASETS`.

    Returns:
        The shapes of the arrays that were written, by name.

    Raises:
        AMSLError: The data set is incomplete or malformed, or `output` holds other files.
    """
    data = DATASETS[dataset](source)
    index = data.index()
    abnormal = index.pop("label") == 1
    if abnormal.all():
        raise DataError(f"{source}: expected normal windows to learn from, found abnormal ones only. Add normal data.")
    with (
        atomic_folder(output, expected_entries(output, GENERATED_ENTRIES)) as folder,
        progress.bar(len(abnormal), "reading", "windows") as bar,
    ):
        rows = {"normal": ~abnormal} | ({"abnormal": abnormal} if abnormal.any() else {})
        shapes: dict[str, tuple[int, ...]] = {kind: (int(chosen.sum()), *data.window_shape) for kind, chosen in rows.items()}
        with ExitStack() as files:
            arrays = {kind: files.enter_context(ArrayWriter(folder / f"{kind}.npy", shape)) for kind, shape in shapes.items()}
            start = 0
            for part in data.read():
                end = start + len(part)
                if end > len(abnormal):
                    raise DataError(f"{source}: expected {len(abnormal)} windows as in the index, found more.")
                for kind, chosen in rows.items():
                    arrays[kind].append(part[chosen[start:end]])
                start = end
                bar.update(len(part))
        for kind, chosen in rows.items():
            write_index(folder / f"{kind}.csv", {name: values[chosen] for name, values in index.items()})
        sensors = {"axes": data.axes, "channel_names": data.channel_names, "labels": dict(data.titles)}
        sensors["test_subjects"] = data.test_subjects
        write_json(folder / SENSORS, sensors)
    return shapes
