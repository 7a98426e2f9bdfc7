"""MNAD: an autoencoder with a memory of prototypes that are updated without gradients."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amsl_tf.checks import convert_count, convert_number, setting
from amsl_tf.networks.autoencoder import CAEConfig

if TYPE_CHECKING:
    from amsl_tf.networks.seeds import Seeds


@dataclass(frozen=True)
class MNADConfig(CAEConfig):
    """MNAD, the reconstruction variant (MNAD-R).

    Attributes:
        num_slots: The number of items of the memory.
        compactness_weight: Lambda c of the objective, the weight of the distance of latents to their nearest item.
        separateness_weight: Lambda s of the objective, the weight of the margin between the nearest and the second item.

    Reference:
        Park et al., Learning Memory-guided Normality for Anomaly Detection, CVPR 2020.
    """

    name = "mnad"

    num_slots: int = setting(10, "items of the memory", is_size=True)
    compactness_weight: float = setting(0.01, "weight of the compactness in the objective")
    separateness_weight: float = setting(0.01, "weight of the separateness in the objective")

    def __post_init__(self) -> None:
        super().__post_init__()
        convert_count(self, "num_slots", minimum=2)
        convert_number(self, "compactness_weight", minimum=0.0)
        convert_number(self, "separateness_weight", minimum=0.0)

    @property
    def loss_weights(self) -> dict[str, float]:
        """The weights of the terms of the objective, by network output."""
        weights = {"compactness": self.compactness_weight, "separateness": self.separateness_weight}
        return {**super().loss_weights, **weights}

    def bottleneck(self, latent: Any, *, dtype: str, seeds: "Seeds") -> tuple[Any, dict[str, Any]]:
        """Adds the memory, as `CAEConfig.bottleneck` describes; its terms are `compactness` and `separateness`."""
        from amsl_tf.networks.layers import PrototypeMemory

        (seed,) = seeds.take(1)
        read, compactness, separateness = PrototypeMemory(self.num_slots, seed, name="memory", dtype=dtype)(latent)
        return read, {"compactness": compactness, "separateness": separateness}
