"""RFTM: an autoencoder with two memories in cascade that forget at random."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from amsl_tf.checks import check_choice, convert_count, convert_number, setting
from amsl_tf.errors import AMSLError
from amsl_tf.networks.autoencoder import CAEConfig

if TYPE_CHECKING:
    from amsl_tf.networks.seeds import Seeds

Reintegration = Literal["cortex", "both"]


@dataclass(frozen=True)
class RFTMConfig(CAEConfig):
    """An interpretation of RFTM, the random forgetting twin memory; see `TwinMemory` for the gaps of its publication.

    Attributes:
        hippocampus_slots, cortex_slots: The numbers of slots of the two memories; the second is queried with the output of the
            first.
        hippocampus_forgetting, cortex_forgetting: The share of the slots that is forgotten in a training step.
        hippocampus_top_k, cortex_top_k: The number of slots that a query reads.
        reintegration: The input of the decoder: the read of the `cortex`, or the reads of `both`, concatenated.

    Reference:
        Learn to Know Unknowns: A Bionic Memory Network (RFTM); the Cascade-Memory of ECAI 2024.
    """

    name = "rftm"

    hippocampus_slots: int = setting(50, "slots of the first memory", is_size=True)
    hippocampus_forgetting: float = setting(0.1, "share of them that is forgotten in a training step")
    hippocampus_top_k: int = setting(15, "slots of it that a query reads", is_size=True)
    cortex_slots: int = setting(1000, "slots of the second memory", is_size=True)
    cortex_forgetting: float = setting(0.5, "share of them that is forgotten in a training step")
    cortex_top_k: int = setting(5, "slots of it that a query reads", is_size=True)
    reintegration: Reintegration = setting("cortex", "input of the decoder: the read of the cortex, or of both memories")

    def __post_init__(self) -> None:
        super().__post_init__()
        for part in ("hippocampus", "cortex"):
            slots, top_k = f"{part}_slots", f"{part}_top_k"
            convert_count(self, slots)
            convert_count(self, top_k)
            convert_number(self, f"{part}_forgetting", minimum=0.0, maximum=1.0)
            if getattr(self, top_k) > getattr(self, slots):
                raise AMSLError(
                    f"{top_k} must be at most {slots}. Received: {getattr(self, top_k)} and {getattr(self, slots)}."
                )
        check_choice("reintegration", self.reintegration, get_args(Reintegration))

    def bottleneck(self, latent: Any, *, dtype: str, seeds: "Seeds") -> tuple[Any, dict[str, Any]]:
        """Adds the twin memory, as `CAEConfig.bottleneck` describes; it has no terms."""
        from amsl_tf.networks.layers import ForgettingMemory, TwinMemory

        memories = {
            part: ForgettingMemory(
                getattr(self, f"{part}_slots"),
                getattr(self, f"{part}_forgetting"),
                getattr(self, f"{part}_top_k"),
                seed,
                name=part,
                dtype=dtype,
            )
            for part, seed in zip(("hippocampus", "cortex"), seeds.take(2), strict=True)
        }
        return TwinMemory(**memories, reintegration=self.reintegration, name="twin_memory", dtype=dtype)(latent), {}
