"""TensorFlow in the process of the user: memory that stays flat, forks, other backends, and the root logger."""

import copy
import gc
import logging
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import ops

from amsl_tf import AMSLDetector
from amsl_tf.errors import AMSLError
from amsl_tf.runtime import release_kernels, tensorflow_runtime
from tests.conftest import make_detector, run_python
from tests.test_contract import small_detector


def leftovers():
    """Counts what TensorFlow keeps: gradient functions, which hold graphs, functions, and graphs."""
    gc.collect()
    graphs = sum(type(item).__name__ == "FuncGraph" for item in gc.get_objects())
    return len(ops.gradient_registry.list()), len(context.context().list_function_names()), graphs


@pytest.mark.slow
@pytest.mark.parametrize("network", ["amsl", "rftm"])
def test_fit_save_load_and_score_leave_no_graphs(network, waves, tmp_path):
    def cycle():
        small_detector(network, epochs=1).fit(waves).save(tmp_path / "saved")
        AMSLDetector.load(tmp_path / "saved").predict(waves)

    cycle()
    before = leftovers()
    cycle()
    assert leftovers() == before


@pytest.mark.slow
@pytest.mark.parametrize("cycle", ["make().fit(x)", "AMSLDetector.load(folder).predict(x)"])
def test_memory_stays_flat(cycle, tmp_path):
    """After the fourth of 20 cycles; a cycle of this network added 28 and 4 MB when graphs leaked."""
    code = f"""
import ctypes, gc, sys
import numpy as np, psutil
from amsl_tf import AMSLConfig, AMSLDetector
folder, x = sys.argv[1], np.random.default_rng(0).normal(size=(24, 32, 3)).astype(np.float32)
def make():
    return AMSLDetector(AMSLConfig(num_slots=20, latent_features=8, views=("raw", "noise")), epochs=1, score="nearest_normal")
make().fit(x).save(folder)
sizes = []
for _ in range(20):
    {cycle}
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what the C library keeps comes and goes
    sizes.append(psutil.Process().memory_info().rss / 2**20)
print((sizes[-1] - sizes[3]) / 16)
"""
    finished = run_python("-c", code, tmp_path / "saved")
    assert finished.returncode == 0, finished.stderr
    assert float(finished.stdout) < 1


def test_kernels_in_use_are_created_again(detector, waves):
    expected = detector.decision_function(waves)
    release_kernels()
    np.testing.assert_array_equal(detector.decision_function(waves), expected)


@pytest.mark.filterwarnings("ignore:.*fork")
@pytest.mark.parametrize("call", ["predict", "load", "fit", "copy", "unpickle"])
def test_fork_is_an_error(call, detector, waves, tmp_path):
    """TensorFlow would hang: its threads are missing in the new process."""
    detector.save(tmp_path / "saved")
    calls = {
        "predict": lambda: detector.predict(waves),
        "load": lambda: AMSLDetector.load(tmp_path / "saved"),
        "fit": lambda: make_detector("cae").fit(waves),
        "copy": lambda: copy.deepcopy(detector),
        "unpickle": lambda: pickle.loads(pickled),
    }
    pickled = pickle.dumps(detector)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            calls[call]()
        except BaseException as error:
            os.write(writing, pickle.dumps((type(error), str(error))))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        kind, message = pickle.load(pipe)
    assert kind is AMSLError
    assert "spawn" in message


@pytest.mark.parametrize("call", ["fit", "load"])
def test_another_backend_is_an_error(call, detector, waves, tmp_path, monkeypatch):
    detector.save(tmp_path / "saved")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(AMSLError, match="Received: jax"):
        AMSLDetector.load(tmp_path / "saved") if call == "load" else make_detector("cae").fit(waves)


UNUSUAL = {
    "image_data_format": "channels_first",
    "floatx": "float16",
    "dtype_policy": "mixed_float16",
    "epsilon": 1e-3,
    "max_epochs": 1,
    "max_steps_per_epoch": 1,
}


def settings_of_keras():
    found = {name: getattr(keras.config, name)() for name in UNUSUAL if hasattr(keras.config, name)}
    return {**found, "dtype_policy": found["dtype_policy"].name}


@pytest.fixture
def unusual_settings():
    """Settings of Keras that a user may have made for other models."""
    before = {name: getattr(keras.config, name)() for name in settings_of_keras()}
    for name in before:
        getattr(keras.config, f"set_{name}")(UNUSUAL[name])
    yield settings_of_keras()
    for name, value in before.items():
        getattr(keras.config, f"set_{name}")(value)


@pytest.fixture(scope="module", params=["amsl", "cae"])
def usual(request, waves):
    """The name of a network, and a detector with it, fitted with the default settings of Keras."""
    return request.param, small_detector(request.param, epochs=2).fit(waves)


def test_settings_of_keras_do_not_matter(usual, unusual_settings, waves, tmp_path):
    network, expected = usual
    fitted = small_detector(network, epochs=2).fit(waves)
    assert fitted.history_ == expected.history_
    fitted.save(tmp_path / "saved")
    for detector in (fitted, AMSLDetector.load(tmp_path / "saved")):
        np.testing.assert_array_equal(detector.decision_function(waves), expected.decision_function(waves))
    assert settings_of_keras() == unusual_settings


def test_settings_of_keras_are_restored_by_the_last_of_several_threads(unusual_settings):
    """The dtype policy is one of each thread, the other settings are those of the process."""
    first, second = tensorflow_runtime(), tensorflow_runtime()
    with ThreadPoolExecutor(1) as other:
        other.submit(keras.config.set_dtype_policy, "mixed_bfloat16").result()
        first.__enter__()
        other.submit(second.__enter__).result()
        assert other.submit(lambda: keras.config.dtype_policy().name).result() == "float32"
        first.__exit__(None, None, None)
        assert keras.config.floatx() == "float32"
        other.submit(second.__exit__, None, None, None).result()
        assert other.submit(lambda: keras.config.dtype_policy().name).result() == "mixed_bfloat16"
    assert settings_of_keras() == unusual_settings


def test_graph_of_the_user_is_an_error(detector, waves, tmp_path):
    detector.save(tmp_path / "saved")
    calls = (lambda: make_detector("cae").fit(waves), lambda: AMSLDetector.load(tmp_path / "saved"))
    for call in (*calls, lambda: detector.predict(waves)):
        with tf.Graph().as_default(), pytest.raises(AMSLError, match=r"tf.Graph or tf.function. Call it outside"):
            call()


def test_root_logger_is_unchanged(waves, tmp_path, monkeypatch):
    """`logging.basicConfig` of the user does nothing once the root logger has a handler."""
    monkeypatch.setattr(logging.root, "handlers", [])
    make_detector("cae", epochs=1).fit(waves).save(tmp_path / "saved")
    AMSLDetector.load(tmp_path / "saved").predict(waves)
    assert logging.root.handlers == []
