"""The strategy of training on several devices, and the workers that the environment variable `TF_CONFIG` names.

Nothing here starts TensorFlow, except `make_strategy`.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from amsl_tf.errors import AMSLError

log = logging.getLogger(__name__)

VARIABLE = "TF_CONFIG"
_EXAMPLE = '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": {"type": "worker", "index": 0}}'
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)


class Cluster(NamedTuple):
    """The workers that train together, each a process, usually on a machine of its own.

    Attributes:
        workers: The number of workers; 1 without `TF_CONFIG`.
        number: That of this worker; 0 is the chief, which alone writes files.
    """

    workers: int = 1
    number: int = 0

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes files."""
        return self.number == 0


def read_cluster() -> Cluster:
    """Reads the workers from `TF_CONFIG`, a variable of TensorFlow.

    Returns:
        The number of workers and that of this one; a single worker if the variable is not set.

    Raises:
        AMSLError: The variable is not JSON, names other jobs than `chief` and `worker`, or a task that it does not list.
    """
    text = os.environ.get(VARIABLE, "")
    advice = f"Write it as in {_EXAMPLE}, or unset it to train on one machine."
    if not text.strip():
        return Cluster()
    try:
        settings = json.loads(text)
        jobs = {job: list(addresses) for job, addresses in settings.get("cluster", {}).items()}
        if not jobs:
            return Cluster()
        job, index = settings["task"]["type"], int(settings["task"]["index"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise AMSLError(f"{VARIABLE} must be JSON with cluster and task. Received: {text!r} ({reason}). {advice}") from error
    addresses = [*jobs.get("chief", []), *jobs.get("worker", [])]
    if jobs.keys() - {"chief", "worker"} or len(jobs.get("chief", [])) > 1:
        raise AMSLError(f"{VARIABLE} must name workers, and at most one chief. Received: {', '.join(jobs)}. {advice}")
    if not all(isinstance(item, str) and item.rpartition(":")[2].isdecimal() for item in addresses):
        raise AMSLError(f"{VARIABLE} must name each worker as HOST:PORT. Received: {addresses}. {advice}")
    if len(set(addresses)) < len(addresses):
        raise AMSLError(f"{VARIABLE} must name each worker once. Received: {addresses}. {advice}")
    if not 0 <= index < len(jobs.get(job, [])):
        raise AMSLError(f"{VARIABLE}: the task must be one of the cluster. Received: {job} {index}. {advice}")
    return Cluster(len(addresses), index + (len(jobs.get("chief", [])) if job == "worker" else 0))


def make_strategy(*, trains: bool) -> tf.distribute.Strategy:
    """Returns the strategy of a fit: the active one, or one for the workers of `TF_CONFIG`, or TensorFlow's default.

    The strategy for several workers can be made only before TensorFlow computes anything in the process, and is kept for
    later calls.

    Args:
        trains: Whether a network is trained; without, every worker fits alone.

    Raises:
        AMSLError: The active strategy is not supported, `TF_CONFIG` is not valid, TensorFlow has started already, or the
            workers cannot connect.
    """
    if not tf.distribute.has_strategy():
        if trains and read_cluster().workers > 1:
            return _multi_worker_strategy(os.environ[VARIABLE])
        return tf.distribute.get_strategy()
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, (tf.distribute.MirroredStrategy, tf.distribute.OneDeviceStrategy)):
        received = f"a call in the scope of {type(strategy).__name__}"
        raise AMSLError(
            "fit trains in the scope of MirroredStrategy or OneDeviceStrategy, or on several machines outside of a scope, with "
            f"{VARIABLE}. Received: {received}. Call it outside."
        )
    return strategy


@cache
def _multi_worker_strategy(text: str) -> tf.distribute.Strategy:
    """Makes the strategy for the workers of `TF_CONFIG`, given its text; waits until all of them have started."""
    cluster = read_cluster()
    log.info(f"worker {cluster.number} of {cluster.workers}: waiting until all workers have started")
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise AMSLError(
            f"{VARIABLE} names several workers, but TensorFlow has already computed in this process ({error}). Fit before "
            f"anything else uses TensorFlow, or unset {VARIABLE} to train on one machine."
        ) from error
    except tf.errors.OpError as error:
        raise AMSLError(
            f"the workers of {VARIABLE} cannot connect ({_one_line(error)}). Check that the addresses are right, that no other "
            f"process uses the ports, and that all workers have been started. Received: {text!r}."
        ) from error


def is_multi_worker(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether a strategy is that of several workers, which Keras' `fit` does not support."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process writes the state of a training run with a strategy."""
    return not is_multi_worker(strategy) or read_cluster().is_chief


@contextmanager
def lost_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Converts the errors of TensorFlow after another worker has stopped to AMSLError."""
    try:
        yield
    except _LOST as error:
        if not is_multi_worker(strategy):
            raise
        raise AMSLError(
            f"another worker of {VARIABLE} has stopped ({_one_line(error)}). Start all workers again with the same command: "
            "the training resumes from the last state that the chief has saved in its work_dir."
        ) from error


def _one_line(error: tf.errors.OpError) -> str:
    """Returns the essence of an error of TensorFlow, whose message may have many lines."""
    lines = [line.strip() for line in (error.message or "").splitlines()]
    return next(
        (line for line in lines if "Collective ops is aborted" in line), next(filter(None, lines), type(error).__name__)
    )


def share(strategy: tf.distribute.Strategy, data: bytes) -> bytes:
    """Sends bytes from the chief to all workers.

    Args:
        strategy: The strategy of the training run.
        data: The bytes of this worker, of any length.

    Returns:
        Those of the chief; without a strategy for several workers those that were given.
    """
    if not is_multi_worker(strategy):
        return data
    sent = data if read_cluster().is_chief else b""
    size = int.from_bytes(_add(strategy, len(sent).to_bytes(8, "big"), 8), "big")
    return _add(strategy, sent, size)


def share_variables(strategy: tf.distribute.Strategy, variables: Sequence[tf.Variable]) -> None:
    """Assigns the values of the chief to the variables of all workers."""
    if not is_multi_worker(strategy):
        return
    arrays = [variable.numpy() for variable in variables]
    shared, start = share(strategy, b"".join(array.tobytes() for array in arrays)), 0
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(np.frombuffer(shared, array.dtype, array.size, start).reshape(array.shape))
        start += array.nbytes


def _add(strategy: tf.distribute.Strategy, data: bytes, size: int) -> bytes:
    """Adds the bytes of all workers, one by one, where all but one of them give none."""
    own = np.frombuffer(data.ljust(size, b"\0"), np.uint8).astype(np.float32)  # devices add floats, but not all integers
    (total, *_) = strategy.experimental_local_results(_adder(strategy)(own))
    return total.numpy().astype(np.uint8).tobytes()


@cache
def _adder(strategy: tf.distribute.Strategy) -> Callable[[np.ndarray], Any]:
    """Compiles the sum of a vector over workers."""
    devices = strategy.num_replicas_in_sync // read_cluster().workers

    def add(values: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        is_first = context.replica_id_in_sync_group % devices == 0  # of this worker
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(is_first, values, tf.zeros_like(values)))

    signature = [tf.TensorSpec((None,), tf.float32)]
    return tf.function(lambda values: strategy.run(add, args=(values,)), autograph=False, input_signature=signature)


def check_agreement(strategy: tf.distribute.Strategy, fingerprint: str) -> None:
    """Checks that all workers train the same.

    Args:
        strategy: The strategy of the training run.
        fingerprint: The fingerprint of the training run of this worker, from settings, data and versions.

    Raises:
        AMSLError: That of the chief is another one; raised on all workers.
    """
    if not is_multi_worker(strategy):
        return
    of_chief = share(strategy, fingerprint.encode()).decode()
    if any(_add(strategy, bytes([of_chief != fingerprint]), 1)):
        raise AMSLError(
            "all workers must train with the same windows, settings and versions. Received: fingerprint "
            f"{fingerprint} on this worker, {of_chief} on the chief. Give all of them the same files and the same command."
        )
