"""The first stage: reads a data set and writes its normal and abnormal windows as arrays."""

from pathlib import Path

from amsl_tf import progress
from amsl_tf.data.files import atomic_folder, write_json
from amsl_tf.data.store import GENERATED, GENERATED_ENTRIES, SENSORS, ArrayWriter, write_index
from amsl_tf.datasets import DATASETS
from amsl_tf.errors import DataError


def preprocess(source: Path, output: Path, dataset: str = "dsads") -> dict[str, tuple[int, ...]]:
    """Reads a data set and writes normal.npy, abnormal.npy, an index of each, and sensors.json.

    Args:
        source: The folder of the data set.
        output: The folder to write; it is written completely or not at all.
        dataset: The name of the data set in `DATASETS`.

    Returns:
        The shapes of the arrays, by name.

    Raises:
        AMSLError: The data set is incomplete or malformed, or `output` holds other files.
    """
    data = DATASETS[dataset](source)
    index = data.index()
    abnormal = index.pop("label") == 1
    with (
        atomic_folder(output, GENERATED_ENTRIES) as folder,
        progress.bar(len(abnormal), "reading", "windows") as bar,
    ):
        rows = dict(zip(GENERATED, (~abnormal, abnormal), strict=True))
        shapes: dict[str, tuple[int, ...]] = {kind: (int(chosen.sum()), *data.window_shape) for kind, chosen in rows.items()}
        with (
            ArrayWriter(folder / "normal.npy", shapes["normal"]) as normal_array,
            ArrayWriter(folder / "abnormal.npy", shapes["abnormal"]) as abnormal_array,
        ):
            start = 0
            for part in data.read():
                is_abnormal = abnormal[start : start + len(part)]
                if len(is_abnormal) < len(part):
                    raise DataError(f"{source}: expected {len(abnormal)} windows as in the index, found more.")
                normal_array.append(part[~is_abnormal])
                abnormal_array.append(part[is_abnormal])
                start += len(part)
                bar.update(len(part))
        for kind, chosen in rows.items():
            write_index(folder / f"{kind}.csv", {name: values[chosen] for name, values in index.items()})
        sensors = {"axes": data.axes, "channel_names": data.channel_names, "labels": dict(data.titles)}
        sensors["test_subjects"] = data.test_subjects
        write_json(folder / SENSORS, sensors)
    return shapes
