"""Fits the score `ensemble` to more windows than fit in memory, on a cluster.

Three passes over the recordings: the first one counts their windows; the second one reads those of the bank, and those for the
states and the usual ranges of the channels; the third one measures all windows against the bank, each without those that are
left out with it. The bank is drawn as in `Ensemble.fit`, so the detector is that of the fit in memory.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np

from amsl_tf.config import DetectorConfig
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
from amsl_tf.scale.held_out import HeldOutTask, window_keys
from amsl_tf.scale.items import Item, Message, list_items
from amsl_tf.scale.selection import select_windows
from amsl_tf.scale.summary import Summary, SummaryTask, open_recording, summarise
from amsl_tf.scoring.ensemble.ensemble import Ensemble, HeldOut
from amsl_tf.scoring.health import ChannelHealth
from amsl_tf.scoring.pipeline import ScoringPipeline
from amsl_tf.scoring.threshold import percentile_threshold
from amsl_tf.training.examples import EXAMPLES, RANGE_WINDOWS, find_range, spread, warn_of_few
from amsl_tf.training.fingerprint import fingerprint
from amsl_tf.training.inputs import check_fit_input
from amsl_tf.training.recordings import LEAST_GROUPS, group_keys, summarise_windows
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

    The calling process keeps a few numbers for each window, and the windows of the bank. The detector is that of
    `AMSLDetector.fit_recordings`, up to rounding errors, and does not depend on the number of workers.

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
            return SummaryTask(plan, reading, first)

    task = use_first(items, make_task, skip_bad=skipped is not None)
    with connect(address, workers) as cluster, tensorflow_runtime():
        cluster.report(messages)
        summaries = summarise(cluster, task, items, skipped)
        return detector.set_fitted(_fit(config, cluster, task, summaries, items, keys))


def _fit(
    config: DetectorConfig,
    cluster: Cluster,
    task: SummaryTask,
    summaries: dict[int, Summary],
    items: Sequence[Item],
    keys: dict[int, Any],
) -> Fitted:
    """Fits the ensemble in the second and third pass.

    Args:
        config: The settings.
        cluster: The cluster.
        task: The task of the first pass.
        summaries: Its results.
        items: The recordings.
        keys: The group of each of them, by its number.
    """
    plan, found = task.plan, list(summaries.values())
    used = [item for item in items if item.number in summaries and len(summaries[item.number].ids)]
    numbers = [item.number for item in used]
    used_keys = np.array([keys[number] for number in numbers])
    group = np.unique(used_keys, return_inverse=True)[1]
    has_groups = len(np.unique(group)) >= LEAST_GROUPS
    if not has_groups and task.is_cut:
        raise DataError(
            f"windows that are cut already need {LEAST_GROUPS} groups on a cluster. Give more files or folders, or "
            "fit them on one machine."
        )
    counts = [len(summaries[number].ids) for number in numbers]
    ends, total = np.cumsum(counts), sum(counts)
    pieces = None if has_groups else make_pieces(total, plan.steps, plan.stride)
    config = replace(config, channel_names=found[0].channel_names)
    metadata = summarise_windows([own.counts for own in found], plan, found[0].time_name)

    ensemble, random = Ensemble(config), np.random.default_rng(config.training.seed)
    rows = ensemble.draw_bank(total, random)
    wanted = [rows, *(spread(total, most) for most in (config.bank_size, RANGE_WINDOWS, EXAMPLES))]
    bank, of_health, usual, examples = select_windows(cluster, task, summaries, used, wanted)
    check_fit_input(config, bank)
    ensemble.set_bank(bank, rows, None, random)
    ids = np.concatenate([own.ids for own in found])
    bank_keys = window_keys(rows, ids[rows], group[np.searchsorted(ends, rows, side="right")], pieces)
    places = {number: range(end - count, end) for number, end, count in zip(numbers, ends.tolist(), counts, strict=True)}
    groups = dict(zip(numbers, group.tolist(), strict=True))
    measured: dict[int, HeldOut] = {}
    for results in cluster.run(HeldOutTask(task, ensemble, bank_keys, places, groups, pieces), used, "calibrating"):
        measured |= {result.number: result.value for result in results}
    scores = ensemble.calibrate([measured[number] for number in numbers], has_groups=has_groups)

    shape = bank.shape[1:]
    pipeline = ScoringPipeline(None, None, {}, config, shape, {SCORE: ensemble}, ChannelHealth.fit(of_health))
    digest = hashlib.sha256("".join(own.sha256 for own in found).encode()).hexdigest()
    about: dict[str, Any] = {"windows": total, "steps": shape[0], "channels": shape[1], "sha256": digest}
    about |= {"fingerprint": fingerprint(config, "none", about, used_keys, None, None), "precision": None}
    different = len(np.unique(ids[ids >= 0])) + int((ids < 0).sum()) if has_groups else total * plan.stride // plan.steps
    warn_of_few(different, config.contamination, is_overlapping=not has_groups)
    segments = [own.counts.segments for own in found]
    first_segments = np.cumsum(segments) - segments
    return Fitted(
        config=config,
        pipeline=pipeline,
        thresholds={SCORE: percentile_threshold(scores, config.percentile)},
        training_scores={SCORE: scores},
        examples=examples,
        data=about,
        history={},
        normal_range=find_range(usual),
        recordings={**metadata, "left_out": "group" if has_groups else "piece"},
        segments=np.concatenate([start + own.segment for start, own in zip(first_segments, found, strict=True)]),
        rows=np.concatenate([own.row for own in found]),
    )
