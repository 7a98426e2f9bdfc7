"""TensorFlow and Keras in the process of the user: backend, threads, caches, settings and logging."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from amsl_tf.errors import AMSLError

_started_in: int | None = None  # the process whose threads TensorFlow has started


@contextmanager
def tensorflow_runtime() -> Iterator[None]:
    """Prepares TensorFlow and Keras for what is done inside: a context manager and a decorator.

    The settings of Keras are its defaults inside, and the root logger stays as it is.

    Raises:
        AMSLError: Keras has another backend, or the process was forked from one in which TensorFlow had started.
    """
    check_backend()
    check_process()
    with _default_settings(), _root_logger_unchanged():
        yield


def check_backend() -> None:
    """Raises AMSLError if Keras does not run on TensorFlow."""
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise AMSLError(f"a detector needs Keras on TensorFlow: set KERAS_BACKEND=tensorflow. Received: {backend}.")


def check_process() -> None:
    """Raises AMSLError in a process that was forked after TensorFlow had started: its threads are missing, so it would hang."""
    global _started_in
    if _started_in is None:
        _started_in = os.getpid()
    if _started_in != os.getpid():
        raise AMSLError(
            "TensorFlow cannot compute in a process that was forked after it had started. Start processes with the method "
            "'spawn', or load the detector in each process and not before the fork."
        )


def release_kernels() -> None:
    """Empties the cache of kernels of TensorFlow, which grows with every network: it holds those of deleted ones as well.

    Keras does the same in `clear_session`, together with much that belongs to the user. Kernels still in use are created again.
    """
    from tensorflow.python.eager import context

    context.context().clear_kernel_cache()


@contextmanager
def _default_settings() -> Iterator[None]:
    """Sets the dtypes of Keras to its defaults: those of the user, for other models, would change losses and optimizer."""
    from keras import config

    floatx, policy, epsilon = config.floatx(), config.dtype_policy(), config.epsilon()
    config.set_floatx("float32")
    config.set_dtype_policy("float32")
    config.set_epsilon(1e-7)
    try:
        yield
    finally:
        config.set_floatx(floatx)
        config.set_dtype_policy(policy)
        config.set_epsilon(epsilon)


@contextmanager
def _root_logger_unchanged() -> Iterator[None]:
    """Keeps absl, which TensorFlow logs with, from adding a handler to a root logger that has none."""
    root, handler = logging.getLogger(), logging.lastResort
    if root.handlers or handler is None:
        yield
        return
    root.addHandler(handler)  # what Python uses where there is no handler
    try:
        yield
    finally:
        root.removeHandler(handler)
