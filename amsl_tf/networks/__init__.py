"""The networks: the registry `NETWORKS` of their configurations, one module for each, and the parts that they share.

Everything that computes uses `keras` and `keras.ops` only and runs on every Keras backend.
"""

from typing import TYPE_CHECKING, Any

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

    Raises:
        AMSLError: The network of a configuration of your own has other inputs or outputs.
    """
    network = config.build(window_shape, dtype=dtype, seed=seed)
    _check_network(network, config, window_shape)
    return network


def check_registered(config: NetworkConfig) -> None:
    """Raises AMSLError if the name of a configuration does not lead back to its class, as loading a saved detector needs."""
    if NETWORKS.get(config.name) is not type(config):
        name = type(config).__name__
        raise AMSLError(
            f"a network must be registered before a detector is saved: NETWORKS.register({config.name!r}, {name}), with a name "
            f"of its own as {name}.name. Received: {name} with the name {config.name!r}."
        )


def _check_network(network: Any, config: NetworkConfig, window_shape: tuple[int, int]) -> None:
    """Checks names, shapes and dtypes of the inputs and outputs of a network, before anything is computed with it."""
    count, title = len(config.views), f"the network {config.name!r}"
    expected: dict[str, dict[str, tuple[Any, ...]]] = {
        "input": {name: ("B", *window_shape) for name in config.views},
        "output": {
            **dict.fromkeys(config.loss_weights, ("B",)),
            "reconstruction": ("B", count, *window_shape),
            "latent": ("B", count, "F"),
        },
    }
    if "view_probabilities" in config.loss_weights:
        expected["output"]["view_probabilities"] = ("B", count, count)
    for kind, shapes in expected.items():
        tensors = getattr(network, kind, None)
        if not isinstance(tensors, dict) or not tensors.keys() >= shapes.keys():
            received = ", ".join(tensors) if isinstance(tensors, dict) else type(tensors).__name__
            raise AMSLError(
                f"{title} must be a functional Keras model with a dict of {kind}s, {', '.join(shapes)}. Received: {received}."
            )
        for name, shape in shapes.items():
            found, dtype = tensors[name].shape, tensors[name].dtype
            is_right = len(found) == len(shape) and all(
                size is None if wanted == "B" else size == wanted or (wanted == "F" and size)
                for size, wanted in zip(found, shape, strict=True)
            )
            if not is_right or dtype not in ("float32", "float64"):
                raise AMSLError(
                    f"{title} must have {kind} {name!r} of shape ({', '.join(map(str, shape))}), float32 or float64. "
                    f"Received: shape={found}, dtype={dtype}."
                )
