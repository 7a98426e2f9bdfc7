"""Settings of a detector: frozen, validated when made, and the same after a trip through JSON.

The settings of the networks are in `amsl_tf.model_config`.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from amsl_tf.checks import check_choice, settle_count, settle_number
from amsl_tf.errors import AMSLError
from amsl_tf.model_config import MODELS, AMSLConfig, ModelConfig

MixedPrecision = Literal["auto", "off", "bfloat16", "float16"]
Score = Literal["nearest_normal", "reconstruction"]
ScoringPrecision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class TrainingConfig:
    """How the network is trained.

    Attributes:
        epochs: Passes over the training windows.
        batch_size: Windows in a step.
        learning_rate: Of Adam.
        validation_share: Share of the windows held back to choose the best epoch; with groups, one whole group is held back.
        mixed_precision: `auto` takes what the device computes fast.
        seed: Fixes the initial weights, the order, the views, the dropout and what a memory forgets.
    """

    epochs: int = 100
    batch_size: int = 16
    learning_rate: float = 1e-3
    validation_share: float = 0.2
    mixed_precision: MixedPrecision = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        settle_count(self, "epochs")
        settle_count(self, "batch_size")
        settle_number(self, "learning_rate", minimum=0.0, above=True)
        settle_number(self, "validation_share", minimum=0.0, maximum=1.0, above=True)
        check_choice("mixed_precision", self.mixed_precision, MixedPrecision)
        settle_count(self, "seed", minimum=0)
        if self.seed >= 2**31:
            raise AMSLError(f"seed must be below 2**31. Received: {self.seed}.")


@dataclass(frozen=True)
class DetectorConfig:
    """Everything a detector is made from.

    Attributes:
        model: The network and its objective, one of `MODELS`.
        training: How it is trained.
        score: The score that decides: `nearest_normal`, or the paper's `reconstruction`.
        percentile: The threshold is this percentile, at least 50 and below 100, of the scores of normal training windows; with
            groups, the median of the groups' percentiles.
        scoring_precision: What the network computes in when it scores; scorers and thresholds are fitted to the same.
        bank_size: Training windows that the nearest-normal score keeps, at most, but at least one of each group; memory and
            time of scoring grow with it.
        axes: Consecutive channels that are the axes of one sensor, such as 3 for accelerometers in x, y and z: scores then look
            at norms too, which do not depend on how a sensor is turned.
        channel_names: Of all channels, in order, for people who read what the detector says, and to find the columns of tables;
            none if not known.
    """

    model: ModelConfig = field(default_factory=AMSLConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    score: Score = "nearest_normal"
    percentile: float = 98.0
    scoring_precision: ScoringPrecision = "float32"
    bank_size: int = 10_000
    axes: int = 1
    channel_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if type(self.model) not in MODELS.values():
            raise AMSLError(f"model must be a configuration such as AMSLConfig(). Received: {self.model!r}.")
        if not isinstance(self.training, TrainingConfig):
            raise AMSLError(f"training must be a TrainingConfig. Received: {self.training!r}.")
        check_choice("score", self.score, Score)
        check_choice("scoring_precision", self.scoring_precision, ScoringPrecision)
        settle_number(self, "percentile", minimum=50.0, maximum=100.0)
        settle_count(self, "bank_size", minimum=2)
        settle_count(self, "axes")
        names = self.channel_names
        if isinstance(names, str) or not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
            raise AMSLError(f"channel_names must be a list of names, as in ['x', 'y']. Received: {names!r}.")
        object.__setattr__(self, "channel_names", tuple(names))
        if len(set(self.channel_names)) < len(self.channel_names):
            raise AMSLError(f"channel_names must differ from each other. Received: {names!r}.")

    @classmethod
    def from_settings(cls, model: str = AMSLConfig.name, **settings: Any) -> "DetectorConfig":
        """The defaults with some settings changed, whichever of the three parts they belong to.

        Args:
            model: The network's name in `MODELS`, which decides what settings it has.
            settings: Of the network, of `TrainingConfig` and of the detector.

        Raises:
            AMSLError: A setting is unknown or its value cannot be used.
        """
        if not isinstance(model, str) or model not in MODELS:
            raise AMSLError(f"model must be one of {', '.join(MODELS)}. Received: {model!r}.")
        homes = {**_SETTINGS, **{item.name: "model" for item in fields(MODELS[model])}}
        parts: dict[str, dict[str, Any]] = {"model": {}, "training": {}, "detector": {}}
        for name, value in settings.items():
            home = homes.get(name)
            if home is None:
                raise AMSLError(f"there is no setting {name!r} of {model}; the settings are {', '.join(sorted(homes))}.")
            parts[home][name] = value
        return cls(model=MODELS[model](**parts["model"]), training=TrainingConfig(**parts["training"]), **parts["detector"])

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "model": self.model.to_dict()}

    def flat(self) -> dict[str, Any]:
        """All settings but the names of channels, for people and tables: lists as words with spaces between."""
        values = self.to_dict()
        model = values.pop("model")
        flat = {"model": model.pop("name"), **model, **values.pop("training"), **values}
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
            model = {**flat.pop("model")}
            return cls.from_settings(model.pop("name"), **model, **flat.pop("training"), **flat)
        except (KeyError, TypeError, AttributeError) as error:
            raise AMSLError(
                f"a detector's settings need the parts model, with a name, and training. Received: {values!r} ({error})."
            ) from error


_SETTINGS = {
    **{item.name: "training" for item in fields(TrainingConfig)},
    **{item.name: "detector" for item in fields(DetectorConfig) if item.name not in ("model", "training")},
}
