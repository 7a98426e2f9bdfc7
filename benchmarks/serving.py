"""The load test of the embedded server: lost or wrong answers, latencies, memory, and throughput beside the bare SavedModel.

Many concurrent clients send batches of several sizes and bad requests, others trickle headers and bodies, while new versions of
the model replace the old ones. The bare SavedModel is measured before and after, in a process of its own, with no other load.
"""

import gzip
import itertools
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests

from amsl_tf.data.files import write_json
from amsl_tf.errors import AMSLError
from amsl_tf.export.layout import DEFAULT, versions

SIZES = (1, 2, 4, 8, 16)  # windows in a request
BARE_BATCH = 16
BAD_EVERY = 20  # requests, of which one is bad
SLOW = 8  # connections that trickle a byte now and then
SWAP_SECONDS = 300  # until a new version must be served
ROOT = Path(__file__).resolve().parents[1]


def run(model: Path, clients: int, minutes: float, output: Path) -> None:
    """Runs the load test, writes the report and prints it.

    Args:
        model: The folder of an exported model; a copy of its newest version is served.
        clients: The number of concurrent clients, half REST and half gRPC.
        minutes: The duration of the load. Versions are swapped once a minute, but at least three times.
        output: The JSON file of the report.

    Raises:
        AMSLError: There is no model, the server does not start, or it does not serve a new version.
    """
    try:
        newest = list(versions(model).values())[-1]
    except (OSError, IndexError) as error:
        raise AMSLError(f"{model}: expected an exported model, found no version. Run `amsl export` first.") from error
    with tempfile.TemporaryDirectory() as folder:
        served = Path(folder) / "load"
        shutil.copytree(newest, served / "1")
        bare = [measure_bare(newest, clients)]
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
            server = {"at start": measure_server(process.pid)}
            load, done = Load(rest, target, windows, expected), threading.Event()

            def swap() -> None:
                start, swaps = time.monotonic(), max(3, round(minutes))
                for number in range(1, swaps + 1):
                    if done.wait(start + 60 * minutes * number / (swaps + 1) - time.monotonic()):
                        return
                    swap_version(served, number, rest)
                    if number == 2:
                        server["after two swaps"] = measure_server(process.pid)

            with ThreadPoolExecutor(2) as pool:
                swapping, trickling = pool.submit(swap), pool.submit(trickle, rest, done)
                try:
                    load.run(clients, 60 * minutes)
                finally:
                    done.set()
                swapping.result()
                closed = trickling.result()
            server["at end"] = measure_server(process.pid)
            states = requests.get(f"{rest}/v1/models/load", timeout=60).json()["model_version_status"]
        finally:
            process.terminate()
            process.wait(60)
        bare.append(measure_bare(newest, clients))
    report = {"clients": clients, "minutes": minutes, **load.report(), "server": server, "slow_connections_closed": closed}
    report["final_versions"] = {state["version"]: state["state"] for state in states}
    report["swaps"] = len(states) - 1
    for name in ("windows_per_second", "p99_seconds"):
        report[f"bare_{name}"] = [measured[name] for measured in bare]
    report["relative_throughput"] = report["windows_per_second"] / np.mean(report["bare_windows_per_second"])
    write_json(output, report)
    print(json.dumps(report, indent=2))


def measure_bare(version: Path, clients: int) -> dict[str, float]:
    """Measures the throughput of a SavedModel, and its latency with concurrent clients, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.serving", str(version), str(clients)]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure_server(process: int) -> dict[str, int]:
    """Measures the memory, threads and open files, connections included, of a process."""
    server = psutil.Process(process)
    return {
        "rss_megabytes": server.memory_info().rss // 2**20,
        "threads": server.num_threads(),
        "open_files": server.num_fds(),
    }


def make_windows(version: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns random windows, of which the last is invalid, and the scores that the SavedModel gives them."""
    import tensorflow as tf

    decide = tf.saved_model.load(str(version)).signatures[DEFAULT]
    _, steps, channels = decide.structured_input_signature[1]["windows"].shape
    windows = np.random.default_rng(0).normal(size=(max(SIZES), steps, channels)).astype(np.float32)
    windows[-1, 0, 0] = np.nan
    return windows, decide(windows=tf.constant(windows))["score"].numpy()


def swap_version(served: Path, number: int, rest: str) -> None:
    """Adds a version after version `number`, as `amsl export` does, and removes that one once the new one is served."""
    shutil.copytree(served / f"{number}", served / ".new")
    (served / ".new").rename(served / f"{number + 1}")
    deadline = time.monotonic() + SWAP_SECONDS
    while requests.get(f"{rest}/v1/models/load/versions/{number + 1}/metadata", timeout=60).status_code != 200:
        if time.monotonic() > deadline:
            raise AMSLError(f"version {number + 1} is not served after {SWAP_SECONDS} seconds; see the log of the server.")
        time.sleep(0.2)
    shutil.rmtree(served / f"{number}")


def trickle(rest: str, done: threading.Event) -> int:
    """Sends headers and bodies byte by byte on several connections, and returns how often the server closed one."""
    host, port = rest.removeprefix("http://").rsplit(":", 1)
    begun = (b"GET / HTTP/1.1\r\nX: ", b"POST /v1/models/load:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")

    def connect(number: int) -> socket.socket:
        connection = socket.create_connection((host, int(port)), 60)
        connection.sendall(begun[number % 2])
        return connection

    connections, closed = [connect(number) for number in range(SLOW)], 0
    while not done.wait(0.5):
        for number, connection in enumerate(connections):
            try:
                connection.sendall(b"x")
            except OSError:
                connections[number], closed = connect(number), closed + 1
    for connection in connections:
        connection.close()
    return closed


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

    def run(self, clients: int, seconds: float) -> None:
        """Sends requests; each client for so many seconds."""
        start = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            for client in [pool.submit(self._client, number, seconds) for number in range(clients)]:
                client.result()
        self._seconds = time.perf_counter() - start

    def _client(self, number: int, seconds: float) -> None:
        send, bad = self._requests[number % 2]
        end = time.perf_counter() + seconds
        for turn in itertools.count(number):
            if time.perf_counter() > end:
                return
            start = time.perf_counter()
            try:
                if turn % BAD_EVERY == 0:
                    name, send_bad = bad[turn // BAD_EVERY % len(bad)]
                    self._count("bad requests rejected" if send_bad() else f"bad request not rejected: {name}")
                    continue
                size = SIZES[turn % len(SIZES)]
                scores = send(size)
            except Exception as error:  # of any kind: the answer is lost
                self._count(f"lost: {type(error).__name__}")
                continue
            correct = np.allclose(scores, self._expected[:size], rtol=1e-5, atol=1e-5, equal_nan=True)
            self._count("correct" if correct else "wrong", size, time.perf_counter() - start)

    def _count(self, outcome: str, windows: int = 0, latency: float | None = None) -> None:
        with self._lock:
            self._counts[outcome] += 1
            self._counts["windows"] += windows
            if latency is not None:
                self._latencies.append(latency)

    def report(self) -> dict[str, Any]:
        """Returns the number of answers by outcome, the throughput, and percentiles of the latency in seconds."""
        counts = {name: count for name, count in sorted(self._counts.items()) if name != "windows"}
        good = counts.get("correct", 0) + counts.get("bad requests rejected", 0)
        levels = (50, 95, 99) if self._latencies else ()  # there are no latencies if every answer was lost
        percentiles = {f"p{level}_seconds": float(np.percentile(self._latencies, level)) for level in levels}
        return {
            "answers": counts,
            "lost_or_wrong": sum(counts.values()) - good,
            "windows_per_second": self._counts["windows"] / self._seconds,
            **percentiles,
        }


# gets the scores of so many windows; bad requests by name, each returns whether it was rejected as it should be
Requests = tuple[Callable[[int], Any], list[tuple[str, Callable[[], bool]]]]


def rest_requests(url: str, windows: np.ndarray) -> Requests:
    """Returns the requests over REST; their bodies are encoded in advance, so that clients use little CPU time."""
    bodies = {size: json.dumps({"inputs": windows[:size].tolist()}).encode() for size in SIZES}
    too_many = json.dumps([0] * (3 * 128 * windows[0].size)).encode()  # in windows of the right size three batches
    local = threading.local()

    def post(body: bytes, model: str = "load", **headers: str) -> requests.Response:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        return local.session.post(f"{url}/v1/models/{model}:predict", data=body, headers=headers, timeout=300)

    bad = {
        "strings": lambda: post(b'{"instances": [["a"]]}').status_code == 400,
        "incomplete JSON": lambda: post(bodies[1][:-1]).status_code == 400,
        "too many values": lambda: post(too_many).status_code == 400,
        "unknown model": lambda: post(bodies[1], "other").status_code == 404,
        "too large": lambda: post(gzip.compress(b"[" * 10**8, 1), **{"Content-Encoding": "gzip"}).status_code == 413,
        "unknown encoding": lambda: post(bodies[1], **{"Content-Encoding": "br"}).status_code == 415,
    }
    return lambda size: post(bodies[size]).json()["outputs"]["score"], list(bad.items())


def grpc_requests(target: str, windows: np.ndarray) -> Requests:
    """Returns the requests over gRPC, encoded in advance."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis.predict_pb2 import PredictRequest
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    stub = PredictionServiceStub(grpc.insecure_channel(target))

    def encode(array: np.ndarray, model: str = "load", signature: str = "") -> PredictRequest:
        request = PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = model, signature
        request.inputs["windows"].CopyFrom(tf.make_tensor_proto(array))
        return request

    def is_rejected(request: PredictRequest, code: str) -> bool:
        try:
            stub.Predict(request, timeout=300)
        except grpc.RpcError as error:
            return error.code().name == code
        return False

    valid = {size: encode(windows[:size]) for size in SIZES}
    bad = {
        "wrong shape": (encode(windows[:1, :-1]), "INVALID_ARGUMENT"),
        "wrong type": (encode(windows[:1] > 0), "INVALID_ARGUMENT"),
        "no windows": (encode(windows[:0]), "INVALID_ARGUMENT"),
        "unknown model": (encode(windows[:1], "other"), "NOT_FOUND"),
        "unknown signature": (encode(windows[:1], signature="other"), "FAILED_PRECONDITION"),
    }
    return (
        lambda size: tf.make_ndarray(stub.Predict(valid[size], timeout=300).outputs["score"]),
        [(name, partial(is_rejected, *request)) for name, request in bad.items()],
    )


def print_bare(version: str, clients: str) -> None:
    """Prints the windows per second of a SavedModel, and the 99th percentile of its latency with concurrent clients."""
    import tensorflow as tf

    decide = tf.saved_model.load(version).signatures[DEFAULT]
    _, steps, channels = decide.structured_input_signature[1]["windows"].shape
    windows = tf.random.stateless_normal((max(SIZES), steps, channels), (0, 0))

    def measure(size: int) -> float:
        start = time.perf_counter()
        decide(windows=windows[:size])["score"].numpy()
        return time.perf_counter() - start

    for size in SIZES:
        measure(size)  # the first call is slower
    throughput = BARE_BATCH / np.mean([measure(BARE_BATCH) for _ in range(12)])
    with ThreadPoolExecutor(int(clients)) as pool:
        latencies = list(pool.map(measure, SIZES * int(clients)))  # len(SIZES) calls of each client
    print(json.dumps({"windows_per_second": throughput, "p99_seconds": float(np.percentile(latencies, 99))}))


if __name__ == "__main__":
    print_bare(*sys.argv[1:])
