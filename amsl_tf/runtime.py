"""TensorFlow and Keras in the process of the user: backend, threads, caches, settings and logging."""

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amsl_tf.errors import AMSLError

_is_broken = False  # whether this process was forked after TensorFlow had started: its threads are missing
_settings_lock = threading.Lock()
_users = 0  # the blocks that need the default settings of Keras
_saved_settings: dict[str, Any] = {}  # those of the user meanwhile
_DEFAULTS = {
    "floatx": "float32",
    "epsilon": 1e-7,
    "image_data_format": "channels_last",
    "max_epochs": None,
    "max_steps_per_epoch": None,
}


def _after_fork() -> None:
    global _is_broken
    context = sys.modules.get("tensorflow.python.eager.context")
    _is_broken = _is_broken or bool(getattr(getattr(context, "_context", None), "_initialized", False))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def tensorflow_runtime() -> Iterator[None]:
    """Prepares TensorFlow and Keras for what is done inside: a context manager and a decorator.

    The settings of Keras are its defaults inside, and the root logger stays as it is.

    Raises:
        AMSLError: Keras has another backend, the process was forked from one in which TensorFlow had started, or eager
            execution is off.
    """
    check_backend()
    check_process()
    check_eager()
    with _default_settings(), _root_logger_unchanged():
        yield


def check_backend() -> None:
    """Raises AMSLError if Keras does not run on TensorFlow."""
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise AMSLError(f"a detector needs Keras on TensorFlow: set KERAS_BACKEND=tensorflow. Received: {backend}.")


def check_process() -> None:
    """Raises AMSLError in a process that was forked after TensorFlow had started: it would hang."""
    if _is_broken:
        raise AMSLError(
            "TensorFlow cannot compute in a process that was forked after it had started. Start processes with the method "
            "'spawn', or load the detector in each process and not before the fork."
        )


def check_eager() -> None:
    """Raises AMSLError inside a graph of TensorFlow, where values are not known."""
    import tensorflow as tf

    if not tf.executing_eagerly():
        raise AMSLError("a detector needs eager execution. Received: a call inside tf.Graph or tf.function. Call it outside.")


def release_kernels() -> None:
    """Empties the cache of kernels of TensorFlow, which grows with every network: it holds those of deleted ones as well.

    Keras does the same in `clear_session`, together with much that belongs to the user. Kernels still in use are created again.
    """
    from tensorflow.python.eager import context

    context.context().clear_kernel_cache()


@contextmanager
def _default_settings() -> Iterator[None]:
    """Sets Keras to its defaults: the settings of the user, for other models, would change losses, optimizer or training.

    Blocks in several threads may overlap: the first one sets the defaults, and the last one restores the settings of the user.
    """
    from keras import config

    global _users
    policy = config.dtype_policy()  # of this thread; the other settings are those of the process
    with _settings_lock:
        if not _users:
            for name, default in _DEFAULTS.items():
                if hasattr(config, name):  # some are new in later versions
                    _saved_settings[name] = getattr(config, name)()
                    getattr(config, f"set_{name}")(default)
        _users += 1
    config.set_dtype_policy("float32")
    try:
        yield
    finally:
        config.set_dtype_policy(policy)
        with _settings_lock:
            _users -= 1
            if not _users:
                for name, value in _saved_settings.items():
                    getattr(config, f"set_{name}")(value)


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
