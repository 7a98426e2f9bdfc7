"""The AMSL network: wiring only."""

from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

from amsl_tf.config import ModelConfig
from amsl_tf.layers import AdaptiveFusion, Memory
from amsl_tf.models.decoder import BLOCKS, build_decoder
from amsl_tf.models.encoder import FILTERS, build_encoder
from amsl_tf.models.view_classifier import build_view_classifier


def build_amsl(config: ModelConfig, window_shape: tuple[int, int], *, dtype: str = "float32", seed: int = 0) -> keras.Model:
    """Builds the network of the paper (Fig. 2) or one of its ablations.

    Args:
        config: Which views, memories and parts there are.
        window_shape: (T, C) of the windows.
        dtype: Name of a Keras dtype policy, such as `mixed_bfloat16`. Memories and outputs are float32 whatever it is.
        seed: Fixes the initial weights and the dropout.

    Returns:
        A functional model. Inputs: a dict of the R views by name, each (B, T, C), scaled. Outputs, a dict of float32 tensors:
        `reconstruction` (B, R, T, C); `view_probabilities` (B, R, R), with self-supervision; `memory_entropy` (B,), the sum
        over all reads of the mean entropy of a position, with memory; `latent` (B, R, F), the mean over positions.
    """
    seeds = _seeds(seed)
    num_views = len(config.views)
    inputs = {name: keras.Input(window_shape, name=name) for name in config.views}

    # views go through the parts that they share one at a time: stacked, their tensors are too large for any cache
    encoder = build_encoder(window_shape, dtype=dtype, seeds=_take(seeds, len(FILTERS)))
    latents = [encoder(ops.expand_dims(view, -1)) for view in inputs.values()]
    outputs = {"latent": ops.stack([ops.mean(ops.cast(latent, "float32"), axis=(1, 2)) for latent in latents], axis=1)}

    classifier_seeds = _take(seeds, 4)
    if config.self_supervision:
        classifier = build_view_classifier(latents[0].shape[1:], num_views, dtype=dtype, seeds=classifier_seeds)
        outputs["view_probabilities"] = ops.stack([classifier(latent) for latent in latents], axis=1)

    global_seed, *local_seeds = _take(seeds, 1 + num_views)
    memories: list[list[Memory]] = []  # of each view, one a kind
    if config.memory in ("local", "both"):
        memories.append(
            [
                Memory(config.num_slots, local_seed, name=f"local_memory_{name}", dtype=dtype)
                for name, local_seed in zip(config.views, local_seeds, strict=True)
            ]
        )
    if config.memory in ("global", "both"):
        memories.append([Memory(config.num_slots, global_seed, name="global_memory", dtype=dtype)] * num_views)
    features = latents
    if config.has_memory:
        made = [[memory(latent) for memory, latent in zip(of_kind, latents, strict=True)] for of_kind in memories]
        entropies = [ops.mean(entropy, axis=(1, 2)) for of_kind in made for _, entropy in of_kind]
        outputs["memory_entropy"] = sum(entropies)
        features = AdaptiveFusion(name="fusion", dtype=dtype)([[read for read, _ in of_kind] for of_kind in made])
        if config.skip:
            features = [ops.concatenate(pair, axis=-1) for pair in zip(latents, features, strict=True)]

    decoded = [
        build_decoder(feature.shape[1:], window_shape, name=f"decoder_{name}", dtype=dtype, seeds=_take(seeds, len(BLOCKS)))(
            feature
        )
        for name, feature in zip(config.views, features, strict=True)
    ]
    outputs["reconstruction"] = ops.stack(decoded, axis=1)
    return keras.Model(inputs, outputs, name="amsl")


def _seeds(seed: int) -> Iterator[int]:
    """Seeds of initialisers and dropout; in this way no global random state is used or changed."""
    generator = np.random.default_rng(seed)
    while True:
        yield int(generator.integers(2**31))


def _take(seeds: Iterator[int], count: int) -> list[int]:
    return [next(seeds) for _ in range(count)]
