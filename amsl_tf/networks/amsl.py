"""AMSL: the configuration and the wiring of the network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from amsl_tf.checks import check_choice, check_flag, convert_count, convert_number, setting
from amsl_tf.errors import AMSLError
from amsl_tf.networks.base import NetworkConfig

if TYPE_CHECKING:
    import keras

MemoryChoice = Literal["none", "global", "local", "both"]


@dataclass(frozen=True)
class AMSLConfig(NetworkConfig):
    """AMSL and its ablations, by default with the values of the paper.

    Attributes:
        memory: Which memories are read: `both` is AMSL, `global` GMSL, `local` LMSL, `none` the CAE of the paper.
        self_supervision: Whether a classifier predicts the view.
        skip: Whether the decoders get the latent beside the reads of the memories.
        num_slots: The number of slots of each memory.
        classification_weight: Lambda 1 of the objective, the weight of the view classification.
        entropy_weight: Lambda 2 of the objective, the weight of the entropy of the attention, which is in nats.

    Reference:
        Zhang et al., Adaptive Memory Networks with Self-supervised Learning for Unsupervised Anomaly Detection, TKDE 2022
        (arXiv 2201.00464), figure 2 and section 3.
    """

    name = "amsl"

    memory: MemoryChoice = setting("both", "which memories to use")
    self_supervision: bool = setting(True, "whether a classifier predicts the view")
    skip: bool = setting(True, "whether decoders receive the latent in addition to the memory reads")
    num_slots: int = setting(500, "slots of each memory", is_size=True)
    classification_weight: float = setting(1.0, "weight of the view classification, lambda 1 of the objective")
    entropy_weight: float = setting(0.0002, "weight of the entropy of the attention in the objective")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("memory", self.memory, get_args(MemoryChoice))
        check_flag("self_supervision", self.self_supervision)
        check_flag("skip", self.skip)
        convert_count(self, "num_slots")
        convert_number(self, "classification_weight", minimum=0.0)
        convert_number(self, "entropy_weight", minimum=0.0)
        if self.memory == "none" and not self.skip:
            raise AMSLError("memory='none' needs skip=True: without memories and skip connection a decoder has no input.")

    @property
    def has_memory(self) -> bool:
        """Whether the network has a memory."""
        return self.memory != "none"

    @property
    def loss_weights(self) -> dict[str, float]:
        """The weights of the terms of the objective (algorithm 4 of the AMSL paper), by network output."""
        weights = super().loss_weights
        if self.self_supervision:
            weights["view_probabilities"] = self.classification_weight
        if self.has_memory:
            weights["memory_entropy"] = self.entropy_weight
        return weights

    def build(self, window_shape: tuple[int, int], *, dtype: str, seed: int) -> "keras.Model":
        """Builds the network of figure 2 of the AMSL paper; see `NetworkConfig.build`."""
        # imported here: a configuration does not need Keras
        import keras
        from keras import ops

        from amsl_tf.networks.decoder import STRIDES, build_decoder
        from amsl_tf.networks.encoder import build_encoder
        from amsl_tf.networks.layers import AdaptiveFusion, SoftmaxMemory
        from amsl_tf.networks.layers.upcast import upcast
        from amsl_tf.networks.seeds import Seeds
        from amsl_tf.networks.view_classifier import build_view_classifier

        seeds = Seeds(seed)
        num_views = len(self.views)
        inputs = {name: keras.Input(window_shape, name=name) for name in self.views}

        # the views pass the shared parts one at a time: stacked, their tensors would not fit into any cache
        encoder = build_encoder(window_shape, self.filters, self.latent_features, dtype=dtype, seeds=seeds.take(2))
        latents = [encoder(ops.expand_dims(view, -1)) for view in inputs.values()]
        outputs = {"latent": ops.stack([ops.mean(upcast(latent), axis=(1, 2)) for latent in latents], axis=1)}

        classifier_seeds = seeds.take(4)
        if self.self_supervision:
            classifier = build_view_classifier(latents[0].shape[1:], num_views, dtype=dtype, seeds=classifier_seeds)
            outputs["view_probabilities"] = ops.stack([classifier(latent) for latent in latents], axis=1)

        global_seed, *local_seeds = seeds.take(1 + num_views)
        memories: list[list[SoftmaxMemory]] = []  # a list for each kind, with the memory of each view
        if self.memory in ("local", "both"):
            memories.append(
                [
                    SoftmaxMemory(self.num_slots, local_seed, name=f"local_memory_{name}", dtype=dtype)
                    for name, local_seed in zip(self.views, local_seeds, strict=True)
                ]
            )
        if self.memory in ("global", "both"):
            memories.append([SoftmaxMemory(self.num_slots, global_seed, name="global_memory", dtype=dtype)] * num_views)
        features = latents
        if self.has_memory:
            reads = [[memory(latent) for memory, latent in zip(kind, latents, strict=True)] for kind in memories]
            entropies = [ops.mean(entropy, axis=(1, 2)) for kind in reads for _, entropy in kind]
            outputs["memory_entropy"] = sum(entropies)
            features = AdaptiveFusion(name="fusion", dtype=dtype)([[read for read, _ in kind] for kind in reads])
            if self.skip:
                features = [ops.concatenate(pair, axis=-1) for pair in zip(latents, features, strict=True)]

        decoders = [
            build_decoder(
                feature.shape[1:],
                window_shape,
                self.filters,
                name=f"decoder_{name}",
                dtype=dtype,
                seeds=seeds.take(len(STRIDES)),
            )
            for name, feature in zip(self.views, features, strict=True)
        ]
        decoded = [decoder(feature) for decoder, feature in zip(decoders, features, strict=True)]
        outputs["reconstruction"] = ops.stack(decoded, axis=1)
        return keras.Model(inputs, outputs, name="amsl")
