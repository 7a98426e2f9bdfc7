"""The first pass of a fit on a cluster: a summary of each recording, and a random sample of all windows."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.data.findings import Findings
from amsl_tf.data.reading import Reading
from amsl_tf.data.recordings import Recordings, check_channels
from amsl_tf.data.skipped import Skipped, none_usable
from amsl_tf.data.source import Source
from amsl_tf.data.window_reader import WindowPlan
from amsl_tf.data.windows import hash_each, hash_windows
from amsl_tf.scale.cluster import Cluster
from amsl_tf.scale.items import Item
from amsl_tf.training.recordings import WindowCounts, check_normal, read_normal_windows


class Sample(NamedTuple):
    """A bottom-k sample: the windows with the smallest random priorities, the same however windows are divided and merged.

    Attributes:
        priority: float64 (n,), uniform between 0 and 1.
        recording: int64 (n,), the position of the recording of each window among all.
        place: int64 (n,), its position among the windows of the recording.
        x: float32 (n, T, C), the windows.
    """

    priority: np.ndarray
    recording: np.ndarray
    place: np.ndarray
    x: np.ndarray

    def reduced(self, size: int) -> "Sample":
        """Returns the sample of at most `size` windows, in order of recordings and windows."""
        kept = np.argsort(self.priority, kind="stable")[:size]
        kept = kept[np.lexsort((self.place[kept], self.recording[kept]))]
        return Sample(*(values[kept] for values in self))


def merge(samples: Sequence[Sample], size: int) -> Sample:
    """Merges samples of different windows into that of at most `size` of them all."""
    return Sample(*(np.concatenate(parts) for parts in zip(*samples, strict=True))).reduced(size)


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
    """The task of the first pass, see `Task`: the summary and a sample of the windows of a recording."""

    def __init__(self, config: DetectorConfig, plan: WindowPlan, reading: Reading | None, first: Source) -> None:
        self.config, self.plan, self.is_cut = config, plan, first.window_steps is not None
        self._reading, self._names, self._origin = reading, first.channel_names, f"as in {first.name}"
        self._smallest = np.empty(0)  # priorities that this worker has seen, up to the size of the bank

    def open(self, recording: Any) -> Source:
        return open_recording(recording, self._reading, self._names)

    def process(self, number: int, source: Source) -> tuple[Summary, Sample]:
        check_channels(source, self._names, self._origin)
        random, digest = np.random.default_rng([self.config.training.seed, number]), hashlib.sha256()
        counts, channels = WindowCounts(Findings(source.name)), len(source.channel_names)
        segments: list[np.ndarray] = []
        rows: list[np.ndarray] = []
        ids: list[np.ndarray] = []
        count, nothing, smallest = 0, np.empty(0, np.int64), self._smallest
        lowest, highest = np.full(channels, np.inf, np.float32), np.full(channels, -np.inf, np.float32)
        no_windows = np.empty((0, self.plan.steps, channels), np.float32)
        samples = [Sample(np.empty(0), nothing, nothing, no_windows)]
        for batch, segment in read_normal_windows(source, self.plan, counts):
            segments.append(segment)
            rows.append(batch.place)
            ids.append(hash_each(batch.x))
            digest.update(hash_windows(batch.x).encode())
            lowest = np.minimum(lowest, batch.x.min(axis=(0, 1), initial=np.inf))
            highest = np.maximum(highest, batch.x.max(axis=(0, 1), initial=-np.inf))
            priority = random.random(len(batch))
            smallest = _smallest(np.concatenate([smallest, priority]), self.config.bank_size)
            # fewer than `bank_size` windows that were seen here have smaller priorities: these can be in the sample of all
            kept = np.flatnonzero(priority <= smallest.max(initial=0))
            samples.append(Sample(priority[kept], np.full(len(kept), number), count + kept, batch.x[kept]))
            count += len(batch)
        self._smallest = smallest  # only now: after an error, none of the recording is in the sample
        summary = Summary(
            counts,
            source.channel_names,
            source.time_name,
            np.concatenate([nothing, *segments]),
            np.concatenate([nothing, *rows]),
            np.concatenate([nothing, *ids]),
            digest.hexdigest(),
            lowest,
            highest,
        )
        return summary, merge(samples, self.config.bank_size)


def run_first_pass(
    cluster: Cluster, task: SummaryTask, items: Sequence[Item], skipped: list[Skipped] | None
) -> tuple[dict[int, Summary], Sample]:
    """Runs the first pass. Returns the summaries by the numbers of the recordings, in order, and the sample of all windows."""
    size = task.config.bank_size
    summaries: dict[int, Summary] = {}
    samples: list[Sample] = []
    for results in cluster.run(task, items, "reading", skipped=skipped):
        for number, (summary, sample), *_ in results:
            summaries[number] = summary
            samples.append(sample)
        if sum(len(sample.x) for sample in samples) > 2 * size:  # before they fill the memory
            samples = [merge(samples, size)]
    if not summaries:
        assert skipped
        raise none_usable(len(skipped), skipped[0].reason)
    found = summaries.values()
    lowest, highest = np.min([own.lowest for own in found], axis=0), np.max([own.highest for own in found], axis=0)
    rows = sum(own.counts.findings.rows for own in found)
    check_normal(sum(len(own.ids) for own in found), task.plan.steps, rows, bool((lowest < highest).any()))
    return dict(sorted(summaries.items())), merge(samples, size)


def open_recording(recording: Any, reading: Reading | None, names: Sequence[str]) -> Source:
    """Opens a path or a recording; `names` are those of its channels, if known."""
    return Recordings.of(recording, reading, names)[0]


def _smallest(numbers: np.ndarray, count: int) -> np.ndarray:
    """Returns the smallest `count` of some numbers, in any order; all of them if there are fewer."""
    return np.partition(numbers, count - 1)[:count] if len(numbers) > count else numbers
