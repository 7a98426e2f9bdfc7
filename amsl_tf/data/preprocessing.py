"""From the text files of DSADS to arrays of windows."""

from pathlib import Path

import numpy as np

from amsl_tf import progress
from amsl_tf.data.dsads import ABNORMAL, AXES, CHANNEL_NAMES, CHANNELS, STEPS, find_recordings, read_recordings
from amsl_tf.data.files import atomic_folder, write_json
from amsl_tf.data.store import GENERATED, GENERATED_ENTRIES, SENSORS, ArrayWriter, write_index


def preprocess(source: Path, output: Path) -> dict[str, tuple[int, ...]]:
    """Reads DSADS' text files and writes normal.npy, abnormal.npy, an index of each, and sensors.json.

    Args:
        source: The folder with a01 to a19.
        output: The folder to write; nothing of it is left if anything fails.

    Returns:
        The shapes of the arrays, by name.

    Raises:
        AMSLError: The tree or a file in it is not as it should be, or `output` holds something else.
    """
    recordings = find_recordings(source)
    of_kind = {kind: [item for item in recordings if (item.activity in ABNORMAL) == (kind == "abnormal")] for kind in GENERATED}
    with (
        atomic_folder(output, GENERATED_ENTRIES) as folder,
        progress.bar(sum(len(item.segments) for item in recordings), "reading", "files") as bar,
    ):
        shapes: dict[str, tuple[int, ...]] = {}
        for kind, chosen in of_kind.items():
            rows = [(item, segment) for item in chosen for segment in item.segments]
            shapes[kind] = (len(rows), STEPS, CHANNELS)
            with ArrayWriter(folder / f"{kind}.npy", shapes[kind]) as array:
                for windows in read_recordings(chosen):
                    array.append(windows)
                    bar.update(len(windows))
            columns = {
                "activity": [item.activity for item, _ in rows],
                "subject": [item.subject for item, _ in rows],
                "segment": [segment for _, segment in rows],
                "source": [f"{item.activity}/{item.subject}/{segment}.txt" for item, segment in rows],
            }
            write_index(folder / f"{kind}.csv", {name: np.asarray(values) for name, values in columns.items()})
        write_json(folder / SENSORS, {"axes": AXES, "channel_names": CHANNEL_NAMES})
    return shapes
