"""The convolutional autoencoder of one view, and the base of the networks of other papers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amsl_tf.checks import setting
from amsl_tf.errors import AMSLError
from amsl_tf.networks.base import NetworkConfig

if TYPE_CHECKING:
    import keras

    from amsl_tf.networks.seeds import Seeds


@dataclass(frozen=True)
class CAEConfig(NetworkConfig):
    """A convolutional autoencoder of one view, made of AMSL's encoder and one of its decoders.

    Subclasses place a memory between the two, in `bottleneck`. The encoders and decoders of their papers are made for images;
    with the same ones for all, the networks differ in their memories alone.
    """

    name = "cae"

    views: tuple[str, ...] = setting(("raw",), "the view")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.views) > 1:
            raise AMSLError(f"the network {self.name} takes one view; amsl takes several. Received: {list(self.views)}.")

    def bottleneck(self, latent: Any, *, dtype: str, seeds: "Seeds") -> tuple[Any, dict[str, Any]]:
        """Adds the layers between encoder and decoder; none here.

        Args:
            latent: A symbolic tensor (B, H, W, F), H and W a quarter of the padded T and C.
            dtype: The name of a Keras dtype policy.
            seeds: The source of the seeds of the layers.

        Returns:
            The input of the decoder (B, H, W, G), and the terms of the objective at each position, (B, H, W) by name in
            `loss_weights`.
        """
        return latent, {}

    def build(self, window_shape: tuple[int, int], *, dtype: str, seed: int) -> "keras.Model":
        """Builds encoder, bottleneck and decoder; see `NetworkConfig.build`."""
        # imported here: a configuration does not need Keras
        import keras
        from keras import ops

        from amsl_tf.networks.decoder import STRIDES, build_decoder
        from amsl_tf.networks.encoder import build_encoder
        from amsl_tf.networks.layers.upcast import upcast
        from amsl_tf.networks.seeds import Seeds

        seeds = Seeds(seed)
        (name,) = self.views
        view = keras.Input(window_shape, name=name)
        encoder = build_encoder(window_shape, self.filters, self.latent_features, dtype=dtype, seeds=seeds.take(2))
        latent = encoder(ops.expand_dims(view, -1))
        decoder_seeds = seeds.take(len(STRIDES))
        features, terms = self.bottleneck(latent, dtype=dtype, seeds=seeds)
        decoder = build_decoder(
            features.shape[1:], window_shape, self.filters, name=f"decoder_{name}", dtype=dtype, seeds=decoder_seeds
        )
        outputs = {
            "reconstruction": ops.expand_dims(decoder(features), 1),
            "latent": ops.expand_dims(ops.mean(upcast(latent), axis=(1, 2)), 1),
            **{term: ops.mean(values, axis=(1, 2)) for term, values in terms.items()},
        }
        return keras.Model({name: view}, outputs, name=self.name)
