"""The cases of the scale benchmark, each in a process of its own: `python -m benchmarks.scale_cases NAME FOLDER`.

FOLDER is shared by all cases. A case prints its result as a line of JSON.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from amsl_tf.data.recording_files import open_recording
from amsl_tf.data.recordings import Recordings, load_recording
from amsl_tf.data.window_reader import read_windows
from amsl_tf.errors import AMSLError
from benchmarks.scale_data import Waves, write_recordings

WORKERS = 2
STEPS, STRIDE, CHANNELS = 100, 25, 21  # of all windows; the channels are those of CAP
FIT_ROWS = 25_000  # of a recording, 1,000 windows
FILES, FILE_ROWS = 1000, 5000
TRAINING, MUCH_TRAINING = 3, 12  # recordings of the detectors: about 3,000 windows, or more than the bank holds
CAP_ROWS, CAP_PEOPLE, SHARE = 921_700_000, 108, 100  # a hundredth of the rows
RATE = 100.0  # Hz
RATES_ROWS, RATES_SECONDS = 100_000, 5.0  # of a measurement of a rate, at least
MEMORY_SECONDS = 1.0  # between two samples
MB = 2**20
RECORDINGS = "recordings"  # in the shared folder


class Memory:
    """Samples the memory of this process and its children, of Ray above all, in a thread: a context manager.

    Attributes:
        samples: The seconds since the beginning, and the proportional set size of all in MB.
    """

    def __init__(self) -> None:
        self.samples: list[tuple[float, float]] = []
        self._is_done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Memory":
        self._start = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_done.set()
        self._thread.join()

    @property
    def peak(self) -> float:
        """The largest sample in MB."""
        return max(size for _, size in self.samples)

    def _sample(self) -> None:
        while not self._is_done.wait(MEMORY_SECONDS):
            total = 0
            for process in (me := psutil.Process(), *me.children(recursive=True)):
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:  # it has ended
                    continue
            self.samples.append((time.perf_counter() - self._start, total / MB))


def measure_rates(folder: Path) -> dict[str, float]:
    """Measures the parts of the work with one CPU and a full bank, by name: rows or windows a second."""
    detector = _detector(folder, MUCH_TRAINING)
    detector.set_threshold(1e6)  # no explanations
    waves = Waves(0, RATES_ROWS, CHANNELS)
    recording = load_recording(waves)
    files = folder / "rates"
    if not files.exists():
        write_recordings(files, 1, RATES_ROWS, CHANNELS)
    parquet = next(files.glob("*.parquet"))
    csv = parquet.with_suffix(".csv")
    if not csv.exists():
        import pandas as pd

        pd.read_parquet(parquet).to_csv(csv, index=False)
    plan = detector.plan()
    windows = np.concatenate([batch.x for batch in read_windows(recording, plan)])
    ensemble = detector.pipeline.scores["ensemble"]
    keys = [np.full(256, -1), np.full(256, -2)]
    bank_keys = [np.arange(len(ensemble._rows) // (1 + len(detector.config_.noise)))] * 2
    return {
        "making rows": _rate(lambda: sum(len(part) for part in waves.parts())),
        "reading Parquet": _rate(lambda: sum(len(part) for part in open_recording(parquet).parts())),
        "reading CSV": _rate(lambda: sum(len(part) for part in open_recording(csv).parts())),
        "cutting": STRIDE * _rate(lambda: sum(len(batch) for batch in read_windows(recording, plan))),
        "scoring": _rate(lambda: len(detector.detect(windows[:1024])["score"])),
        "calibrating": _rate(lambda: len(ensemble.measure_held_out(windows[:256], keys, bank_keys).distances["levels"])),
    }


def fit(windows: int) -> Callable[[Path], dict[str, float]]:
    """Returns the case of a fit to a number of windows, made in the workers."""

    def measure(folder: Path) -> dict[str, float]:
        from amsl_tf import AMSLDetector
        from amsl_tf.scale import fit_recordings

        made = [Waves(number, FIT_ROWS + STEPS - STRIDE, CHANNELS) for number in range(windows * STRIDE // FIT_ROWS)]
        start = time.perf_counter()
        with Memory() as memory:
            detector = fit_recordings(AMSLDetector(), made, window=STEPS, stride=STRIDE, rate=RATE, workers=WORKERS)
        seconds = time.perf_counter() - start
        assert detector.data_["windows"] == windows, detector.data_
        return {"windows": windows, "seconds": seconds, "peak_mb": memory.peak}

    return measure


def score_files(folder: Path, *, engine: str, name: str, files: int = FILES) -> dict[str, Any]:
    """Scores many files and writes a table of a name; the engine is `local`, `ray`, or `killed`, Ray with a node that stops."""
    from amsl_tf.stages.recordings import score_recordings

    if not (folder / RECORDINGS).exists():
        write_recordings(folder / RECORDINGS, FILES, FILE_ROWS, CHANNELS)
    detector, output = _detector(folder), folder / f"{name}.parquet"
    recordings = sorted((folder / RECORDINGS).iterdir())[:files]
    start = time.perf_counter()
    if engine == "local":
        found = score_recordings(detector, detector.open_recordings(recordings), detector.plan(), output=output)
    elif engine == "ray":
        found = _score_with_ray(detector, recordings, output)
    else:
        with _dying_node():
            found = _score_with_ray(detector, recordings, output)
    result = {"windows": found.windows, "seconds": time.perf_counter() - start, "events": sum(map(len, found.events))}
    if files == FILES:
        expected = folder / f"{LOCAL}.parquet"
        if not expected.exists():
            raise AMSLError(f"{LOCAL!r} must be measured in the same run. Remove it from the results, and run both.")
        result["is_same"] = output.read_bytes() == expected.read_bytes()
    return result


def score_cap(folder: Path) -> dict[str, Any]:
    """Scores a hundredth of the rows of CAP, made in the workers, and samples the memory."""
    from amsl_tf.scale import score_recordings

    detector = _detector(folder)
    rows = CAP_ROWS // SHARE // CAP_PEOPLE
    made = [Waves(number, rows, CHANNELS, has_fault=number % 3 == 0) for number in range(CAP_PEOPLE)]
    start = time.perf_counter()
    with Memory() as memory:
        found = score_recordings(detector, made, output=folder / "cap.parquet", workers=WORKERS)
    seconds = time.perf_counter() - start
    return {"windows": found.windows, "seconds": seconds, "rows": rows * CAP_PEOPLE, "memory": memory.samples}


def _detector(folder: Path, training: int = TRAINING) -> Any:
    """Returns a detector that is fitted to a number of recordings, once."""
    from amsl_tf import AMSLDetector

    saved = folder / f"detector {training}"
    if not saved.exists():
        made = Recordings([Waves(10**6 + number, FIT_ROWS, CHANNELS) for number in range(training)])
        AMSLDetector().fit_recordings(made, window=STEPS, stride=STRIDE, rate=RATE).save(saved)
    return AMSLDetector.load(saved)


def _score_with_ray(detector: Any, recordings: Sequence[Path], output: Path) -> Any:
    from amsl_tf.scale import score_recordings

    return score_recordings(detector, recordings, output=output, workers=WORKERS)


@contextmanager
def _dying_node() -> Iterator[None]:
    """Connects to a local cluster of nodes with one CPU each, of which one is killed in the middle."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(WORKERS)]
    cluster.wait_for_nodes()
    ray.init(cluster.address, log_to_driver=False)
    timer = threading.Timer(KILLED_AFTER, lambda: cluster.remove_node(nodes[-1], allow_graceful=False))
    timer.start()
    try:
        yield
        if timer.is_alive():
            raise AMSLError(f"the run ended before the node was stopped, after {KILLED_AFTER:g} s. Score more files.")
    finally:
        timer.cancel()
        ray.shutdown()
        cluster.shutdown()


def _rate(work: Callable[[], int]) -> float:
    """Returns how much is done in a second, after a first time that is not measured."""
    work()
    start, amount = time.perf_counter(), 0
    while time.perf_counter() - start < RATES_SECONDS:
        amount += work()
    return amount / (time.perf_counter() - start)


KILLED_AFTER = 40.0  # seconds
LOCAL, ALL_CPUS = "score local", "score local, all CPUs"
CPUS = {"rates": 1, LOCAL: 1, f"{LOCAL} half": 1, ALL_CPUS: WORKERS}  # that cases without Ray may use; a worker has one
SCORING: dict[str, dict[str, Any]] = {
    LOCAL: {"engine": "local"},
    f"{LOCAL} half": {"engine": "local", "files": FILES // 2},
    ALL_CPUS: {"engine": "local"},
    "score ray": {"engine": "ray"},
    "score ray half": {"engine": "ray", "files": FILES // 2},
    "score killed": {"engine": "killed"},
}
CASES: dict[str, Callable[..., Any]] = {
    "rates": measure_rates,
    **{f"fit {windows}": fit(windows) for windows in (10_000, 100_000, 1_000_000)},
    **{name: partial(score_files, name=name, **settings) for name, settings in SCORING.items()},
    "cap": score_cap,
}


def main(arguments: Sequence[str]) -> None:
    """Runs the case that the arguments name, and prints its result."""
    name, folder = arguments
    if name in CPUS:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: CPUS[name]])
        os.environ |= {"TF_NUM_INTRAOP_THREADS": str(CPUS[name]), "TF_NUM_INTEROP_THREADS": str(CPUS[name])}
    print(json.dumps(CASES[name](Path(folder))))


if __name__ == "__main__":
    main(sys.argv[1:])
