"""Connects to a Ray cluster, or starts one on this machine."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from amsl_tf.errors import AMSLError
from amsl_tf.scale.cluster import Cluster

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0  # to reach a cluster


@contextmanager
def connect(address: str | None = None, workers: int | None = None) -> Iterator[Cluster]:
    """Connects to a Ray cluster, or starts one on this machine that is stopped at the end.

    Telemetry of Ray is off, unless the variable `RAY_USAGE_STATS_ENABLED` is set.

    Args:
        address: `auto` or HOST:PORT; None for the variable `RAY_ADDRESS`, and without it for a cluster of this machine. A
            program that is connected already stays so.
        workers: The number of workers; None for the CPUs of the cluster.

    Raises:
        AMSLError: Ray is not installed, or there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        from ray.data import DataContext
        from ray.exceptions import RayError
    except ImportError as error:
        raise AMSLError(f"a cluster needs Ray ({error}). Run pip install 'amsl_tf[scale]'.") from error
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    if address.startswith("ray://"):
        raise AMSLError(f"{address}: expected auto or HOST:PORT. Run the command on a node, or with ray job submit.")
    is_ours = not ray.is_initialized()
    if is_ours:
        settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address == "local":
            settings |= {"num_cpus": workers, "include_dashboard": False}
            os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "120")  # 30 are too few for a busy machine
        try:
            if ":" in address:
                _check_reachable(address)
            with _unchanged_signals():
                ray.init(address, **settings)
        except (OSError, RuntimeError, ValueError, RayError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            if address == "local":
                raise AMSLError(f"Ray cannot be started on this machine ({reason}).") from error
            advice = "Start one with ray start --head, or leave out --address. If it has a token, set RAY_AUTH_MODE=token."
            raise AMSLError(f"{address}: no connection to a Ray cluster ({reason}). {advice}") from error
    logger, context = logging.getLogger("ray.data"), DataContext.get_current()
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # blocks that fail are processed again
    options = {"max_errored_blocks": -1, "enable_progress_bars": False}
    former = {name: getattr(context, name) for name in options}
    try:
        for name, value in options.items():
            setattr(context, name, value)
        with redirect_stdout(sys.stderr):  # Ray prints there that a worker has stopped
            cpus = int(ray.cluster_resources().get("CPU", 0))
            if not cpus:
                log.warning(f"{address}: the cluster has no CPUs yet. Waiting until a machine with some joins it.")
            yield Cluster(ray, workers or max(1, cpus))
    finally:
        logger.setLevel(level)
        for name, value in former.items():
            setattr(context, name, value)
        if is_ours:
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raises ConnectionError, OSError or ValueError if no cluster can be at HOST:PORT, where Ray would wait without end."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    if os.environ.get("RAY_USE_TLS", "0") != "0":
        return
    import grpc  # a dependency of TensorFlow

    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            grpc.channel_ready_future(channel).result(CONNECT_SECONDS)
        except grpc.FutureTimeoutError as error:
            raise ConnectionError("what answers there is not Ray") from error


@contextmanager
def _unchanged_signals() -> Iterator[None]:
    """Keeps the handlers of signals of this program, which Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler is not None:
                signal.signal(number, handler)
