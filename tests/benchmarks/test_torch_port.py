"""The network in PyTorch computes what the product's does: only then is its speed a comparison."""

import numpy as np
import pytest

from amsl_tf.model_config import AMSLConfig
from amsl_tf.models import build_network
from amsl_tf.views import VIEW_NAMES, split_views
from tests.benchmarks.conftest import with_biases

torch = pytest.importorskip("torch")

from benchmarks import torch_port  # noqa: E402, it imports torch


def give(parts, weights):
    """Kernels and biases of Keras to the layers of PyTorch that have any: (H, W, in, out), and of dense ones (in, out)."""
    layers = [part for part in parts if list(part.parameters())]
    for layer, kernel, bias in zip(layers, weights[::2], weights[1::2], strict=True):
        layer.weight.copy_(torch.tensor(kernel.T if kernel.ndim == 2 else kernel.transpose(3, 2, 0, 1)))
        layer.bias.copy_(torch.tensor(bias))


@torch.no_grad()
def test_it_is_the_products_network():
    product = with_biases(build_network(AMSLConfig(), (125, 45), seed=0))
    network = torch_port.Network().eval()
    give(network.encoder, product.get_layer("encoder").get_weights())
    give(network.classifier, product.get_layer("view_classifier").get_weights())
    gates = np.random.default_rng(0).normal(size=(2, len(VIEW_NAMES))).astype(np.float32)
    for index, name in enumerate(VIEW_NAMES):
        give(network.decoders[index], product.get_layer(f"decoder_{name}").get_weights())
        give_slots(network.local_memories[index], product.get_layer(f"local_memory_{name}"))
    give_slots(network.global_memory, product.get_layer("global_memory"))
    product.get_layer("fusion").set_weights([gates])
    network.gates.copy_(torch.tensor(gates))

    views = np.random.default_rng(1).uniform(size=(2, len(VIEW_NAMES), 125, 45)).astype(np.float32)
    expected = product(split_views(views, VIEW_NAMES), training=False)
    made, logits, entropy = network(torch.tensor(views))
    np.testing.assert_allclose(made, expected["reconstruction"], atol=1e-5)
    np.testing.assert_allclose(logits.softmax(-1), expected["view_probabilities"], atol=1e-5)
    np.testing.assert_allclose(entropy, np.mean(expected["memory_entropy"]), rtol=1e-4)


def give_slots(memory, layer):
    """So uneven that it matters whose are read."""
    slots = 40 * layer.get_weights()[0]
    layer.set_weights([slots])
    memory.slots.copy_(torch.tensor(slots))
