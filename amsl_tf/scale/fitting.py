"""Fits the score `ensemble` to more windows than fit in memory, on a cluster.

Two passes over the recordings: the first one draws the windows of the bank, the second one measures all windows against it,
each without those that are left out with it. The scores of the ensemble are those of `Ensemble.fit`; what differs from the fit
in memory is which windows the bank holds, if there are more than `bank_size`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.data.choices import Missing, ResampleBy
from amsl_tf.data.findings import Findings
from amsl_tf.data.pieces import Pieces, make_pieces
from amsl_tf.data.reading import Reading
from amsl_tf.data.recordings import Recordings, Skipped, check_channels
from amsl_tf.data.source import Source
from amsl_tf.data.window_reader import WindowPlan
from amsl_tf.data.windows import CHUNK, hash_each, hash_windows
from amsl_tf.detector import AMSLDetector
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.runtime import tensorflow_runtime
from amsl_tf.saving import Fitted
from amsl_tf.scale.cluster import Cluster, connect
from amsl_tf.scale.items import Item, Message, list_items, use_first
from amsl_tf.scoring.ensemble.ensemble import Ensemble, HeldOut, left_out_keys
from amsl_tf.scoring.health import ChannelHealth
from amsl_tf.scoring.pipeline import ScoringPipeline
from amsl_tf.scoring.threshold import percentile_threshold
from amsl_tf.training.examples import EXAMPLES, find_range, spread, warn_of_few
from amsl_tf.training.fingerprint import fingerprint
from amsl_tf.training.inputs import check_fit_input
from amsl_tf.training.recordings import (
    LEAST_GROUPS,
    WindowCounts,
    check_normal,
    group_keys,
    read_normal_windows,
    summarise_windows,
)
from amsl_tf.training.window_plan import plan_windows

SCORE = "ensemble"  # the only one that is fitted here


class Sample(NamedTuple):
    """A random sample of windows: those with the smallest random numbers, however the windows are divided and merged.

    Attributes:
        number: float64 (n,), the random number of each window, uniform between 0 and 1.
        item: int64 (n,), the recording that it is of.
        place: int64 (n,), its position among the windows of the recording.
        x: float32 (n, T, C), the windows.
    """

    number: np.ndarray
    item: np.ndarray
    place: np.ndarray
    x: np.ndarray

    def reduced(self, size: int) -> "Sample":
        """Returns the sample of at most `size` windows, in order of recordings and windows."""
        kept = np.argsort(self.number, kind="stable")[:size]
        kept = kept[np.lexsort((self.place[kept], self.item[kept]))]
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


def fit_recordings(
    detector: AMSLDetector,
    recordings: Any,
    *,
    window: int | str | timedelta | None = None,
    stride: int | str | timedelta | None = None,
    groups: Any = "file",
    rate: float | None = None,
    resample: str | timedelta | None = None,
    resample_by: ResampleBy = "mean",
    max_gap: int | str | timedelta | None = None,
    missing: Missing = "interpolate",
    max_fill: int | str | timedelta | None = None,
    reading: Reading | None = None,
    skipped: list[Skipped] | None = None,
    address: str | None = None,
    workers: int | None = None,
) -> AMSLDetector:
    """Fits a detector to recordings on a Ray cluster, which hold more windows than fit in memory.

    The command holds some numbers for each window, and the windows of the bank.

    The result does not depend on the number of workers. With up to `bank_size` windows it is that of
    `AMSLDetector.fit_recordings`, up to rounding errors; with more, the bank is another random sample of them.

    Args:
        detector: A detector with the score `ensemble` alone, without a network.
        recordings: Paths and URLs that `find_locations` accepts and every worker reaches, or anything else that
            `Recordings.of` accepts.
        window, stride, groups, rate, resample, resample_by, max_gap, missing, max_fill, reading: As for
            `AMSLDetector.fit_recordings`.
        skipped: A list to which recordings that cannot be read are added; if None, such a recording is an error.
        address: `auto` or HOST:PORT of a cluster; None for `RAY_ADDRESS`, or else a cluster of this machine.
        workers: The number of workers, each with one CPU; None for the CPUs of the cluster.

    Returns:
        The fitted detector itself.

    Raises:
        AMSLError: A parameter is invalid, recordings cannot be read or used, or there is no cluster.

    Example:
        >>> amsl_tf.scale.fit_recordings(AMSLDetector(), "s3://bucket/normal", window="2s", workers=32)
    """
    config = detector.config
    if config.scores != (SCORE,) or config.network is not None:
        raise AMSLError(
            f"a cluster fits the score {SCORE} without a network. Received: {', '.join(config.scores)}, network="
            f"{None if config.network is None else config.network.name!r}. Fit it on one machine, or train on several devices."
        )
    opening = partial(_open, reading=reading, names=config.channel_names)
    items = list_items(recordings, partial(Recordings.of, reading=reading, names=config.channel_names))
    keys = group_keys([item.name for item in items], groups, range(len(items)), len(items))
    messages: list[Message] = []

    def make_task(first: Source) -> _Summarise:
        if config.channel_names:
            check_channels(first, config.channel_names, "the channel_names of the detector")
        plan = plan_windows(
            first,
            window=window,
            stride=stride,
            rate=rate,
            resample=resample,
            resample_by=resample_by,
            max_gap=max_gap,
            missing=missing,
            max_fill=max_fill,
        )
        return _Summarise(config, plan, reading, first)

    task = use_first(items, opening, make_task, messages, skip_bad=skipped is not None)
    with connect(address, workers) as cluster, tensorflow_runtime():
        cluster.report(messages)
        summaries, sample = _summarise(cluster, task, items, skipped)
        return detector.set_fitted(_fit(cluster, task, summaries, sample, items, keys))


def _summarise(
    cluster: Cluster, task: "_Summarise", items: Sequence[Item], skipped: list[Skipped] | None
) -> tuple[dict[int, Summary], Sample]:
    """Runs the first pass. Returns the summaries by the numbers of the recordings, in order, and the sample of all windows."""
    size = task.config.bank_size
    summaries: dict[int, Summary] = {}
    samples: list[Sample] = []
    for results in cluster.run(task, items, "reading", skipped=skipped):
        for item, (summary, sample), *_ in results:
            summaries[item.number] = summary
            samples.append(sample)
        if sum(len(sample.x) for sample in samples) > 2 * size:  # before they fill the memory
            samples = [merge(samples, size)]
    if not summaries:
        assert skipped
        raise DataError(f"none of {len(items)} recordings can be read. The first: {skipped[0].reason}")
    found = summaries.values()
    lowest, highest = np.min([own.lowest for own in found], axis=0), np.max([own.highest for own in found], axis=0)
    rows = sum(own.counts.findings.rows for own in found)
    check_normal(sum(len(own.ids) for own in found), task.plan.steps, rows, bool((lowest < highest).any()))
    return dict(sorted(summaries.items())), merge(samples, size)


def _fit(
    cluster: Cluster,
    task: "_Summarise",
    summaries: dict[int, Summary],
    sample: Sample,
    items: Sequence[Item],
    keys: np.ndarray,
) -> Fitted:
    """Fits the ensemble to a sample, and calibrates it on all windows in the second pass.

    Args:
        cluster: The cluster.
        task: The task of the first pass.
        summaries, sample: Its results.
        items: All recordings.
        keys: The group of each of them.
    """
    plan, found = task.plan, list(summaries.values())
    used = [item for item in items if item.number in summaries and len(summaries[item.number].ids)]
    numbers = [item.number for item in used]
    groups = dict(zip(numbers, np.unique(keys[numbers], return_inverse=True)[1].tolist(), strict=True))
    has_groups = len(set(groups.values())) >= LEAST_GROUPS
    if not has_groups and task.is_cut:
        raise DataError(
            f"windows that are cut already need {LEAST_GROUPS} groups on a cluster. Give more files or folders, or "
            "fit them on one machine."
        )
    counts = [len(summaries[number].ids) for number in numbers]
    total = sum(counts)
    pieces = None if has_groups else make_pieces(total, plan.steps, plan.stride)
    first = found[0]
    config = replace(task.config, channel_names=first.channel_names)
    check_fit_input(config, sample.x)
    metadata = summarise_windows([own.counts for own in found], plan, first.time_name)

    offsets = dict(zip(numbers, (np.cumsum(counts) - counts).tolist(), strict=True))
    rows = np.array([offsets[number] for number in sample.item.tolist()]) + sample.place
    own_ids = np.array([summaries[number].ids[place] for number, place in zip(sample.item, sample.place, strict=True)])
    own_groups = np.array([groups[number] for number in sample.item.tolist()])
    ensemble, random = Ensemble(config), np.random.default_rng(config.training.seed)
    random.permutation(len(rows))  # as `Ensemble.fit` draws before the noise: a bank of all windows has the same copies
    ensemble.set_bank(sample.x, rows, None, random)
    bank_keys = _keys(rows, own_ids, own_groups, pieces)
    measured: dict[int, HeldOut] = {}
    for results in cluster.run(_Measure(task, ensemble, bank_keys, offsets, groups, pieces), used, "calibrating"):
        measured |= {item.number: held_out for item, held_out, *_ in results}
    scores = ensemble.calibrate([measured[number] for number in numbers], has_groups=has_groups)
    if len(scores) != total:
        raise DataError("recordings have changed while they were read. Wait until they are complete, and start again.")

    shape = (plan.steps, sample.x.shape[2])
    pipeline = ScoringPipeline(None, None, {}, config, shape, {SCORE: ensemble}, ChannelHealth.fit(sample.x))
    digest = hashlib.sha256("".join(own.sha256 for own in found).encode()).hexdigest()
    about: dict[str, Any] = {"windows": total, "steps": shape[0], "channels": shape[1], "sha256": digest}
    about |= {"fingerprint": fingerprint(config, "none", about, keys[numbers], None, None), "precision": None}
    ids = np.concatenate([own.ids for own in found])
    different = len(np.unique(ids[ids >= 0])) + int((ids < 0).sum()) if has_groups else total * plan.stride // plan.steps
    warn_of_few(different, config.contamination, is_overlapping=not has_groups)
    segments = [own.counts.segments for own in found]
    starts = np.cumsum(segments) - segments
    return Fitted(
        config=config,
        pipeline=pipeline,
        thresholds={SCORE: percentile_threshold(scores, config.percentile)},
        training_scores={SCORE: scores},
        examples=spread(sample.x, EXAMPLES),
        data=about,
        history={},
        normal_range=find_range(sample.x),
        recordings={**metadata, "left_out": "group" if has_groups else "piece"},
        segments=np.concatenate([start + own.segment for start, own in zip(starts, found, strict=True)]),
        rows=np.concatenate([own.row for own in found]),
    )


class _Summarise:
    """The task of the first pass, see `Task`: the summary and a sample of the windows of a recording."""

    def __init__(self, config: DetectorConfig, plan: WindowPlan, reading: Reading | None, first: Source) -> None:
        self.config, self.plan, self.is_cut = config, plan, first.window_steps is not None
        self._reading, self._names, self._origin = reading, first.channel_names, f"as in {first.name}"
        self._smallest = np.empty(0)  # random numbers that this worker has seen, up to the size of the bank

    def open(self, recording: Any) -> Source:
        return _open(recording, self._reading, self._names)

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
            numbers = random.random(len(batch))
            smallest = _smallest(np.concatenate([smallest, numbers]), self.config.bank_size)
            # fewer than `bank_size` windows that were seen here have smaller numbers: these can be in the sample of all
            kept = np.flatnonzero(numbers <= smallest.max(initial=0))
            samples.append(Sample(numbers[kept], np.full(len(kept), number), count + kept, batch.x[kept]))
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


class _Measure(NamedTuple):
    """The task of the second pass, see `Task`: the held-out distances of the windows of a recording.

    Attributes:
        summarise: The task of the first pass, which opens recordings.
        ensemble: The ensemble with its bank.
        bank_keys: The keys of the windows of the bank.
        offsets: The position of the first window of each recording among all, by the number of the recording.
        groups: The group of each recording, likewise.
        pieces: The pieces of all windows, or None if groups are left out.
    """

    summarise: _Summarise
    ensemble: Ensemble
    bank_keys: list[np.ndarray]
    offsets: dict[int, int]
    groups: dict[int, int]
    pieces: Pieces | None

    def open(self, recording: Any) -> Source:
        return self.summarise.open(recording)

    def process(self, number: int, source: Source) -> HeldOut:
        found, start = [], self.offsets[number]
        counts = WindowCounts(Findings(source.name))
        for x in _in_chunks(batch.x for batch, _ in read_normal_windows(source, self.summarise.plan, counts)):
            rows = start + np.arange(len(x))
            keys = _keys(rows, hash_each(x), np.full(len(x), self.groups[number]), self.pieces)
            found.append(self.ensemble.measure_held_out(x, keys, self.bank_keys))
            start += len(x)
        return HeldOut.join(found)


def _open(recording: Any, reading: Reading | None, names: Sequence[str]) -> Source:
    return Recordings.of(recording, reading, names)[0]


def _smallest(numbers: np.ndarray, count: int) -> np.ndarray:
    """Returns the smallest `count` of some numbers, in any order; all of them if there are fewer."""
    return np.partition(numbers, count - 1)[:count] if len(numbers) > count else numbers


def _keys(rows: np.ndarray, hashes: np.ndarray, groups: np.ndarray, pieces: Pieces | None) -> list[np.ndarray]:
    """Returns the keys of windows, see `left_out_keys`, from hashes, see `hash_each`; groups count without pieces alone."""
    return left_out_keys(rows, np.where(hashes < 0, -1 - rows, hashes), groups if pieces is None else None, pieces)


def _in_chunks(batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields windows in parts of `CHUNK` or a few more, float32 (n, T, C)."""
    waiting: list[np.ndarray] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= CHUNK:
            yield np.concatenate(waiting)
            waiting = []
    if sum(map(len, waiting)):
        yield np.concatenate(waiting)
