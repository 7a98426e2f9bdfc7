"""The settings of a detector: frozen, validated dataclasses that round-trip through JSON."""

import reprlib
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from amsl_tf.checks import (
    check_choice,
    check_number,
    check_seed,
    convert_count,
    convert_names,
    convert_number,
    convert_numbers,
    setting,
)
from amsl_tf.errors import AMSLError
from amsl_tf.networks import NETWORKS, NetworkConfig
from amsl_tf.networks.amsl import AMSLConfig

MixedPrecision = Literal["auto", "off", "bfloat16", "float16"]
ScoringPrecision = Literal["float32", "bfloat16"]
OnDeadChannel = Literal["flag", "ignore"]
DEFAULT_SCORE = "ensemble"
NOISE = (20.0, 10.0)  # of the score `ensemble`, in decibels
ENSEMBLE = ("levels", "powers", "kernels")  # the members of the score `ensemble`
MOST_DECIBELS = 100.0  # float32 holds no more
SMALLEST_RATE, LARGEST_RATE = 1e-6, 0.5  # of false alarms
SMALLEST_SIZE = 2  # of a network in a preset: MNAD needs two slots


@dataclass(frozen=True)
class Preset:
    """The size of a detector.

    Attributes:
        divisor: The number that the sizes of the network of the paper are divided by.
        epochs: The number of passes over the training windows.
    """

    divisor: int
    epochs: int

    def make_network(self, network: type[NetworkConfig], **settings: Any) -> NetworkConfig:
        """Makes the configuration of a network.

        Args:
            network: The class of the configuration.
            settings: Settings that override the preset.

        Returns:
            The configuration. Its default sizes are divided, but at least 2 and at most the default.

        Raises:
            AMSLError: A setting has an invalid value.
        """
        sizes: dict[str, Any] = {item.name: item.default for item in fields(network) if item.metadata.get("is_size")}
        divided: dict[str, Any] = {name: min(size, max(SMALLEST_SIZE, size // self.divisor)) for name, size in sizes.items()}
        return network(**(divided | settings))


PRESETS = {"paper": Preset(divisor=1, epochs=100), "compact": Preset(divisor=8, epochs=4)}


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of a training run.

    Attributes:
        epochs: The number of passes over the training windows.
        batch_size: The number of windows in a step.
        learning_rate: The learning rate of Adam.
        validation_share: The share of the windows, or of the groups where groups are given, that is held out to choose the best
            epoch.
        mixed_precision: The precision of training; `auto` selects the fastest one that the hardware supports.
        seed: The seed of initial weights, order, views, dropout and forgetting.
    """

    epochs: int = setting(100, "passes over the training windows")
    batch_size: int = setting(16, "windows in a step")
    learning_rate: float = setting(1e-3, "learning rate of the optimizer, Adam")
    validation_share: float = setting(0.2, "share of the windows, or of the subjects, that is held out for validation")
    mixed_precision: MixedPrecision = setting("auto", "precision of training; auto selects the fastest one of the hardware")
    seed: int = setting(0, "seed of initial weights, order, dropout and forgetting")

    def __post_init__(self) -> None:
        convert_count(self, "epochs")
        convert_count(self, "batch_size")
        convert_number(self, "learning_rate", minimum=0.0, exclusive=True)
        convert_number(self, "validation_share", minimum=0.0, maximum=1.0, exclusive=True)
        check_choice("mixed_precision", self.mixed_precision, get_args(MixedPrecision))
        object.__setattr__(self, "seed", check_seed(self.seed))


@dataclass(frozen=True)
class DetectorConfig:
    """All settings of a detector.

    Attributes:
        network: The network and its objective; None for a detector without one.
        training: The training of the network.
        score: The name of the decision score in `amsl_tf.scoring.SCORES`; `reconstruction` is the score of the paper.
        extra_scores: Further scores that are fitted, reported and saved, but do not affect the decision.
        members: The names of the members of the score `ensemble`, in `amsl_tf.scoring.ensemble.MEMBERS`.
        noise: The signal-to-noise ratios, in decibels, of the noisy copies of normal windows in the bank of the score
            `ensemble`. The signal is the variance of a channel over all windows.
        contamination: The share of normal training windows above the threshold, from 1e-6 to 0.5; with groups, the threshold is
            the median of the thresholds of the groups.
        scoring_precision: The precision of the network when it scores; scores and thresholds are fitted in the same precision.
        bank_size: The maximum number of training windows in the bank of the scores `nearest_normal`, but at least one of each
            group, and `ensemble`, which also keeps noisy copies; memory and time of scoring grow with it.
        on_dead_channel: Whether a window counts as abnormal because a channel is dead, stuck or saturated (`flag`), or by its
            score alone (`ignore`).
        axes: The number of consecutive channels that are the axes of one sensor, such as 3 for accelerometers: scores then use
            their norms, which do not depend on the orientation of a sensor.
        channel_names: The names of all channels, in order, for reports and to find the columns of tables; may be empty.
    """

    network: NetworkConfig | None = field(default_factory=AMSLConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    score: str = DEFAULT_SCORE
    extra_scores: tuple[str, ...] = ()
    members: tuple[str, ...] = ENSEMBLE
    noise: tuple[float, ...] = NOISE
    contamination: float = 0.02
    scoring_precision: ScoringPrecision = setting("float32", "precision of scoring")
    bank_size: int = setting(10_000, "maximum number of training windows in the bank of a score")
    on_dead_channel: OnDeadChannel = setting("flag", "whether a dead, stuck or saturated channel makes a window abnormal")
    axes: int = 1
    channel_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.network, NetworkConfig | None):
            raise AMSLError(f"network must be a configuration such as AMSLConfig(), or None. Received: {self.network!r}.")
        if not isinstance(self.training, TrainingConfig):
            raise AMSLError(f"training must be a TrainingConfig. Received: {self.training!r}.")
        if not isinstance(self.score, str):
            raise AMSLError(f"score must be the name of a score. Received: {self.score!r}.")
        convert_names(self, "extra_scores")
        convert_names(self, "members")
        if not self.members:
            raise AMSLError("members must name one or more members of the ensemble. Received: none.")
        convert_numbers(self, "noise", -MOST_DECIBELS, MOST_DECIBELS)
        if self.score in self.extra_scores:
            raise AMSLError(f"extra_scores must differ from score. Received: {self.score!r} in both.")
        check_choice("scoring_precision", self.scoring_precision, get_args(ScoringPrecision))
        check_choice("on_dead_channel", self.on_dead_channel, get_args(OnDeadChannel))
        object.__setattr__(self, "contamination", check_rate("contamination", self.contamination))
        convert_count(self, "bank_size", minimum=2)
        convert_count(self, "axes")
        convert_names(self, "channel_names")

    @property
    def scores(self) -> tuple[str, ...]:
        """The names of all scores, the decision score first."""
        return (self.score, *self.extra_scores)

    @property
    def views(self) -> tuple[str, ...]:
        """The names of the views of the network; none without a network."""
        return () if self.network is None else self.network.views

    @property
    def percentile(self) -> float:
        """The percentile of normal scores that is the threshold, from 50 to 99.9999."""
        return to_percentile(self.contamination)

    @classmethod
    def from_settings(cls, network: Any = AMSLConfig.name, preset: str = "paper", **settings: Any) -> "DetectorConfig":
        """Builds a configuration from flat settings.

        Args:
            network: The name of the network, which decides which settings it has, or its configuration; None, or "none" where
                settings are text, for a detector without a network.
            preset: The name of a preset in `PRESETS`, for the epochs, and for the sizes of a network that is given by name.
            settings: Settings of the network, unless it is given as a configuration, of `TrainingConfig` and of this class;
                they override the preset.

        Returns:
            The validated configuration.

        Raises:
            AMSLError: A setting is unknown or has an invalid value.
        """
        check_choice("preset", preset, PRESETS)
        size = PRESETS[preset]
        parts: dict[str, dict[str, Any]] = {"network": {}, "training": {"epochs": size.epochs}, "detector": {}}
        homes = dict(_SETTINGS)
        network = None if network == "none" else network
        if not isinstance(network, NetworkConfig | None):
            if isinstance(network, type):
                raise AMSLError(f"network must be a name or a configuration: {network.__name__}(). Received: the class.")
            network = NETWORKS[network]
            homes |= {item.name: "network" for item in fields(network)}
        for name, value in settings.items():
            if name not in homes:
                known = ", ".join(sorted(homes))
                title = None if network is None else network.name
                raise AMSLError(f"unexpected parameter {name!r} for network {title!r}; the parameters are {known}.")
            parts[homes[name]][name] = value
        built = network if isinstance(network, NetworkConfig | None) else size.make_network(network, **parts["network"])
        return cls(network=built, training=TrainingConfig(**parts["training"]), **parts["detector"])

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings, ready for JSON; those of network and training are dicts of their own."""
        return {**asdict(self), "network": None if self.network is None else self.network.to_dict()}

    def flat(self) -> dict[str, Any]:
        """Returns all settings but the names of channels in one level for tables, lists as words separated by spaces."""
        values = self.to_dict()
        network = values.pop("network") or {"name": "none"}
        flat = {"network": network.pop("name"), **network, **values.pop("training"), **values}
        del flat["channel_names"]
        return {name: " ".join(map(str, value)) if isinstance(value, tuple) else value for name, value in flat.items()}

    @classmethod
    def from_dict(cls, values: Any) -> "DetectorConfig":
        """Inverts `to_dict`, also after a round trip through JSON.

        Args:
            values: The result of `to_dict`.

        Returns:
            The validated configuration.

        Raises:
            AMSLError: The settings are incomplete, unknown or invalid.
        """
        try:
            flat = {**values}
            network, training = flat.pop("network"), TrainingConfig(**flat.pop("training"))
            if network is not None:
                network = {**network}
                network = NETWORKS[network.pop("name")](**network)
            return cls(network=network, training=training, **flat)
        except (KeyError, TypeError, AttributeError) as error:
            raise AMSLError(
                f"the settings of a detector need the parts network, with a name, and training ({error}). "
                f"Received: {reprlib.repr(values)}."
            ) from error


def check_rate(name: str, value: Any) -> float:
    """Returns a false-alarm rate as a float. Raises AMSLError if it is not a number from 1e-6 to 0.5."""
    return check_number(name, value, SMALLEST_RATE, LARGEST_RATE)


def to_percentile(contamination: float) -> float:
    """Returns the percentile of the threshold for a contamination: 98 for 0.02."""
    return round(100 * (1 - contamination), 9)


def to_contamination(percentile: float) -> float:
    """Returns the contamination for a percentile of the threshold: 0.02 for 98. Raises AMSLError below 50 or above 99.9999."""
    percentile = check_number("percentile", percentile, to_percentile(LARGEST_RATE), to_percentile(SMALLEST_RATE))
    return round(1 - percentile / 100, 11)


_SETTINGS = {
    **{item.name: "training" for item in fields(TrainingConfig)},
    **{item.name: "detector" for item in fields(DetectorConfig) if item.name not in ("network", "training")},
}
