"""The load test of the embedded server: lost or wrong answers, latencies, and throughput relative to the bare SavedModel.

Many concurrent clients send batches of several sizes and invalid requests, while a new version of the model replaces the old
one. The bare SavedModel is measured before and after, in a process of its own, with no other load.
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
from amsl_tf.export.layout import DEFAULT, versions

SIZES = (1, 2, 4, 8, 16)  # windows in a request
BARE_BATCH = 16
INVALID_EVERY = 20  # requests, of which one is invalid
ROOT = Path(__file__).resolve().parents[1]


def run(model: Path, clients: int, seconds: float, output: Path) -> None:
    """Runs the load test, writes the report and prints it.

    Args:
        model: The folder of an exported model; a copy of its newest version is served.
        clients: The number of concurrent clients, half REST and half gRPC.
        seconds: The duration of the load.
        output: The JSON file of the report.

    Raises:
        AMSLError: There is no model, or the server does not start.
    """
    try:
        newest = list(versions(model).values())[-1]
    except (OSError, IndexError) as error:
        raise AMSLError(f"{model}: expected an exported model, found no version. Run `amsl export` first.") from error
    with tempfile.TemporaryDirectory() as folder:
        served = Path(folder) / "load"
        shutil.copytree(newest, served / "1")
        before = measure_bare(newest)
        windows, expected = make_windows(newest)
        process = subprocess.Popen(
            [sys.executable, "-m", "amsl_tf", "serve", "--model", str(served), "--port", "0", "--grpc-port", "0"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().split() for _ in range(2)]
            if not all(lines):
                raise AMSLError("the server did not start; see its error message above.")
            rest, target = lines[0][1].partition("/v1")[0], lines[1][1]
            load = Load(rest, target, windows, expected)
            load.run(clients, seconds, lambda: replace_version(served))
            states = requests.get(f"{rest}/v1/models/load", timeout=60).json()["model_version_status"]
        finally:
            process.terminate()
            process.wait(60)
        after = measure_bare(newest)
    report = {"clients": clients, "seconds": seconds, "bare_windows_per_second": [before, after], **load.report()}
    report["final_versions"] = {state["version"]: state["state"] for state in states}
    report["relative_throughput"] = report["windows_per_second"] / np.mean([before, after])
    write_json(output, report)
    print(json.dumps(report, indent=2))


def measure_bare(version: Path, batches: int = 12) -> float:
    """Measures the windows per second of a SavedModel, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.serving", str(version), str(batches)]
    return float(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)


def make_windows(version: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns random windows, of which the last is invalid, and the scores that the SavedModel gives them."""
    import tensorflow as tf

    decide = tf.saved_model.load(str(version)).signatures[DEFAULT]
    _, steps, channels = decide.structured_input_signature[1]["windows"].shape
    windows = np.random.default_rng(0).normal(size=(max(SIZES), steps, channels)).astype(np.float32)
    windows[-1, 0, 0] = np.nan
    return windows, decide(windows=tf.constant(windows))["score"].numpy()


def replace_version(served: Path) -> None:
    """Adds version 2, as `amsl export` does, and removes version 1 a little later."""
    shutil.copytree(served / "1", served / ".new")
    (served / ".new").rename(served / "2")
    time.sleep(5)  # the server loads it beside version 1
    shutil.rmtree(served / "1")


class Load:
    """Concurrent clients that send requests and check the answers.

    Args:
        rest, grpc: The addresses of the server.
        windows, expected: The windows of the requests and their correct scores.
    """

    def __init__(self, rest: str, grpc: str, windows: np.ndarray, expected: np.ndarray) -> None:
        self._expected = expected
        self._requests = [rest_requests(rest, windows), grpc_requests(grpc, windows)]
        self._counts: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._lock = threading.Lock()

    def run(self, clients: int, seconds: float, disturb: Callable[[], None]) -> None:
        """Sends requests for so many seconds; calls `disturb` after a third of them."""
        start = time.perf_counter()
        with ThreadPoolExecutor(clients + 1) as pool:
            disturbance = pool.submit(self._disturb, seconds / 3, disturb)
            for client in [pool.submit(self._client, number, start + seconds) for number in range(clients)]:
                client.result()
            disturbance.result()
        self._seconds = time.perf_counter() - start

    def _disturb(self, seconds: float, disturb: Callable[[], None]) -> None:
        time.sleep(seconds)
        disturb()

    def _client(self, number: int, end: float) -> None:
        send, send_invalid = self._requests[number % 2]
        for turn in itertools.count(number):
            if time.perf_counter() > end:
                return
            if turn % INVALID_EVERY == 0:
                self._count("invalid requests rejected" if send_invalid() else "invalid requests not rejected", 0, None)
                continue
            size = SIZES[turn % len(SIZES)]
            start = time.perf_counter()
            try:
                scores = send(size)
            except Exception as error:  # of any kind: the answer is lost
                self._count(f"lost: {type(error).__name__}", 0, None)
                continue
            correct = np.allclose(scores, self._expected[:size], rtol=1e-5, atol=1e-5, equal_nan=True)
            self._count("correct" if correct else "wrong", size, time.perf_counter() - start)

    def _count(self, outcome: str, windows: int, latency: float | None) -> None:
        with self._lock:
            self._counts[outcome] += 1
            self._counts["windows"] += windows
            if latency is not None:
                self._latencies.append(latency)

    def report(self) -> dict[str, Any]:
        """Returns the number of answers by outcome, the throughput, and percentiles of the latency in seconds."""
        counts = {name: count for name, count in sorted(self._counts.items()) if name != "windows"}
        levels = (50, 95, 99) if self._latencies else ()  # there are no latencies if every answer was lost
        percentiles = {f"p{level}_seconds": float(np.percentile(self._latencies, level)) for level in levels}
        return {"answers": counts, "windows_per_second": self._counts["windows"] / self._seconds, **percentiles}


# gets the scores of so many windows; sends an invalid request and returns whether it was rejected
Requests = tuple[Callable[[int], Any], Callable[[], bool]]


def rest_requests(url: str, windows: np.ndarray) -> Requests:
    """Returns the requests over REST; their bodies are encoded in advance, so that clients use little CPU time."""
    place = f"{url}/v1/models/load:predict"
    bodies = {size: json.dumps({"inputs": windows[:size].tolist()}) for size in SIZES}
    local = threading.local()

    def post(body: str) -> requests.Response:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        return local.session.post(place, data=body, timeout=300)

    def send(size: int) -> Any:
        return post(bodies[size]).json()["outputs"]["score"]

    return send, lambda: post('{"instances": [["a"]]}').status_code == 400


def grpc_requests(target: str, windows: np.ndarray) -> Requests:
    """Returns the requests over gRPC, encoded in advance."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    stub = PredictionServiceStub(grpc.insecure_channel(target))

    def encode(array: np.ndarray) -> PredictRequest:
        request = PredictRequest()
        request.model_spec.name = "load"
        request.inputs["windows"].CopyFrom(tf.make_tensor_proto(array))
        return request

    valid, invalid = {size: encode(windows[:size]) for size in SIZES}, encode(windows[:1, :-1])

    def send_invalid() -> bool:
        try:
            stub.Predict(invalid, timeout=300)
        except grpc.RpcError as error:
            return error.code() == grpc.StatusCode.INVALID_ARGUMENT
        return False

    return lambda size: tf.make_ndarray(stub.Predict(valid[size], timeout=300).outputs["score"]), send_invalid


def print_bare(version: str, batches: str) -> None:
    """Prints the windows per second of a SavedModel."""
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
    print_bare(*sys.argv[1:])
