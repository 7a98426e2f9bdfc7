"""Fits the score `ensemble` to more windows than fit in memory, on a cluster.

Two passes over the recordings: the first one draws the windows of the bank, the second one measures all windows against it,
each without those that are left out with it. The scores of the ensemble are those of `Ensemble.fit`; what differs from the fit
in memory is which windows the bank holds, if there are more than `bank_size`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np

from amsl_tf.data.choices import Missing, ResampleBy
from amsl_tf.data.pieces import make_pieces
from amsl_tf.data.reading import Reading
from amsl_tf.data.recordings import Recordings, check_channels
from amsl_tf.data.skipped import Skipped, use_first
from amsl_tf.detector import AMSLDetector
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.runtime import tensorflow_runtime
from amsl_tf.saving import Fitted
from amsl_tf.scale.cluster import Cluster
from amsl_tf.scale.connection import connect
from amsl_tf.scale.first_pass import Sample, Summary, SummaryTask, open_recording, run_first_pass
from amsl_tf.scale.items import Item, Message, list_items
from amsl_tf.scale.second_pass import HeldOutTask, window_keys
from amsl_tf.scoring.ensemble.ensemble import Ensemble, HeldOut
from amsl_tf.scoring.health import ChannelHealth
from amsl_tf.scoring.pipeline import ScoringPipeline
from amsl_tf.scoring.threshold import percentile_threshold
from amsl_tf.training.examples import EXAMPLES, find_range, spread, warn_of_few
from amsl_tf.training.fingerprint import fingerprint
from amsl_tf.training.inputs import check_fit_input
from amsl_tf.training.recordings import (
    LEAST_GROUPS,
    group_keys,
    summarise_windows,
)
from amsl_tf.training.window_plan import plan_windows

SCORE = "ensemble"  # the only one that is fitted here


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

    The calling process keeps a few numbers for each window, and the windows of the bank.

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
    opening = partial(open_recording, reading=reading, names=config.channel_names)
    items, given = list_items(recordings, partial(Recordings.of, reading=reading, names=config.channel_names, skipped=skipped))
    positions = [item.number for item in items]
    keys = dict(zip(positions, group_keys([item.name for item in items], groups, positions, given), strict=True))
    messages: list[Message] = []

    def make_task(item: Item) -> SummaryTask:
        with item.opened(opening, messages) as first:
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
            return SummaryTask(config, plan, reading, first)

    task = use_first(items, make_task, skip_bad=skipped is not None)
    with connect(address, workers) as cluster, tensorflow_runtime():
        cluster.report(messages)
        summaries, sample = run_first_pass(cluster, task, items, skipped)
        return detector.set_fitted(_fit(cluster, task, summaries, sample, items, keys))


def _fit(
    cluster: Cluster,
    task: SummaryTask,
    summaries: dict[int, Summary],
    sample: Sample,
    items: Sequence[Item],
    keys: dict[int, Any],
) -> Fitted:
    """Fits the ensemble to a sample, and calibrates it on all windows in the second pass.

    Args:
        cluster: The cluster.
        task: The task of the first pass.
        summaries, sample: Its results.
        items: The recordings.
        keys: The group of each of them, by its number.
    """
    plan, found = task.plan, list(summaries.values())
    used = [item for item in items if item.number in summaries and len(summaries[item.number].ids)]
    numbers = [item.number for item in used]
    used_keys = np.array([keys[number] for number in numbers])
    groups = dict(zip(numbers, np.unique(used_keys, return_inverse=True)[1].tolist(), strict=True))
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

    starts = (np.cumsum(counts) - counts).tolist()
    places = {number: range(start, start + count) for number, start, count in zip(numbers, starts, counts, strict=True)}
    rows = np.array([places[number].start for number in sample.recording.tolist()]) + sample.place
    own_ids = np.array([summaries[number].ids[place] for number, place in zip(sample.recording, sample.place, strict=True)])
    own_groups = np.array([groups[number] for number in sample.recording.tolist()])
    ensemble, random = Ensemble(config), np.random.default_rng(config.training.seed)
    random.permutation(len(rows))  # as `Ensemble.fit` draws before the noise: a bank of all windows has the same copies
    ensemble.set_bank(sample.x, rows, None, random)
    bank_keys = window_keys(rows, own_ids, own_groups, pieces)
    measured: dict[int, HeldOut] = {}
    for results in cluster.run(HeldOutTask(task, ensemble, bank_keys, places, groups, pieces), used, "calibrating"):
        measured |= {number: held_out for number, held_out, *_ in results}
    scores = ensemble.calibrate([measured[number] for number in numbers], has_groups=has_groups)

    shape = (plan.steps, sample.x.shape[2])
    pipeline = ScoringPipeline(None, None, {}, config, shape, {SCORE: ensemble}, ChannelHealth.fit(sample.x))
    digest = hashlib.sha256("".join(own.sha256 for own in found).encode()).hexdigest()
    about: dict[str, Any] = {"windows": total, "steps": shape[0], "channels": shape[1], "sha256": digest}
    about |= {"fingerprint": fingerprint(config, "none", about, used_keys, None, None), "precision": None}
    ids = np.concatenate([own.ids for own in found])
    different = len(np.unique(ids[ids >= 0])) + int((ids < 0).sum()) if has_groups else total * plan.stride // plan.steps
    warn_of_few(different, config.contamination, is_overlapping=not has_groups)
    segments = [own.counts.segments for own in found]
    first_segments = np.cumsum(segments) - segments
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
        segments=np.concatenate([start + own.segment for start, own in zip(first_segments, found, strict=True)]),
        rows=np.concatenate([own.row for own in found]),
    )
