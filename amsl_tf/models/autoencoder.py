"""The networks of one view: an autoencoder without memory, and those of other papers, whose memories stand in its middle."""

from typing import Any

import keras
from keras import ops

from amsl_tf.layers import ForgettingMemory, PrototypeMemory, ShrinkageMemory, TwinMemory
from amsl_tf.layers.wide import wide
from amsl_tf.model_config import CAEConfig, MemAEConfig, MNADConfig, RFTMConfig
from amsl_tf.models.decoder import BLOCKS, build_decoder
from amsl_tf.models.encoder import build_encoder
from amsl_tf.models.seeds import Seeds


def build_autoencoder(config: CAEConfig, window_shape: tuple[int, int], *, dtype: str, seed: int) -> keras.Model:
    """Builds AMSL's encoder and one of its decoders, and what the configuration has between them.

    The papers' encoders and decoders are made for pictures; with the same ones for all, only the memories differ. The arguments
    and what is returned are those of `build_network`.
    """
    seeds = Seeds(seed)
    (name,) = config.views
    view = keras.Input(window_shape, name=name)
    latent = build_encoder(window_shape, config.latent_features, dtype=dtype, seeds=seeds.take(2))(ops.expand_dims(view, -1))
    decoder_seeds = seeds.take(len(BLOCKS))
    features, terms = _remember(config, latent, dtype, seeds)
    decoder = build_decoder(features.shape[1:], window_shape, name=f"decoder_{name}", dtype=dtype, seeds=decoder_seeds)
    outputs = {
        "reconstruction": ops.expand_dims(decoder(features), 1),
        "latent": ops.expand_dims(ops.mean(wide(latent), axis=(1, 2)), 1),
        **{term: ops.mean(values, axis=(1, 2)) for term, values in terms.items()},
    }
    return keras.Model({name: view}, outputs, name=config.name)


def _remember(config: CAEConfig, latent: Any, dtype: str, seeds: Seeds) -> tuple[Any, dict[str, Any]]:
    """What the decoder sees of a latent (B, H, W, F), and terms of the objective at each position (B, H, W) by name."""
    match config:
        case MemAEConfig():
            (seed,) = seeds.take(1)
            memory = ShrinkageMemory(config.num_slots, config.shrink_threshold, seed, name="memory", dtype=dtype)
            read, entropy = memory(latent)
            return read, {"memory_entropy": entropy}
        case RFTMConfig():
            parts = {
                part: ForgettingMemory(
                    getattr(config, f"{part}_slots"),
                    getattr(config, f"{part}_forgetting"),
                    getattr(config, f"{part}_top_k"),
                    seed,
                    name=part,
                    dtype=dtype,
                )
                for part, seed in zip(("hippocampus", "cortex"), seeds.take(2), strict=True)
            }
            return TwinMemory(**parts, reintegration=config.reintegration, name="twin_memory", dtype=dtype)(latent), {}
        case MNADConfig():
            (seed,) = seeds.take(1)
            read, compactness, separateness = PrototypeMemory(config.num_slots, seed, name="memory", dtype=dtype)(latent)
            return read, {"compactness": compactness, "separateness": separateness}
    return latent, {}
