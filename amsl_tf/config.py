"""Settings of a detector: frozen, validated when made, and the same after a trip through JSON.

The defaults are the values of the paper, where it has them (section and equation numbers refer to arXiv 2201.00464).
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, Literal, get_args

from amsl_tf.errors import AMSLError
from amsl_tf.views import VIEW_NAMES

Memory = Literal["none", "global", "local", "both"]
MixedPrecision = Literal["auto", "off", "bfloat16", "float16"]
Score = Literal["nearest_normal", "reconstruction"]
ScoringPrecision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class ModelConfig:
    """The network and its objective.

    Attributes:
        views: Names of the views, a non-empty subset of `VIEW_NAMES` in that order.
        memory: Which memories are read: `both` is AMSL, `global` GMSL, `local` LMSL, `none` the plain autoencoder (CAE).
        self_supervision: Whether a classifier guesses the view.
        skip: Whether a decoder sees the latent beside what the memories return.
        num_slots: Slots of each memory.
        classification_weight: Lambda 1 of the objective, the weight of the view classification.
        entropy_weight: Lambda 2 of the objective, the weight of the attention's entropy.
    """

    views: tuple[str, ...] = VIEW_NAMES
    memory: Memory = "both"
    self_supervision: bool = True
    skip: bool = True
    num_slots: int = 500
    classification_weight: float = 1.0
    entropy_weight: float = 0.0002

    def __post_init__(self) -> None:
        if isinstance(self.views, str) or not isinstance(self.views, Iterable):
            raise AMSLError(f"views must be a list of names, as in ['raw', 'noise']. Received: {self.views!r}.")
        object.__setattr__(self, "views", tuple(self.views))
        in_order = tuple(name for name in VIEW_NAMES if name in self.views)
        if not self.views or self.views != in_order:
            raise AMSLError(
                f"views must be one or more of {', '.join(VIEW_NAMES)}, in this order. Received: {list(self.views)}."
            )
        _check_choice("memory", self.memory, Memory)
        _check_flag("self_supervision", self.self_supervision)
        _check_flag("skip", self.skip)
        _settle_count(self, "num_slots")
        _settle_number(self, "classification_weight", minimum=0.0)
        _settle_number(self, "entropy_weight", minimum=0.0)
        if self.memory == "none" and not self.skip:
            raise AMSLError("memory='none' needs skip=True: without memories and without skip a decoder would have no input.")

    @property
    def has_memory(self) -> bool:
        return self.memory != "none"


@dataclass(frozen=True)
class TrainingConfig:
    """How the network is trained.

    Attributes:
        epochs: Passes over the training windows.
        batch_size: Windows in a step.
        learning_rate: Of Adam.
        validation_share: Share of the windows held back to choose the best epoch; with groups, one whole group is held back.
        mixed_precision: `auto` takes what the device computes fast.
        seed: Fixes the initial weights, the order, the dropout and the views.
    """

    epochs: int = 100
    batch_size: int = 16
    learning_rate: float = 1e-3
    validation_share: float = 0.2
    mixed_precision: MixedPrecision = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        _settle_count(self, "epochs")
        _settle_count(self, "batch_size")
        _settle_number(self, "learning_rate", minimum=0.0, above=True)
        _settle_number(self, "validation_share", minimum=0.0, maximum=1.0, above=True)
        _check_choice("mixed_precision", self.mixed_precision, MixedPrecision)
        _settle_count(self, "seed", minimum=0)
        if self.seed >= 2**31:
            raise AMSLError(f"seed must be below 2**31. Received: {self.seed}.")


@dataclass(frozen=True)
class DetectorConfig:
    """Everything a detector is made from.

    Attributes:
        model: The network and its objective.
        training: How it is trained.
        score: The score that decides: `nearest_normal`, or the paper's `reconstruction`.
        percentile: The threshold is this percentile of the scores of normal training windows; with groups, the median of
            the groups' percentiles.
        scoring_precision: What the network computes in when it scores; scorers and thresholds are fitted to the same.
        bank_size: Training windows that the nearest-normal score keeps, at most, but at least one of each group; memory and
            time of scoring grow with it.
        axes: Consecutive channels that are the axes of one sensor, such as 3 for accelerometers in x, y and z: scores then look
            at norms too, which do not depend on how a sensor is turned.
        channel_names: Of all channels, in order, for people who read what the detector says; none if not known.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    score: Score = "nearest_normal"
    percentile: float = 98.0
    scoring_precision: ScoringPrecision = "float32"
    bank_size: int = 10_000
    axes: int = 1
    channel_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_choice("score", self.score, Score)
        _check_choice("scoring_precision", self.scoring_precision, ScoringPrecision)
        _settle_number(self, "percentile", minimum=0.0, maximum=100.0, above=True)
        _settle_count(self, "bank_size", minimum=2)
        _settle_count(self, "axes")
        names = self.channel_names
        if isinstance(names, str) or not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
            raise AMSLError(f"channel_names must be a list of names, as in ['x', 'y']. Received: {names!r}.")
        object.__setattr__(self, "channel_names", tuple(names))

    @classmethod
    def from_settings(cls, **settings: Any) -> "DetectorConfig":
        """The defaults with some settings changed, whichever of the three parts they belong to.

        Raises:
            AMSLError: A setting is unknown or its value cannot be used.
        """
        parts: dict[str, dict[str, Any]] = {"model": {}, "training": {}, "detector": {}}
        for name, value in settings.items():
            home = _SETTINGS.get(name)
            if home is None:
                raise AMSLError(f"there is no setting {name!r}; the settings are {', '.join(sorted(_SETTINGS))}.")
            parts[home][name] = value
        return cls(model=ModelConfig(**parts["model"]), training=TrainingConfig(**parts["training"]), **parts["detector"])

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def flat(self) -> dict[str, Any]:
        """All settings but the names of channels, for people and tables: lists as words with spaces between."""
        values = self.to_dict()
        flat = {**values.pop("model"), **values.pop("training"), **values}
        del flat["channel_names"]
        return {name: " ".join(value) if isinstance(value, tuple) else value for name, value in flat.items()}

    @classmethod
    def from_dict(cls, values: Any) -> "DetectorConfig":
        """The inverse of `to_dict`, also after a trip through JSON.

        Raises:
            AMSLError: A setting is missing its place, is unknown or cannot be used.
        """
        try:
            flat = {**values}
            return cls.from_settings(**flat.pop("model"), **flat.pop("training"), **flat)
        except (KeyError, TypeError, AttributeError) as error:
            raise AMSLError(
                f"a detector's settings need the parts model and training. Received: {values!r} ({error})."
            ) from error


_SETTINGS = {
    **{item.name: "model" for item in fields(ModelConfig)},
    **{item.name: "training" for item in fields(TrainingConfig)},
    **{item.name: "detector" for item in fields(DetectorConfig) if item.name not in ("model", "training")},
}


def _check_choice(name: str, value: Any, choices: Any) -> None:
    if value not in get_args(choices):
        raise AMSLError(f"{name} must be one of {', '.join(get_args(choices))}. Received: {value!r}.")


def _check_flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise AMSLError(f"{name} must be True or False. Received: {value!r}.")


def _settle_count(config: Any, name: str, minimum: int = 1) -> None:
    """Makes a setting an int of at least `minimum`, from any integer type."""
    value = getattr(config, name)
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise AMSLError(f"{name} must be an integer of at least {minimum}. Received: {value!r}.")
    object.__setattr__(config, name, int(value))


def _settle_number(config: Any, name: str, minimum: float, maximum: float = math.inf, above: bool = False) -> None:
    """Makes a setting a float, `minimum <= value < maximum`, or strictly above the minimum where asked, from any real type."""
    value = getattr(config, name)
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not minimum <= value < maximum or (above and value == minimum):
        limits = f"{'above' if above else 'at least'} {minimum:g}" + (f" and below {maximum:g}" if maximum < math.inf else "")
        raise AMSLError(f"{name} must be a number {limits}. Received: {value!r}.")
    object.__setattr__(config, name, float(value))
