"""The network in PyTorch computes the same as the network of amsl_tf."""

import numpy as np
import pytest

from amsl_tf.networks import build_network
from amsl_tf.networks.amsl import AMSLConfig
from amsl_tf.views import PAPER_VIEWS, split_views
from tests.benchmarks.conftest import with_biases

torch = pytest.importorskip("torch")

from benchmarks import torch_port  # noqa: E402, it imports torch


def copy_weights(parts, weights):
    """Copies kernels, (H, W, in, out) or (in, out), and biases from Keras to the layers of PyTorch that have weights."""
    layers = [part for part in parts if list(part.parameters())]
    for layer, kernel, bias in zip(layers, weights[::2], weights[1::2], strict=True):
        layer.weight.copy_(torch.tensor(kernel.T if kernel.ndim == 2 else kernel.transpose(3, 2, 0, 1)))
        layer.bias.copy_(torch.tensor(bias))


@torch.no_grad()
def test_networks_agree():
    package = with_biases(build_network(AMSLConfig(), (125, 45), seed=0))
    network = torch_port.Network().eval()
    copy_weights(network.encoder, package.get_layer("encoder").get_weights())
    copy_weights(network.classifier, package.get_layer("view_classifier").get_weights())
    gates = np.random.default_rng(0).normal(size=(2, len(PAPER_VIEWS))).astype(np.float32)
    for index, name in enumerate(PAPER_VIEWS):
        copy_weights(network.decoders[index], package.get_layer(f"decoder_{name}").get_weights())
        copy_slots(network.local_memories[index], package.get_layer(f"local_memory_{name}"))
    copy_slots(network.global_memory, package.get_layer("global_memory"))
    package.get_layer("fusion").set_weights([gates])
    network.gates.copy_(torch.tensor(gates))

    views = np.random.default_rng(1).uniform(size=(2, len(PAPER_VIEWS), 125, 45)).astype(np.float32)
    expected = package(split_views(views, PAPER_VIEWS), training=False)
    reconstruction, logits, entropy = network(torch.tensor(views))
    np.testing.assert_allclose(reconstruction, expected["reconstruction"], atol=1e-5)
    np.testing.assert_allclose(logits.softmax(-1), expected["view_probabilities"], atol=1e-5)
    np.testing.assert_allclose(entropy, np.mean(expected["memory_entropy"]), rtol=1e-4)


def copy_slots(memory, layer):
    """Copies slots after scaling them up, so that different memories give different reads."""
    slots = 40 * layer.get_weights()[0]
    layer.set_weights([slots])
    memory.slots.copy_(torch.tensor(slots))
