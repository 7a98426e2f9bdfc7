"""MemAE: an autoencoder with a memory that is read sparsely."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from amsl_tf.checks import convert_count, convert_number, setting
from amsl_tf.errors import AMSLError
from amsl_tf.networks.autoencoder import CAEConfig

if TYPE_CHECKING:
    from amsl_tf.networks.seeds import Seeds


@dataclass(frozen=True)
class MemAEConfig(CAEConfig):
    """MemAE.

    Attributes:
        num_slots: The number of slots N of the memory; the paper has 100 for MNIST, 500 for CIFAR-10 and 2,000 for video.
        shrink_threshold: The threshold of the hard shrinkage in units of 1 / `num_slots`, at most 1. The paper recommends 1 to
            3; but above 1 a query with nearly uniform attention reads nothing and gets no gradient, and at the start of a
            training run all queries of this encoder have nearly uniform attention.
        entropy_weight: Alpha of the objective, the weight of the entropy of the attention.

    Reference:
        Gong et al., Memorizing Normality to Detect Anomaly, ICCV 2019.
    """

    name = "memae"

    num_slots: int = setting(500, "slots of the memory", is_size=True)
    shrink_threshold: float = setting(1.0, "threshold of the attention, in units of 1 / number of slots")
    entropy_weight: float = setting(0.0002, "weight of the entropy of the attention in the objective")

    def __post_init__(self) -> None:
        super().__post_init__()
        convert_count(self, "num_slots")
        convert_number(self, "shrink_threshold", minimum=0.0)
        if self.shrink_threshold > 1 or (self.num_slots == 1 and self.shrink_threshold == 1):
            raise AMSLError(
                "shrink_threshold must be at most 1, and below 1 with one slot: otherwise no query reads anything at the start "
                f"of a training run, and nothing is learned. Received: {self.shrink_threshold}."
            )
        convert_number(self, "entropy_weight", minimum=0.0)

    @property
    def loss_weights(self) -> dict[str, float]:
        """The weights of the terms of the objective, by network output."""
        return {**super().loss_weights, "memory_entropy": self.entropy_weight}

    def bottleneck(self, latent: Any, *, dtype: str, seeds: "Seeds") -> tuple[Any, dict[str, Any]]:
        """Adds the memory, as `CAEConfig.bottleneck` describes; its term is `memory_entropy`."""
        from amsl_tf.networks.layers import ShrinkageMemory

        (seed,) = seeds.take(1)
        read, entropy = ShrinkageMemory(self.num_slots, self.shrink_threshold, seed, name="memory", dtype=dtype)(latent)
        return read, {"memory_entropy": entropy}
