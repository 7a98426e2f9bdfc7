"""A small detector, files of recordings, clusters, and recordings that stop their worker."""

import json
import os
import pickle
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from amsl_tf import AMSLDetector
from amsl_tf.data.reading import Reading
from amsl_tf.data.recordings import Recording
from amsl_tf.data.rows import Rows
from amsl_tf.scale import items
from amsl_tf.scale.cluster import Cluster, _Worker
from amsl_tf.stages.recordings import score_recordings

NAMES = ("a", "b", "c")
STEPS, STRIDE = 32, 16
READING = Reading(label="fault")


def make_values(seed: int, rows: int = 400) -> np.ndarray:
    """Three waves with noise; of every third recording the channel b is 3 too large in some rows."""
    rng = np.random.default_rng(seed)
    x = np.sin(np.arange(rows)[:, None] / 4 + rng.uniform(0, 7) + np.arange(3)) + rng.normal(0, 0.1, (rows, 3))
    x[rows // 2 : rows // 2 + 60, 1] += 3 * (seed % 3 == 1)
    return x.astype(np.float32)


def make_recording(seed: int, rows: int = 400) -> Recording:
    return Recording(make_values(seed, rows), f"unit {seed}", channel_names=NAMES)


def make_frame(seed: int, rows: int = 400, zone: str | None = None) -> pd.DataFrame:
    """A table with dates, a row every 0.1 s."""
    frame = pd.DataFrame(make_values(seed, rows), columns=NAMES)
    frame.insert(0, "time", pd.date_range("2024-03-31", periods=rows, freq="100ms", tz=zone))
    return frame


def write_recordings(folder: Path, kind: str, count: int = 5) -> Path:
    """Writes recordings with dates in two time zones and labels, dates in one zone, seconds, or no times.

    Those with times have gaps in time, and runs of missing values, of which the second one is too long to be interpolated.
    """
    folder.mkdir(parents=True)
    for seed in range(count):
        frame = make_frame(seed, 300 + 50 * seed, {"zones": ("Europe/Berlin", "UTC")[seed % 2], "zone": "UTC"}.get(kind))
        frame.loc[90:91, "a"] = np.nan
        frame.loc[120:139, "c"] = np.nan
        file = folder / f"{seed + 8}"
        if kind == "none":
            np.save(file.with_suffix(".npy"), frame[[*NAMES]].to_numpy())
            continue
        frame = frame.drop(index=range(200, 225)).reset_index(drop=True)
        if kind == "seconds":
            frame["time"] = (frame["time"] - frame["time"][0]).dt.total_seconds().round(1)
            frame.to_csv(file.with_suffix(".csv"), index=False)
        else:
            frame.assign(fault=(frame["b"] > 2).astype(int)).to_parquet(file.with_suffix(".parquet"))
    return folder


@pytest.fixture(scope="session")
def fitted(tmp_path_factory) -> AMSLDetector:
    """A detector that knows the names of its channels, the column of times and the sampling rate."""
    folder = tmp_path_factory.mktemp("normal")
    for seed in (0, 2, 3, 5):
        make_frame(seed).to_csv(folder / f"{seed}.csv", index=False)
    return AMSLDetector().fit_recordings(folder, window=STEPS, stride=STRIDE, max_gap="1s")


def score_plainly(detector, recordings, folder: Path, *, suffixes=(".parquet", ".csv"), steps=False, stride=None, **settings):
    """Writes the tables of one machine to a folder. Returns the result."""
    threshold = detector.threshold_ if steps else None
    opened = detector.open_recordings(recordings, settings.pop("reading", READING), skipped=settings.get("skipped"))
    files = {"output": folder / f"windows{suffixes[0]}", "events_file": folder / f"events{suffixes[1]}"}
    return score_recordings(detector, opened, detector.plan(stride), step_threshold=threshold, **files, **settings)


def assert_same_result(found, expected) -> None:
    """Asserts that results of `score_recordings` are equal, also with events without a score."""
    shown = [
        json.dumps([[event.to_dict(zone) for event in events] for events, zone in zip(own.events, own.time_zones, strict=True)])
        for own in (found, expected)
    ]
    assert shown[0] == shown[1]
    assert found._replace(events=[]) == expected._replace(events=[])


def assert_same_files(folder: Path, expected: Path) -> None:
    """Asserts that folders have the same files, bit for bit."""
    found, wanted = ({file.name: file.read_bytes() for file in place.iterdir()} for place in (folder, expected))
    assert list(sorted(found)) == list(sorted(wanted))
    assert [name for name in found if found[name] != wanted[name]] == []


@pytest.fixture(scope="module")
def ray() -> Iterator[object]:
    """Ray on this machine, to which `connect` then connects."""
    ray = pytest.importorskip("ray", reason="needs the extra scale")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init("local", num_cpus=3, include_dashboard=False, log_to_driver=False)
        yield ray
        ray.shutdown()


def set_block_items(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Sets the number of recordings of a block, as far as there are enough for one block of each worker."""
    monkeypatch.setattr(items, "BLOCK_ITEMS", count)
    monkeypatch.setattr(items, "WORKER_BLOCKS", 1)


class LocalCluster(Cluster):
    """A cluster without Ray: the same workers in this process, with blocks in a random order.

    Args:
        workers: Their number.
        seed: The seed of the order, and of which worker has which block.
        lost: Returns whether the results of a block are lost in a pass, and with them its worker, by default never.
    """

    def __init__(self, workers=2, seed=0, lost=lambda block: False):
        super().__init__(SimpleNamespace(put=pickle.dumps), workers)
        self._random, self._lost = np.random.default_rng(seed), lost

    def _pass(self, task, blocks):
        pool = [self._start(task) for _ in range(self.workers)]
        for place in self._random.permutation(len(blocks)):
            number = self._random.integers(len(pool))
            if self._lost(blocks[place]):
                pool[number] = self._start(task)
                continue
            found = pool[number]({"items": np.array([pickle.dumps(blocks[place])], object)})
            results, messages, fault = pickle.loads(found["results"][0])
            assert not fault, fault
            self._messages.add(messages)
            yield results

    def _start(self, task):
        worker = object.__new__(_Worker)
        worker._task = pickle.loads(task)
        return worker


def use_local_cluster(monkeypatch: pytest.MonkeyPatch, **settings) -> None:
    """Replaces Ray by workers in this process, see `LocalCluster`."""

    def connect(address, workers):
        return nullcontext(LocalCluster(**settings))

    for module in ("scoring", "fitting"):
        monkeypatch.setattr(f"amsl_tf.scale.{module}.connect", connect)


class Stopping:
    """A recording whose worker is killed when it is read.

    Args:
        recording: The recording.
        flag: A file that is made then, after which the recording can be read; None for a recording that never can.
    """

    time_name = window_steps = time_zone = None

    def __init__(self, recording: Recording, flag: Path | None = None) -> None:
        self.name, self.channel_names = recording.name, recording.channel_names
        self._recording, self._flag = recording, flag

    def parts(self) -> Iterator[Rows]:
        if self._flag is None or not self._flag.exists():
            if self._flag is not None:
                self._flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield from self._recording.parts()


class Faulty(Stopping):
    """A recording with a fault of the package."""

    def parts(self) -> Iterator[Rows]:
        raise TypeError("a fault of the package")
