"""The networks: the registry `NETWORKS` of their configurations, one module for each, and the parts that they share.

Everything that computes uses `keras` and `keras.ops` only and runs on every Keras backend.
"""

from typing import TYPE_CHECKING

from amsl_tf.errors import AMSLError
from amsl_tf.networks.base import NetworkConfig
from amsl_tf.registry import Registry

if TYPE_CHECKING:
    import keras

NETWORKS: Registry[type[NetworkConfig]] = Registry(
    "network",
    {
        "amsl": "amsl_tf.networks.amsl:AMSLConfig",
        "memae": "amsl_tf.networks.memae:MemAEConfig",
        "rftm": "amsl_tf.networks.rftm:RFTMConfig",
        "mnad": "amsl_tf.networks.mnad:MNADConfig",
        "cae": "amsl_tf.networks.autoencoder:CAEConfig",
    },
    attributes=("name", "build", "loss_weights", "to_dict"),
)

__all__ = ["NETWORKS", "NetworkConfig", "build_network", "check_registered"]


def build_network(
    config: NetworkConfig, window_shape: tuple[int, int], *, dtype: str = "float32", seed: int = 0
) -> "keras.Model":
    """Builds a network that reconstructs the views of a window.

    Args:
        config: The configuration of the network.
        window_shape: (T, C) of the windows.
        dtype: The name of a Keras dtype policy, such as `mixed_bfloat16`. Memory slots and outputs are float32 at least. For
            `float64` Keras' floatx must be float64 too: inputs and losses depend on it.
        seed: The seed of the initial weights, the dropout and the forgetting of memories.

    Returns:
        A functional model. Its inputs are a dict of the R scaled views by name, each (B, T, C), its outputs a dict of tensors,
        `reconstruction` (B, R, T, C), in [0, 1]; `latent` (B, R, F), the mean over positions; and other terms of the objective:
        `view_probabilities` (B, R, R) with self-supervision; `memory_entropy` (B,), the sum over all reads of the mean entropy
        of a position in nats (AMSL with memory, MemAE); `compactness` and `separateness` (B,), means over positions (MNAD).
    """
    return config.build(window_shape, dtype=dtype, seed=seed)


def check_registered(config: NetworkConfig) -> None:
    """Raises AMSLError if the name of a configuration does not lead back to its class, as loading a saved detector needs."""
    if NETWORKS.get(config.name) is not type(config):
        name = type(config).__name__
        raise AMSLError(
            f"a network must be registered before a detector is saved: NETWORKS.register({config.name!r}, {name}), with a name "
            f"of its own as {name}.name. Received: {name} with the name {config.name!r}."
        )
