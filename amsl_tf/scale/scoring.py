"""Scores recordings on a cluster: the tables are those that one machine writes."""

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amsl_tf._version import __version__
from amsl_tf.data.files import locked, resolve
from amsl_tf.data.locations import Location
from amsl_tf.data.outputs import check_output, check_table_name
from amsl_tf.data.reading import Reading
from amsl_tf.data.skipped import Skipped, use_first
from amsl_tf.data.source import Source
from amsl_tf.data.uploads import check_upload, upload
from amsl_tf.data.urls import is_url, plain_url, remove_file_scheme
from amsl_tf.data.window_reader import WindowPlan
from amsl_tf.detector import AMSLDetector
from amsl_tf.scale.connection import connect
from amsl_tf.scale.items import Item, list_items
from amsl_tf.scale.parts import PARTS, Parts
from amsl_tf.scoring.events import MergeRule
from amsl_tf.scoring.recording_table import RecordingTable
from amsl_tf.stages.recordings import ScoringResult, write_scores

log = logging.getLogger(__name__)


def score_recordings(
    detector: AMSLDetector,
    recordings: Any,
    *,
    stride: Any = None,
    resample: bool = False,
    rule: MergeRule | None = None,
    reading: Reading | None = None,
    steps: bool = False,
    output: str | Path | None = None,
    events_file: str | Path | None = None,
    skipped: list[Skipped] | None = None,
    address: str | None = None,
    workers: int | None = None,
    work_dir: str | Path | None = None,
) -> ScoringResult:
    """Scores recordings on a Ray cluster, and writes tables, each completely or not at all.

    A recording is scored by one worker, with the code and in the batches of one machine. After an interruption or an error the
    same call resumes the job: recordings that are finished, and have not changed since, are not scored again.

    Args:
        detector: A fitted detector, which is sent to the workers.
        recordings: Paths and URLs that `find_locations` accepts and every worker reaches, or anything else that
            `Recordings.of` accepts.
        stride, resample, rule, reading: As for `AMSLDetector.score_recording`.
        steps: Whether `output` has a row for each time step.
        output: The table of windows, .csv or .parquet; a path of this machine or a URL; or None.
        events_file: The table of events, likewise.
        skipped: A list to which recordings that cannot be scored are added; if None, such a recording is an error.
        address: `auto` or HOST:PORT of a cluster; None for `RAY_ADDRESS`, or else a cluster of this machine.
        workers: The number of workers, each with one CPU; None for the CPUs of the cluster.
        work_dir: A folder for finished parts, from which the same call resumes; a temporary one if None. Recordings in memory
            are always scored from the start.

    Returns:
        The counts and the events.

    Raises:
        NotFittedError: The detector is not fitted.
        AMSLError: A recording cannot be read or does not fit the detector, a table cannot be written, or there is no cluster.

    Example:
        >>> amsl_tf.scale.score_recordings(detector, "s3://bucket/recordings", output="scores.parquet", work_dir="work")
    """
    output, events_file = (None if file is None else remove_file_scheme(file) for file in (output, events_file))
    for file in (output, events_file):
        _check_table(file)
    plan = detector.plan(stride, resample)
    items, given = list_items(recordings, partial(detector.open_recordings, reading=reading, skipped=skipped))
    names = detector.config_.channel_names or _first_names(detector, items, reading, skip_bad=skipped is not None)
    task = _ScoreTask(detector, reading, names, plan, rule or MergeRule(), detector.threshold_ if steps else None)
    bad: list[Skipped] = [] if skipped is None else skipped
    with ExitStack() as stack:
        folder = stack.enter_context(_work_folder(work_dir, task, items))
        parts = Parts(folder)
        keys = {item.number: item.key for item in items}
        left = [item for item in items if item.key not in parts]
        if len(left) < len(items):
            log.info(f"{len(items) - len(left):,} of {len(items):,} recordings are finished in {folder}")
        zones: set[str | None] = set()
        if left:
            with connect(address, workers) as cluster:
                for results in cluster.run(task.without_rows(), left, "scoring", done=len(items) - len(left), skipped=skipped):
                    parts.write({keys[result.number]: result.value for result in results})
                zones = cluster.time_zones
        local = [stack.enter_context(_local_table(file)) for file in (output, events_file)]
        many = given > 1
        return write_scores(
            parts.tables(keys.values()),
            zones | parts.time_zones(keys.values()),
            many=many,
            output=local[0],
            events_file=local[1],
            skipped=bad,
        )


class _ScoreTask(NamedTuple):
    """The task of a worker: the scores of a recording, see `Task`."""

    detector: AMSLDetector
    reading: Reading | None
    names: Sequence[str]
    plan: WindowPlan
    rule: MergeRule
    step_threshold: float | None

    def without_rows(self) -> "_ScoreTask":
        """Returns a copy of the task without data of each training window, which scores do not need."""
        detector = copy(self.detector)
        detector.segments_ = detector.rows_ = None
        return self._replace(detector=detector)

    def open(self, recording: Any) -> Source:
        return self.detector.open_recordings(recording, self.reading, names=self.names)[0]

    def process(self, number: int, source: Source) -> RecordingTable:
        table = RecordingTable.score(self.detector, source, self.plan, self.rule, self.step_threshold)
        parts = list(table.parts)
        table.parts = [{name: np.concatenate([part[name] for part in parts]) for name in parts[0]}]
        return table

    def fingerprint(self) -> str:
        """Returns the hash of everything that scores depend on, apart from the recordings, 16 hexadecimal digits."""
        pipeline = self.detector.pipeline.__getstate__()
        pipeline["scores"] = {name: score.state() for name, score in pipeline["scores"].items()}
        pipeline["health"] = None if pipeline["health"] is None else vars(pipeline["health"])
        pipeline["config"] = pipeline["config"].to_dict()
        settings = [
            asdict(self.reading or Reading()),
            list(self.names),
            *map(str, self.plan),
            asdict(self.rule),
            self.step_threshold,
        ]
        digest = hashlib.sha256(json.dumps([__version__, settings, self.detector.thresholds_]).encode())
        _hash(digest, [pipeline, self.detector.config_.to_dict(), self.detector.decision_scores_])
        return digest.hexdigest()[:16]


def _hash(digest: Any, value: Any) -> None:
    """Adds a value to a digest: arrays, and what is made of them."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            digest.update(str(key).encode())
            _hash(digest, item)
    elif isinstance(value, list | tuple):
        for item in value:
            _hash(digest, item)
    elif hasattr(value, "shape"):
        array = np.ascontiguousarray(value)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    else:
        digest.update(repr(value).encode())


def _first_names(detector: AMSLDetector, items: Sequence[Item], reading: Reading | None, *, skip_bad: bool) -> tuple[str, ...]:
    """Returns the channels of the first recording, for a detector that was fitted without names."""

    def read_names(item: Item) -> tuple[str, ...]:
        with item.opened(lambda recording: detector.open_recordings(recording, reading)[0], []) as source:
            return source.channel_names

    return use_first(items, read_names, skip_bad=skip_bad)


@contextmanager
def _work_folder(work_dir: str | Path | None, task: _ScoreTask, items: Sequence[Item]) -> Iterator[Path]:
    """Yields a folder for finished parts, which is removed at the end; after an error only if it is temporary."""
    if work_dir is None or not all(isinstance(item.place, Location) for item in items):
        with tempfile.TemporaryDirectory(prefix="amsl_tf-") as temporary:
            yield Path(temporary)
        return
    work = resolve(work_dir)
    folder = work / task.fingerprint()
    try:
        with locked(folder):
            try:
                yield folder
            except Exception:
                if any(folder.glob(PARTS)):
                    log.warning(
                        f"{folder}: holds the finished recordings, from which the same call resumes. Remove it to start anew."
                    )
                raise
        shutil.rmtree(folder)
        if others := len({part.parent for part in work.glob(f"*/{PARTS}")}):
            log.info(f"{work}: finished parts of jobs with other detectors or settings: {others}. Remove them to free space.")
    finally:
        with suppress(OSError):  # it holds other jobs, or more
            work.rmdir()


def _check_table(file: str | Path | None) -> None:
    """Raises AMSLError if a table cannot be written to a path or URL, as far as this can be checked in advance."""
    if file is None:
        return
    if not is_url(file):
        check_output(Path(file))
        return
    check_table_name(plain_url(str(file)))
    check_upload(str(file))


@contextmanager
def _local_table(file: str | Path | None) -> Iterator[Path | None]:
    """Yields the path at which a table is written; one for a URL is copied there at the end."""
    if file is None or not is_url(file):
        yield None if file is None else Path(file)
        return
    with tempfile.TemporaryDirectory(prefix="amsl_tf-") as folder:
        local = Path(folder) / plain_url(str(file)).rpartition("/")[2]
        yield local
        upload(local, str(file))
