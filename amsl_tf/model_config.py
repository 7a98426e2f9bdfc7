"""Settings of the networks and their objectives: one class for each network, `MODELS` has them by name.

The defaults are the values of the papers, where they have them.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from amsl_tf.checks import check_choice, check_flag, settle_count, settle_number
from amsl_tf.errors import AMSLError
from amsl_tf.views import VIEW_NAMES

WhichMemories = Literal["none", "global", "local", "both"]
Reintegration = Literal["cortex", "both"]


@dataclass(frozen=True)
class ModelConfig:
    """What all networks have.

    Attributes:
        views: Names of the views, a non-empty subset of `VIEW_NAMES` in that order.
        latent_features: Numbers at each position of the latent, F: the width of the bottleneck.
    """

    name: ClassVar[str]

    views: tuple[str, ...] = VIEW_NAMES
    latent_features: int = 64

    def __post_init__(self) -> None:
        if isinstance(self.views, str) or not isinstance(self.views, Iterable):
            raise AMSLError(f"views must be a list of names, as in ['raw', 'noise']. Received: {self.views!r}.")
        object.__setattr__(self, "views", tuple(self.views))
        in_order = tuple(name for name in VIEW_NAMES if name in self.views)
        if not self.views or self.views != in_order:
            raise AMSLError(
                f"views must be one or more of {', '.join(VIEW_NAMES)}, in this order. Received: {list(self.views)}."
            )
        settle_count(self, "latent_features")

    @property
    def loss_weights(self) -> dict[str, float]:
        """The weights of the objective's terms, by the output of the network that each is computed from."""
        return {"reconstruction": 1.0}

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True)
class AMSLConfig(ModelConfig):
    """AMSL and its ablations (section and equation numbers of the paper: arXiv 2201.00464).

    Attributes:
        memory: Which memories are read: `both` is AMSL, `global` GMSL, `local` LMSL, `none` the paper's CAE.
        self_supervision: Whether a classifier guesses the view.
        skip: Whether a decoder sees the latent beside what the memories return.
        num_slots: Slots of each memory.
        classification_weight: Lambda 1 of the objective, the weight of the view classification.
        entropy_weight: Lambda 2 of the objective, the weight of the attention's entropy.
    """

    name = "amsl"

    memory: WhichMemories = "both"
    self_supervision: bool = True
    skip: bool = True
    num_slots: int = 500
    classification_weight: float = 1.0
    entropy_weight: float = 0.0002

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("memory", self.memory, WhichMemories)
        check_flag("self_supervision", self.self_supervision)
        check_flag("skip", self.skip)
        settle_count(self, "num_slots")
        settle_number(self, "classification_weight", minimum=0.0)
        settle_number(self, "entropy_weight", minimum=0.0)
        if self.memory == "none" and not self.skip:
            raise AMSLError("memory='none' needs skip=True: without memories and without skip a decoder would have no input.")

    @property
    def has_memory(self) -> bool:
        return self.memory != "none"

    @property
    def loss_weights(self) -> dict[str, float]:
        weights = super().loss_weights
        if self.self_supervision:
            weights["view_probabilities"] = self.classification_weight
        if self.has_memory:
            weights["memory_entropy"] = self.entropy_weight
        return weights


@dataclass(frozen=True)
class CAEConfig(ModelConfig):
    """A plain convolutional autoencoder of one view, and what the networks below have in common with it."""

    name = "cae"

    views: tuple[str, ...] = ("raw",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.views) > 1:
            raise AMSLError(f"the model {self.name} takes one view; amsl takes several. Received: {list(self.views)}.")


@dataclass(frozen=True)
class MemAEConfig(CAEConfig):
    """MemAE (Gong et al., ICCV 2019).

    Attributes:
        num_slots: Slots of the memory, N; the paper has 100 for MNIST, 500 for CIFAR-10, 2,000 for video.
        shrink_threshold: Of the attention, in units of 1 / `num_slots`, at most 1. The paper recommends 1 to 3; but above 1 a
            query that is nearly as much like any slot as like any other reads nothing, and teaches nothing, and when this
            encoder begins to be trained all queries are.
        entropy_weight: Alpha of the objective, the weight of the attention's entropy.
    """

    name = "memae"

    num_slots: int = 500
    shrink_threshold: float = 1.0
    entropy_weight: float = 0.0002

    def __post_init__(self) -> None:
        super().__post_init__()
        settle_count(self, "num_slots")
        settle_number(self, "shrink_threshold", minimum=0.0)
        if self.shrink_threshold > 1 or (self.num_slots == 1 and self.shrink_threshold == 1):
            raise AMSLError(
                "shrink_threshold must be at most 1, and below 1 where there is one slot: no query would read anything when a "
                f"training begins, and nothing would be learned. Received: {self.shrink_threshold}."
            )
        settle_number(self, "entropy_weight", minimum=0.0)

    @property
    def loss_weights(self) -> dict[str, float]:
        return {**super().loss_weights, "memory_entropy": self.entropy_weight}


@dataclass(frozen=True)
class RFTMConfig(CAEConfig):
    """A reading of RFTM, the random forgetting twin memory; `docs/method.md` says what is known of it and what is not.

    Attributes:
        hippocampus_slots, cortex_slots: Slots of the two memories; the second reads what the first returns.
        hippocampus_forgetting, cortex_forgetting: Share of the slots that are forgotten in a step of the training.
        hippocampus_top_k, cortex_top_k: Slots that a query reads.
        reintegration: What the decoder sees: what the `cortex` returns, or what `both` return, side by side.
    """

    name = "rftm"

    hippocampus_slots: int = 50
    hippocampus_forgetting: float = 0.1
    hippocampus_top_k: int = 15
    cortex_slots: int = 1000
    cortex_forgetting: float = 0.5
    cortex_top_k: int = 5
    reintegration: Reintegration = "cortex"

    def __post_init__(self) -> None:
        super().__post_init__()
        for part in ("hippocampus", "cortex"):
            slots, top_k = f"{part}_slots", f"{part}_top_k"
            settle_count(self, slots)
            settle_count(self, top_k)
            settle_number(self, f"{part}_forgetting", minimum=0.0, maximum=1.0)
            if getattr(self, top_k) > getattr(self, slots):
                raise AMSLError(
                    f"{top_k} must be at most {slots}. Received: {getattr(self, top_k)} and {getattr(self, slots)}."
                )
        check_choice("reintegration", self.reintegration, Reintegration)


@dataclass(frozen=True)
class MNADConfig(CAEConfig):
    """MNAD (Park et al., CVPR 2020), the reconstruction variant.

    Attributes:
        num_slots: Items of the memory.
        compactness_weight: Lambda c of the objective: latents should lie near their item.
        separateness_weight: Lambda s of the objective: a latent's second item should lie farther away than its first.
    """

    name = "mnad"

    num_slots: int = 10
    compactness_weight: float = 0.01
    separateness_weight: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        settle_count(self, "num_slots", minimum=2)
        settle_number(self, "compactness_weight", minimum=0.0)
        settle_number(self, "separateness_weight", minimum=0.0)

    @property
    def loss_weights(self) -> dict[str, float]:
        weights = {"compactness": self.compactness_weight, "separateness": self.separateness_weight}
        return {**super().loss_weights, **weights}


MODELS: dict[str, type[ModelConfig]] = {
    config.name: config for config in (AMSLConfig, MemAEConfig, RFTMConfig, MNADConfig, CAEConfig)
}
