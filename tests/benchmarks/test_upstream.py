"""The plain port: without its faults it is the product's network, and each fault does what the original's does."""

import numpy as np
import pytest

from amsl_tf.losses import losses_for
from amsl_tf.model_config import AMSLConfig
from amsl_tf.models import build_network
from amsl_tf.views import VIEW_NAMES, split_views
from benchmarks import upstream
from tests.benchmarks.conftest import with_biases

SHAPE = (20, 3)


@pytest.fixture(scope="module")
def views():
    return np.random.default_rng(0).uniform(size=(4, 7, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def product():
    """With memories so uneven that it matters whose are read, and with biases."""
    network = with_biases(build_network(AMSLConfig(), SHAPE))
    for layer in network.layers:
        if "memory" in layer.name and layer.weights:
            layer.set_weights([40 * layer.get_weights()[0]])
    return network


def port(product, **faults):
    network = upstream.build_upstream(SHAPE, **{"first_memories": False, "slot_mean_entropy": False, **faults})
    upstream.set_weights(network, product)
    return network


@pytest.fixture(scope="module")
def right(product):
    """The port without faults."""
    return port(product)


def outputs(network, views):
    return network(split_views(views, VIEW_NAMES), training=False)


def objective(network, views):
    inputs = split_views(views, VIEW_NAMES)
    return network.evaluate(inputs, upstream.targets(inputs), verbose=0)[0]


def test_without_faults_it_is_the_products_network(product, right, views):
    assert right.count_params() == product.count_params()
    made, expected = outputs(right, views), outputs(product, views)
    for index, name in enumerate(VIEW_NAMES):
        np.testing.assert_allclose(made[f"reconstruction_{name}"], expected["reconstruction"][:, index], atol=1e-4)
        np.testing.assert_allclose(made[f"class_{name}"], expected["view_probabilities"][:, index], atol=1e-4)


def test_without_faults_it_has_the_products_objective(product, right, views):
    of_product, weights = losses_for(AMSLConfig())
    product.compile(loss=of_product, loss_weights=weights)
    targets = {
        "reconstruction": views,
        "view_probabilities": np.tile(np.arange(7), (4, 1)),
        "memory_entropy": np.zeros(4, np.float32),
    }
    expected = product.evaluate(split_views(views, VIEW_NAMES), targets, verbose=0, return_dict=True)["loss"]
    assert objective(right, views) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_the_memories_of_view_0_reach_the_last_two_decoders_only(product, right, views):
    faulty, expected = (outputs(network, views) for network in (port(product, first_memories=True), right))
    changed = {name for name in expected if not np.allclose(faulty[name], expected[name])}
    assert changed == {"reconstruction_scaled", "reconstruction_smoothed"}


@pytest.mark.slow
def test_the_mean_over_slots_is_500_times_weaker(product, right, views):
    faulty, expected = (objective(network, views) for network in (port(product, slot_mean_entropy=True), right))
    entropy = float(np.mean(outputs(product, views)["memory_entropy"]))
    assert expected - faulty == pytest.approx(0.0002 * entropy * (1 - 1 / 500), rel=1e-2)  # a difference of two sums of 14


def test_leaky_scaling_sees_test_windows():
    train, test = np.array([[[1.0]], [[3.0]]]), np.array([[[9.0]]])
    assert [float(part[0, 0]) for part in upstream.fit_scaling(train, test)] == [1.0, 8.0]
    assert [float(part[0, 0]) for part in upstream.fit_scaling(train, test, leaky=False)] == [1.0, 2.0]


def test_sixteen_windows_share_a_score():
    views = {"raw": np.zeros((18, 2, 1)), "noise": np.zeros((18, 2, 1))}
    made = {"raw": np.sqrt(np.arange(18.0))[:, None, None] * np.ones((18, 2, 1)), "noise": np.ones((18, 2, 1))}
    np.testing.assert_allclose(upstream.scores(made, views, batch_means=False), np.arange(18) + 1)
    np.testing.assert_allclose(upstream.scores(made, views), [8.5] * 16 + [17.5] * 2)
