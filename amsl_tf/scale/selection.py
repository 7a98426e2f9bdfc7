"""The second pass of a fit on a cluster: the windows at some positions, as those of the bank."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from amsl_tf.data.source import Source
from amsl_tf.data.windows import hash_each
from amsl_tf.scale.cluster import Cluster
from amsl_tf.scale.items import Item
from amsl_tf.scale.summary import Summary, SummaryTask, changed_recording


class Selected(NamedTuple):
    """The windows of a recording that are selected.

    Attributes:
        total: The number of all its windows in the first pass.
        places: int64 (n,), the positions of the selected ones among them, ascending.
        ids: int64 (n,), their hashes in the first pass, see `hash_each`.
    """

    total: int
    places: np.ndarray
    ids: np.ndarray


class SelectionTask(NamedTuple):
    """The task of the second pass, see `Task`: the selected windows of a recording, float32 (n, T, C).

    Attributes:
        first_task: The task of the first pass.
        selected: What is selected of each recording, by its number.
    """

    first_task: SummaryTask
    selected: dict[int, Selected]

    def open(self, recording: Any) -> Source:
        return self.first_task.open(recording)

    def process(self, number: int, source: Source) -> np.ndarray:
        total, places, ids = self.selected[number]
        found, start = [], 0
        for x in self.first_task.read_again(source, total):
            found.append(x[places[(start <= places) & (places < start + len(x))] - start])
            start += len(x)
        windows = np.concatenate(found)
        if not np.array_equal(hash_each(windows), ids):
            raise changed_recording(source)
        return windows


def select_windows(
    cluster: Cluster,
    first_task: SummaryTask,
    summaries: Mapping[int, Summary],
    items: Sequence[Item],
    wanted: Sequence[np.ndarray],
) -> list[np.ndarray]:
    """Runs the second pass: reads the windows at some positions.

    Args:
        cluster: The cluster.
        first_task: The task of the first pass.
        summaries: Its results by the numbers of the recordings, in order.
        items: The recordings.
        wanted: int64 (n,) each, positions among the windows of all recordings.

    Returns:
        The windows at each of the `wanted`, float32 (n, T, C).

    Raises:
        AMSLError: As `Cluster.run`; a recording has changed since the first pass.
    """
    places = np.unique(np.concatenate(wanted))
    ends = np.cumsum([len(summary.ids) for summary in summaries.values()])
    parts = np.split(places, np.searchsorted(places, ends[:-1]))
    selected: dict[int, Selected] = {}
    for (number, summary), end, part in zip(summaries.items(), ends, parts, strict=True):
        if len(part):
            own = part - (end - len(summary.ids))
            selected[number] = Selected(len(summary.ids), own, summary.ids[own])
    found: dict[int, np.ndarray] = {}
    needed = [item for item in items if item.number in selected]
    for results in cluster.run(SelectionTask(first_task, selected), needed, "selecting"):
        found |= {result.number: result.value for result in results}
    x = np.concatenate([found[number] for number in selected])
    return [x[np.searchsorted(places, own)] for own in wanted]
