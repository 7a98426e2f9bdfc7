"""Settings: the defaults of the papers, JSON round trips, validation."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from amsl_tf.config import DetectorConfig, TrainingConfig, check_rate, to_contamination, to_percentile
from amsl_tf.errors import AMSLError
from amsl_tf.networks import NETWORKS
from amsl_tf.networks.amsl import AMSLConfig
from amsl_tf.networks.autoencoder import CAEConfig
from amsl_tf.views import PAPER_VIEWS


def test_defaults_are_those_of_the_paper_but_for_the_score():
    assert DetectorConfig().to_dict() == {
        "network": {
            "name": "amsl",
            "views": ("raw", "noise", "negated", "reversed", "permuted", "scaled", "smoothed"),
            "filters": 32,
            "latent_features": 64,
            "memory": "both",
            "self_supervision": True,
            "skip": True,
            "num_slots": 500,
            "classification_weight": 1.0,
            "entropy_weight": 0.0002,
        },
        "training": {
            "epochs": 100,
            "batch_size": 16,
            "learning_rate": 1e-3,
            "validation_share": 0.2,
            "mixed_precision": "auto",
            "seed": 0,
        },
        "score": "ensemble",
        "on_dead_channel": "flag",
        "extra_scores": (),
        "members": ("levels", "powers", "kernels"),
        "noise": (20.0, 10.0),
        "contamination": 0.02,
        "scoring_precision": "float32",
        "bank_size": 10_000,
        "axes": 1,
        "channel_names": (),
    }


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("cae", {}),
        ("memae", {"num_slots": 500, "shrink_threshold": 1.0, "entropy_weight": 0.0002}),
        (
            "rftm",
            {
                "hippocampus_slots": 50,
                "hippocampus_forgetting": 0.1,
                "hippocampus_top_k": 15,
                "cortex_slots": 1000,
                "cortex_forgetting": 0.5,
                "cortex_top_k": 5,
                "reintegration": "cortex",
            },
        ),
        ("mnad", {"num_slots": 10, "compactness_weight": 0.01, "separateness_weight": 0.01}),
    ],
)
def test_defaults_of_the_other_networks(name, settings):
    config = DetectorConfig.from_settings(name)
    shared = {"name": name, "views": ("raw",), "filters": 32, "latent_features": 64}
    assert config.to_dict()["network"] == shared | settings
    assert DetectorConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.flat()["network"] == name


def test_preset_paper_is_the_default():
    assert DetectorConfig.from_settings(preset="paper") == DetectorConfig.from_settings() == DetectorConfig()


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("amsl", {"num_slots": 62}),
        ("cae", {}),
        ("memae", {"num_slots": 62}),
        ("rftm", {"hippocampus_slots": 6, "hippocampus_top_k": 2, "cortex_slots": 125, "cortex_top_k": 2}),
        ("mnad", {"num_slots": 2}),
    ],
)
def test_preset_compact_divides_sizes_by_eight(name, sizes):
    config = DetectorConfig.from_settings(name, preset="compact")
    assert config.network == NETWORKS[name](filters=4, latent_features=8, **sizes)
    assert config.training == TrainingConfig(epochs=4)


def test_settings_override_the_preset():
    config = DetectorConfig.from_settings(preset="compact", filters=6, epochs=2, memory="global")
    assert config.network == AMSLConfig(filters=6, latent_features=8, num_slots=62, memory="global")
    assert config.training.epochs == 2


def test_network_configuration_is_taken_as_it_is():
    config = DetectorConfig.from_settings(AMSLConfig(num_slots=5), preset="compact")
    assert config.network == AMSLConfig(num_slots=5)
    assert config.training.epochs == 4


def test_json_round_trip():
    config = DetectorConfig.from_settings(
        views=["raw", "smoothed"], memory="global", epochs=3, score="reconstruction", skip=False
    )
    assert DetectorConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.network.views == ("raw", "smoothed")


@pytest.mark.parametrize("count", range(1, 8))
def test_leading_views_are_valid(count):
    assert AMSLConfig(views=PAPER_VIEWS[:count]).views == PAPER_VIEWS[:count]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"views": []}, "views"),
        ({"views": "raw"}, "list of names"),
        ({"views": 5}, "list of names"),
        ({"views": ["noise", "raw"]}, "in this order"),
        ({"views": ["raw", "raw"]}, "in this order"),
        ({"views": ["mirrored"]}, "mirrored"),
        ({"memory": "some"}, "none, global, local, both"),
        ({"memory": "none", "skip": False}, "no input"),
        ({"num_slots": 0}, "num_slots must be an integer of at least 1. Received: 0."),
        ({"num_slots": 2**40}, "num_slots must be below 2"),
        ({"filters": 0}, "filters must be an integer of at least 1. Received: 0."),
        ({"preset": "small"}, "preset must be one of paper, compact. Received: 'small'."),
        ({"preset": None}, "preset must be one of paper, compact. Received: None."),
        ({"epochs": 2.5}, "epochs"),
        ({"epochs": True}, "epochs"),
        ({"batch_size": -1}, "batch_size"),
        ({"learning_rate": 0.0}, "above 0"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"validation_share": 1.0}, "below 1"),
        ({"mixed_precision": "float8"}, "float8"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"skip": 1}, "True or False"),
        ({"entropy_weight": -0.1}, "at least 0"),
        ({"extra_scores": ["ensemble"]}, "extra_scores must differ from score"),
        ({"extra_scores": "reconstruction"}, "extra_scores must be a list of names"),
        ({"contamination": 0.0}, "from 1e-06 to 0.5"),
        ({"contamination": 1e-12}, "contamination must be a number from 1e-06 to 0.5. Received: 1e-12."),
        ({"contamination": 0.51}, "from 1e-06 to 0.5"),
        ({"contamination": "auto"}, "contamination must be a number"),
        ({"channel_names": "xyz"}, "must be a list of names"),
        ({"channel_names": ["x", "x"]}, "must differ"),
        ({"channel_names": [1, 2]}, "must be a list of names"),
        ({"channel_names": {"x", "y"}}, "must be a list of names"),
        ({"channel_names": {"x": 1}}, "must be a list of names"),
        ({"channel_names": ["x", ""]}, "must be a list of names"),
        ({"channel_names": map(str, range(3))}, "channel_names must be a list of names"),
        ({"extra_scores": iter(["reconstruction"])}, "extra_scores must be a list of names"),
        ({"epoch": 3}, "unexpected parameter 'epoch' for network 'amsl'; the parameters are axes,"),
        ({"latent_features": 0}, "latent_features"),
        ({"network": "vae"}, "network must be one of amsl, memae, rftm, mnad, cae. Received: 'vae'"),
        ({"network": ["amsl"]}, "network must be one of"),
        ({"network": "memae", "skip": True}, "unexpected parameter 'skip' for network 'memae'"),
        ({"network": "cae", "views": ["raw", "noise"]}, "the network cae takes one view"),
        ({"network": "memae", "shrink_threshold": -1.0}, "shrink_threshold"),
        ({"network": "memae", "shrink_threshold": 1.5}, "shrink_threshold must be at most 1"),
        ({"network": "memae", "num_slots": 1}, "below 1 with one slot"),
        (
            {"network": "rftm", "hippocampus_top_k": 51},
            "hippocampus_top_k must be at most hippocampus_slots. Received: 51 and 50",
        ),
        ({"network": "rftm", "cortex_forgetting": 1.0}, "cortex_forgetting"),
        ({"network": "rftm", "reintegration": "hippocampus"}, "cortex, both"),
        ({"network": "mnad", "num_slots": 1}, "at least 2"),
    ],
)
def test_invalid_settings_are_errors(settings, message):
    with pytest.raises(AMSLError, match=message):
        DetectorConfig.from_settings(**settings)


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        {},
        {"network": {}},
        {"network": {}, "training": {}},
        {"network": {"name": "amsl"}, "training": 3},
        {"network": {"name": "amsl", "a": 1}, "training": {}},
        {"network": {"name": "vae"}, "training": {}},
    ],
)
def test_incomplete_saved_settings_are_errors(values):
    with pytest.raises(AMSLError):
        DetectorConfig.from_dict(values)


def test_numpy_numbers_become_json_numbers():
    settings = {"epochs": np.int64(3), "contamination": np.float32(0.05), "learning_rate": 1, "channel_names": ["x"]}
    config = DetectorConfig.from_settings(**settings)
    assert DetectorConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert (config.training.epochs, round(config.contamination, 6), config.training.learning_rate) == (3, 0.05, 1.0)


@dataclass(frozen=True)
class Pooled(CAEConfig):
    """A user's network, whose settings are not validated."""

    name = "pooled"

    rate: Any = 0.1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("mean"), "mean"),
        (np.array(2), 2),
        ([np.int8(1), (np.float64(0.25), None)], (1, (0.25, None))),
        ({"mean": [np.float32(0.5)]}, {"mean": (0.5,)}),
    ],
)
def test_settings_of_a_user_network_become_json_values(value, expected):
    network = Pooled(rate=value)
    assert network.rate == expected
    assert type(network.rate) is type(expected)
    assert Pooled(rate=json.loads(json.dumps(network.rate))) == network


@pytest.mark.parametrize(
    "value",
    [np.zeros((2, 3)), (1, np.zeros(2)), [object()], {1, 2}, {1: "x"}, b"x", 1j, float("nan"), [np.float32("inf")], np.mean],
)
def test_settings_of_a_user_network_that_cannot_be_saved_are_errors(value):
    with pytest.raises(AMSLError, match=r"^rate must be finite numbers, text, .* Received: .* of type \w+\.$"):
        Pooled(rate=value)


def test_network_must_be_a_configuration():
    assert DetectorConfig(network=NETWORKS["mnad"]()).network.name == "mnad"
    for network in ("mnad", NETWORKS["mnad"]):
        with pytest.raises(AMSLError, match="network must be a configuration"):
            DetectorConfig(network=network)


@pytest.mark.parametrize(("percentile", "contamination"), [(98.0, 0.02), (95, 0.05), (50, 0.5), (99.9, 0.001), (97.3, 0.027)])
def test_contamination_and_percentile_are_equivalent(percentile, contamination):
    assert to_contamination(percentile) == contamination
    assert to_percentile(contamination) == percentile


@pytest.mark.parametrize("percentile", [100.0, 99.99999, 0.98, 49.9, float("nan")])
def test_percentile_out_of_range_is_an_error(percentile):
    with pytest.raises(AMSLError, match=r"percentile must be a number from 50 to 99\.9999\. Received"):
        to_contamination(percentile)


def test_false_alarm_rates_have_one_range():
    for rate in (1e-6, 0.5):
        assert DetectorConfig(contamination=rate).contamination == check_rate("rate", rate) == rate
        assert 50 <= to_percentile(rate) < 100
    for rate in (9e-7, 0.500001):
        with pytest.raises(AMSLError, match=r"rate must be a number from 1e-06 to 0\.5"):
            check_rate("rate", rate)


def test_training_must_be_a_configuration():
    with pytest.raises(AMSLError, match="must be a TrainingConfig"):
        DetectorConfig(training={"epochs": 2})


def test_configurations_are_immutable():
    with pytest.raises(AttributeError):
        TrainingConfig().epochs = 3


@pytest.mark.parametrize("noise", ["20", 20, {20: 1}, [20, "x"], [101], [float("nan")], iter([20])])
def test_invalid_noise(noise):
    with pytest.raises(AMSLError, match="noise"):
        DetectorConfig(noise=noise)


def test_noise_is_converted():
    assert DetectorConfig(noise=np.array([20, 10])).noise == (20.0, 10.0)
