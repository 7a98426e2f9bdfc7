"""The AMSL network: wiring only."""

import keras
from keras import ops

from amsl_tf.layers import AdaptiveFusion, SoftmaxMemory
from amsl_tf.layers.wide import wide
from amsl_tf.model_config import AMSLConfig
from amsl_tf.models.decoder import BLOCKS, build_decoder
from amsl_tf.models.encoder import build_encoder
from amsl_tf.models.seeds import Seeds
from amsl_tf.models.view_classifier import build_view_classifier


def build_amsl(config: AMSLConfig, window_shape: tuple[int, int], *, dtype: str, seed: int) -> keras.Model:
    """Builds the network of the paper (Fig. 2) or one of its ablations.

    The arguments and what is returned are those of `build_network`.
    """
    seeds = Seeds(seed)
    num_views = len(config.views)
    inputs = {name: keras.Input(window_shape, name=name) for name in config.views}

    # views go through the parts that they share one at a time: stacked, their tensors are too large for any cache
    encoder = build_encoder(window_shape, config.latent_features, dtype=dtype, seeds=seeds.take(2))
    latents = [encoder(ops.expand_dims(view, -1)) for view in inputs.values()]
    outputs = {"latent": ops.stack([ops.mean(wide(latent), axis=(1, 2)) for latent in latents], axis=1)}

    classifier_seeds = seeds.take(4)
    if config.self_supervision:
        classifier = build_view_classifier(latents[0].shape[1:], num_views, dtype=dtype, seeds=classifier_seeds)
        outputs["view_probabilities"] = ops.stack([classifier(latent) for latent in latents], axis=1)

    global_seed, *local_seeds = seeds.take(1 + num_views)
    memories: list[list[SoftmaxMemory]] = []  # of each view, one a kind
    if config.memory in ("local", "both"):
        memories.append(
            [
                SoftmaxMemory(config.num_slots, local_seed, name=f"local_memory_{name}", dtype=dtype)
                for name, local_seed in zip(config.views, local_seeds, strict=True)
            ]
        )
    if config.memory in ("global", "both"):
        memories.append([SoftmaxMemory(config.num_slots, global_seed, name="global_memory", dtype=dtype)] * num_views)
    features = latents
    if config.has_memory:
        made = [[memory(latent) for memory, latent in zip(of_kind, latents, strict=True)] for of_kind in memories]
        entropies = [ops.mean(entropy, axis=(1, 2)) for of_kind in made for _, entropy in of_kind]
        outputs["memory_entropy"] = sum(entropies)
        features = AdaptiveFusion(name="fusion", dtype=dtype)([[read for read, _ in of_kind] for of_kind in made])
        if config.skip:
            features = [ops.concatenate(pair, axis=-1) for pair in zip(latents, features, strict=True)]

    decoded = [
        build_decoder(feature.shape[1:], window_shape, name=f"decoder_{name}", dtype=dtype, seeds=seeds.take(len(BLOCKS)))(
            feature
        )
        for name, feature in zip(config.views, features, strict=True)
    ]
    outputs["reconstruction"] = ops.stack(decoded, axis=1)
    return keras.Model(inputs, outputs, name="amsl")
