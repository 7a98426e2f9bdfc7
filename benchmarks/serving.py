"""The embedded server under load: is an answer lost or wrong, how long do they take, and what does the server cost?

Many clients at the same time, batches of several sizes, bad requests among them, a new version that comes and an old one that
goes; beside it the bare SavedModel in a process of its own, before and after, with nothing else running.
"""

import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import requests

from amsl_tf.data.files import write_json
from amsl_tf.errors import AMSLError
from amsl_tf.served import DEFAULT, versions

SIZES = (1, 2, 4, 8, 16)  # of batches
BARE_BATCH = 16
BAD_SHARE = 20  # every so many requests a bad one
ROOT = Path(__file__).resolve().parents[1]


def run(model: Path, clients: int, seconds: float, output: Path) -> None:
    """Measures and reports.

    Args:
        model: Folder that export.py wrote; its newest version is served from a copy.
        clients: At the same time, half REST and half gRPC.
        seconds: Of load.
        output: JSON file for the report.

    Raises:
        AMSLError: There is no model, or the server does not start.
    """
    try:
        newest = list(versions(model).values())[-1]
    except (OSError, IndexError) as error:
        raise AMSLError(f"{model}: holds no version of a model. Export a detector first (scripts/export.py).") from error
    with tempfile.TemporaryDirectory() as folder:
        served = Path(folder) / "load"
        shutil.copytree(newest, served / "1")
        before = measure_bare(newest)
        windows, expected = make_windows(newest)
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "scripts/serve.py"), "--model", str(served), "--port", "0", "--grpc-port", "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().split() for _ in range(2)]
            if not all(lines):
                raise AMSLError("the server did not start; it has said why.")
            rest, target = lines[0][1].partition("/v1")[0], lines[1][1]
            load = Load(rest, target, windows, expected)
            load.run(clients, seconds, lambda: swap(served))
            states = requests.get(f"{rest}/v1/models/load", timeout=60).json()["model_version_status"]
        finally:
            process.terminate()
            process.wait(60)
        after = measure_bare(newest)
    report = {"clients": clients, "seconds": seconds, "bare_windows_per_second": [before, after], **load.report()}
    report["versions_at_the_end"] = {state["version"]: state["state"] for state in states}
    report["share_of_bare"] = report["windows_per_second"] / np.mean([before, after])
    write_json(output, report)
    print(json.dumps(report, indent=2))


def measure_bare(version: Path, batches: int = 12) -> float:
    """Windows a second of a SavedModel, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.serving", str(version), str(batches)]
    return float(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)


def make_windows(version: Path) -> tuple[np.ndarray, np.ndarray]:
    """Windows, the last of them not valid, and the scores that the SavedModel gives them."""
    import tensorflow as tf

    decide = tf.saved_model.load(str(version)).signatures[DEFAULT]
    _, steps, channels = decide.structured_input_signature[1]["windows"].shape
    windows = np.random.default_rng(0).normal(size=(max(SIZES), steps, channels)).astype(np.float32)
    windows[-1, 0, 0] = np.nan
    return windows, decide(windows=tf.constant(windows))["score"].numpy()


def swap(served: Path) -> None:
    """A new version comes, as export.py makes it appear, and the old one goes."""
    shutil.copytree(served / "1", served / ".new")
    (served / ".new").rename(served / "2")
    time.sleep(5)  # it is loaded beside the other
    shutil.rmtree(served / "1")


class Load:
    """Clients that ask and check what they get.

    Args:
        rest, grpc: Where the server listens.
        windows, expected: What is asked, and the right scores.
    """

    def __init__(self, rest: str, grpc: str, windows: np.ndarray, expected: np.ndarray) -> None:
        self._expected = expected
        self._asks = [rest_asks(rest, windows), grpc_asks(grpc, windows)]
        self._counts: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._lock = threading.Lock()

    def run(self, clients: int, seconds: float, disturb: Callable[[], None]) -> None:
        """Asks for so long; `disturb` is called after a third of it."""
        start = time.perf_counter()
        with ThreadPoolExecutor(clients + 1) as pool:
            disturbing = pool.submit(self._disturb, seconds / 3, disturb)
            for done in [pool.submit(self._client, number, start + seconds) for number in range(clients)]:
                done.result()
            disturbing.result()
        self._seconds = time.perf_counter() - start

    def _disturb(self, seconds: float, disturb: Callable[[], None]) -> None:
        time.sleep(seconds)
        disturb()

    def _client(self, number: int, end: float) -> None:
        good, bad = self._asks[number % 2]
        for turn in itertools.count(number):
            if time.perf_counter() > end:
                return
            if turn % BAD_SHARE == 0:
                self._note("bad requests refused" if bad() else "bad requests not refused", 0, None)
                continue
            size = SIZES[turn % len(SIZES)]
            start = time.perf_counter()
            try:
                scores = good(size)
            except Exception as error:  # whatever it is, the answer is lost
                self._note(f"lost: {type(error).__name__}", 0, None)
                continue
            right = np.allclose(scores, self._expected[:size], rtol=1e-5, atol=1e-5, equal_nan=True)
            self._note("right" if right else "wrong", size, time.perf_counter() - start)

    def _note(self, what: str, windows: int, latency: float | None) -> None:
        with self._lock:
            self._counts[what] += 1
            self._counts["windows"] += windows
            if latency is not None:
                self._latencies.append(latency)

    def report(self) -> dict[str, Any]:
        """What came of it."""
        counts = {name: count for name, count in sorted(self._counts.items()) if name != "windows"}
        levels = (50, 95, 99) if self._latencies else ()  # there are none where every answer was lost
        percentiles = {f"p{level}_seconds": float(np.percentile(self._latencies, level)) for level in levels}
        return {"answers": counts, "windows_per_second": self._counts["windows"] / self._seconds, **percentiles}


Asks = tuple[Callable[[int], Any], Callable[[], bool]]  # the scores of so many windows; whether a bad request is refused


def rest_asks(url: str, windows: np.ndarray) -> Asks:
    """Over REST, with texts that are made beforehand: clients must not take the server's time."""
    place = f"{url}/v1/models/load:predict"
    bodies = {size: json.dumps({"inputs": windows[:size].tolist()}) for size in SIZES}
    local = threading.local()

    def post(body: str) -> requests.Response:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        return local.session.post(place, data=body, timeout=300)

    def good(size: int) -> Any:
        return post(bodies[size]).json()["outputs"]["score"]

    return good, lambda: post('{"instances": [["a"]]}').status_code == 400


def grpc_asks(target: str, windows: np.ndarray) -> Asks:
    """Over gRPC."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    stub = PredictionServiceStub(grpc.insecure_channel(target))

    def request(array: np.ndarray) -> PredictRequest:
        made = PredictRequest()
        made.model_spec.name = "load"
        made.inputs["windows"].CopyFrom(tf.make_tensor_proto(array))
        return made

    made, wrong = {size: request(windows[:size]) for size in SIZES}, request(windows[:1, :-1])

    def bad() -> bool:
        try:
            stub.Predict(wrong, timeout=300)
        except grpc.RpcError as error:
            return error.code() == grpc.StatusCode.INVALID_ARGUMENT
        return False

    return lambda size: tf.make_ndarray(stub.Predict(made[size], timeout=300).outputs["score"]), bad


def bare(version: str, batches: str) -> None:
    """Prints the windows a second of a SavedModel."""
    import tensorflow as tf

    decide = tf.saved_model.load(version).signatures[DEFAULT]
    _, steps, channels = decide.structured_input_signature[1]["windows"].shape
    windows = tf.random.stateless_normal((BARE_BATCH, steps, channels), (0, 0))
    decide(windows=windows)
    start = time.perf_counter()
    for _ in range(int(batches)):
        decide(windows=windows)["score"].numpy()
    print(int(batches) * BARE_BATCH / (time.perf_counter() - start))


if __name__ == "__main__":
    bare(*sys.argv[1:])
