"""The AMSL network: wiring only."""

from collections.abc import Iterator
from typing import Any

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

    # one pass of the encoder over all views: (B, R, T, C) -> (B, R, H, W, F)
    inputs = {name: keras.Input(window_shape, name=name) for name in config.views}
    views = ops.stack([inputs[name] for name in config.views], axis=1)
    encoded = build_encoder(window_shape, dtype=dtype, seeds=_take(seeds, len(FILTERS)))(
        ops.reshape(views, (-1, *window_shape, 1))
    )
    latent_shape = encoded.shape[1:]
    latents = ops.reshape(encoded, (-1, num_views, *latent_shape))
    outputs = {"latent": ops.mean(ops.cast(latents, "float32"), axis=(2, 3))}

    classifier_seeds = _take(seeds, 4)
    if config.self_supervision:
        probabilities = build_view_classifier(latent_shape, num_views, dtype=dtype, seeds=classifier_seeds)(encoded)
        outputs["view_probabilities"] = ops.reshape(probabilities, (-1, num_views, num_views))

    # each memory gives reads (B, R, H, W, F) and their entropies (B, R, H, W)
    reads: list[Any] = []
    entropies: list[Any] = []
    global_seed, *local_seeds = _take(seeds, 1 + num_views)
    if config.memory in ("local", "both"):
        by_view = ops.unstack(latents, num_views, axis=1)
        local = [
            Memory(config.num_slots, local_seed, name=f"local_memory_{name}", dtype=dtype)(queries)
            for name, local_seed, queries in zip(config.views, local_seeds, by_view, strict=True)
        ]
        for collected, parts in zip((reads, entropies), zip(*local, strict=True), strict=True):
            collected.append(ops.stack(parts, axis=1))
    if config.memory in ("global", "both"):
        read, entropy = Memory(config.num_slots, global_seed, name="global_memory", dtype=dtype)(latents)
        reads.append(read)
        entropies.append(entropy)
    decoder_inputs = [latents] if config.skip else []
    if config.has_memory:
        decoder_inputs.append(AdaptiveFusion(name="fusion", dtype="float32")(reads))
        outputs["memory_entropy"] = ops.sum(ops.mean(sum(entropies), axis=(2, 3)), axis=1)

    features = ops.concatenate(decoder_inputs, axis=-1) if len(decoder_inputs) > 1 else decoder_inputs[0]
    decoded = [
        build_decoder(features.shape[2:], window_shape, name=f"decoder_{name}", dtype=dtype, seeds=_take(seeds, len(BLOCKS)))(
            of_view
        )
        for name, of_view in zip(config.views, ops.unstack(features, num_views, axis=1), strict=True)
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
