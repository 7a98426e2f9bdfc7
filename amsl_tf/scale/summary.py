"""The first pass of a fit on a cluster: a summary of each recording."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from amsl_tf.data.findings import Findings
from amsl_tf.data.reading import Reading
from amsl_tf.data.recordings import Recordings, check_channels
from amsl_tf.data.skipped import Skipped, none_usable
from amsl_tf.data.source import Source
from amsl_tf.data.window_reader import WindowPlan
from amsl_tf.data.windows import hash_each, hash_windows
from amsl_tf.errors import DataError
from amsl_tf.scale.cluster import Cluster
from amsl_tf.scale.items import Item
from amsl_tf.training.recordings import WindowCounts, check_normal, read_normal_windows


class Summary(NamedTuple):
    """What the first pass finds in a recording.

    Attributes:
        counts: What was found, and what was left out.
        channel_names: The names of its C channels.
        time_name: The column of its times.
        segment, row: int64 (n,), of its n normal windows, see `RecordingWindows`; segments are counted from 0.
        ids: int64 (n,), see `hash_each`.
        sha256: The hash of the windows.
        lowest, highest: float32 (C,), the extremes of the channels; infinite without windows.
    """

    counts: WindowCounts
    channel_names: tuple[str, ...]
    time_name: str | None
    segment: np.ndarray
    row: np.ndarray
    ids: np.ndarray
    sha256: str
    lowest: np.ndarray
    highest: np.ndarray


class SummaryTask:
    """The task of the first pass, see `Task`: the summary of a recording. It also reads the windows of the other passes.

    Attributes:
        plan: How recordings are cut.
        is_cut: Whether they hold windows that are cut already.
    """

    def __init__(self, plan: WindowPlan, reading: Reading | None, first: Source) -> None:
        self.plan, self.is_cut = plan, first.window_steps is not None
        self._reading, self._names, self._origin = reading, first.channel_names, f"as in {first.name}"

    def open(self, recording: Any) -> Source:
        return open_recording(recording, self._reading, self._names)

    def process(self, number: int, source: Source) -> Summary:
        check_channels(source, self._names, self._origin)
        counts, channels, digest = WindowCounts(Findings(source.name)), len(source.channel_names), hashlib.sha256()
        parts = [(np.empty(0, np.int64),) * 3]  # some recordings have no batch
        lowest, highest = np.full(channels, np.inf, np.float32), np.full(channels, -np.inf, np.float32)
        for batch, segment in read_normal_windows(source, self.plan, counts):
            parts.append((segment, batch.place, hash_each(batch.x)))
            digest.update(hash_windows(batch.x).encode())
            lowest = np.minimum(lowest, batch.x.min(axis=(0, 1), initial=np.inf))
            highest = np.maximum(highest, batch.x.max(axis=(0, 1), initial=-np.inf))
        segments, rows, ids = map(np.concatenate, zip(*parts, strict=True))
        names, sha256 = source.channel_names, digest.hexdigest()
        return Summary(counts, names, source.time_name, segments, rows, ids, sha256, lowest, highest)

    def read_again(self, source: Source, count: int) -> Iterator[np.ndarray]:
        """Yields the normal windows of a recording in another pass, float32 (n, T, C) in batches.

        Args:
            source: The recording.
            count: The number of its windows in the first pass.

        Raises:
            DataError: It has another number of windows now, or cannot be read.
        """
        for batch, _ in read_normal_windows(source, self.plan, WindowCounts(Findings(source.name))):
            count -= len(batch)
            if count < 0:
                break
            yield batch.x
        if count:
            raise changed_recording(source)


def changed_recording(source: Source) -> DataError:
    """Returns the error for a recording with other windows than in the first pass."""
    advice = "Wait until it is complete, and start again."
    return DataError(f"{source.name}: has other windows than when it was read first. {advice}")


def summarise(cluster: Cluster, task: SummaryTask, items: Sequence[Item], skipped: list[Skipped] | None) -> dict[int, Summary]:
    """Runs the first pass. Returns the summaries by the numbers of the recordings, in order.

    Args:
        cluster: The cluster.
        task: The task.
        items: The recordings.
        skipped: A list to which unusable recordings are added; if None, the first one is an error.

    Raises:
        AMSLError: As `Cluster.run`, or there are too few normal windows.
    """
    summaries: dict[int, Summary] = {}
    for results in cluster.run(task, items, "reading", skipped=skipped):
        summaries |= {result.number: result.value for result in results}
    if not summaries:
        assert skipped
        raise none_usable(len(skipped), skipped[0].reason)
    found = summaries.values()
    lowest, highest = np.min([own.lowest for own in found], axis=0), np.max([own.highest for own in found], axis=0)
    rows = sum(own.counts.findings.rows for own in found)
    check_normal(sum(len(own.ids) for own in found), task.plan.steps, rows, bool((lowest < highest).any()))
    return dict(sorted(summaries.items()))


def open_recording(recording: Any, reading: Reading | None, names: Sequence[str]) -> Source:
    """Opens a path or a recording; `names` are those of its channels, if known."""
    return Recordings.of(recording, reading, names)[0]
