"""A small data set as preprocessing writes it, and networks that differ if biases do."""

import numpy as np
import pytest

from amsl_tf.data.store import write_index


@pytest.fixture
def generated(rng, tmp_path):
    """Two activities of three people, 64 steps, 15 channels; abnormal windows are three times as loud."""
    for kind, count, scale, activities in (("normal", 50, 1.0, ["a09", "a10"]), ("abnormal", 15, 3.0, ["a05"])):
        np.save(tmp_path / f"{kind}.npy", scale * rng.normal(size=(count, 64, 15)).astype(np.float32))
        subjects = np.resize(["p1", "p2", "p6"], count)
        write_index(tmp_path / f"{kind}.csv", {"activity": np.sort(np.resize(activities, count)), "subject": subjects})
    return tmp_path


def with_biases(network):
    """The network, whose biases are no longer the zeros that it starts with."""
    rng = np.random.default_rng(3)
    for weight in network.trainable_weights:
        if weight.name == "bias":
            weight.assign(rng.normal(scale=0.1, size=weight.shape))
    return network
