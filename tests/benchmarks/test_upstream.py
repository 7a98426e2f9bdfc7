"""The plain port: without faults it agrees with the network of amsl_tf, and each fault has its effect."""

import numpy as np
import pytest

from amsl_tf.networks import build_network
from amsl_tf.networks.amsl import AMSLConfig
from amsl_tf.networks.losses import losses_for
from amsl_tf.views import PAPER_VIEWS, split_views
from benchmarks import upstream
from tests.benchmarks.conftest import with_biases

SHAPE = (20, 3)


@pytest.fixture(scope="module")
def views():
    return np.random.default_rng(0).uniform(size=(4, 7, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def package():
    """Returns a network with biases, and with large slots, so that different memories give different reads."""
    network = with_biases(build_network(AMSLConfig(), SHAPE))
    for layer in network.layers:
        if "memory" in layer.name and layer.weights:
            layer.set_weights([40 * layer.get_weights()[0]])
    return network


def port(package, **faults):
    network = upstream.build_upstream(SHAPE, **{"first_memories": False, "slot_mean_entropy": False, **faults})
    upstream.set_weights(network, package)
    return network


@pytest.fixture(scope="module")
def correct(package):
    """The port without faults."""
    return port(package)


def outputs(network, views):
    return network(split_views(views, PAPER_VIEWS), training=False)


def objective(network, views):
    inputs = split_views(views, PAPER_VIEWS)
    return network.evaluate(inputs, upstream.targets(inputs), verbose=0)[0]


def test_network_without_faults(package, correct, views):
    assert correct.count_params() == package.count_params()
    actual, expected = outputs(correct, views), outputs(package, views)
    for index, name in enumerate(PAPER_VIEWS):
        np.testing.assert_allclose(actual[f"reconstruction_{name}"], expected["reconstruction"][:, index], atol=1e-4)
        np.testing.assert_allclose(actual[f"class_{name}"], expected["view_probabilities"][:, index], atol=1e-4)


def test_objective_without_faults(package, correct, views):
    loss, weights = losses_for(AMSLConfig())
    package.compile(loss=loss, loss_weights=weights)
    targets = {
        "reconstruction": views,
        "view_probabilities": np.tile(np.arange(7), (4, 1)),
        "memory_entropy": np.zeros(4, np.float32),
    }
    expected = package.evaluate(split_views(views, PAPER_VIEWS), targets, verbose=0, return_dict=True)["loss"]
    assert objective(correct, views) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_first_memories_affect_two_decoders_only(package, correct, views):
    faulty, expected = (outputs(network, views) for network in (port(package, first_memories=True), correct))
    changed = {name for name in expected if not np.allclose(faulty[name], expected[name])}
    assert changed == {"reconstruction_scaled", "reconstruction_smoothed"}


@pytest.mark.slow
def test_slot_mean_entropy_is_500_times_smaller(package, correct, views):
    faulty, expected = (objective(network, views) for network in (port(package, slot_mean_entropy=True), correct))
    entropy = float(np.mean(outputs(package, views)["memory_entropy"]))
    assert expected - faulty == pytest.approx(0.0002 * entropy * (1 - 1 / 500), rel=1e-2)  # a difference of two sums of 14


def test_leaky_scaling_is_fitted_to_test_windows():
    train, test = np.array([[[1.0]], [[3.0]]]), np.array([[[9.0]]])
    assert [float(part[0, 0]) for part in upstream.fit_scaling(train, test)] == [1.0, 8.0]
    assert [float(part[0, 0]) for part in upstream.fit_scaling(train, test, leaky=False)] == [1.0, 2.0]


def test_batch_means():
    views = {"raw": np.zeros((18, 2, 1)), "noise": np.zeros((18, 2, 1))}
    reconstructions = {"raw": np.sqrt(np.arange(18.0))[:, None, None] * np.ones((18, 2, 1)), "noise": np.ones((18, 2, 1))}
    np.testing.assert_allclose(upstream.scores(reconstructions, views, batch_means=False), np.arange(18) + 1)
    np.testing.assert_allclose(upstream.scores(reconstructions, views), [8.5] * 16 + [17.5] * 2)
