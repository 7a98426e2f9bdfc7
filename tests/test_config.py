"""Settings: the paper's defaults, the trip through JSON, what is refused."""

import json

import numpy as np
import pytest

from amsl_tf.config import DetectorConfig, TrainingConfig
from amsl_tf.errors import AMSLError
from amsl_tf.model_config import MODELS, AMSLConfig, ModelConfig
from amsl_tf.views import VIEW_NAMES


def test_defaults_are_the_papers():
    assert DetectorConfig().to_dict() == {
        "model": {
            "name": "amsl",
            "views": ("raw", "noise", "negated", "reversed", "permuted", "scaled", "smoothed"),
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
        "score": "nearest_normal",
        "percentile": 98.0,
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
def test_defaults_of_the_networks_of_other_papers(name, settings):
    config = DetectorConfig.from_settings(name)
    assert config.to_dict()["model"] == {"name": name, "views": ("raw",), "latent_features": 64, **settings}
    assert DetectorConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.flat()["model"] == name


def test_json_round_trip():
    config = DetectorConfig.from_settings(
        views=["raw", "smoothed"], memory="global", epochs=3, score="reconstruction", skip=False
    )
    assert DetectorConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.model.views == ("raw", "smoothed")


@pytest.mark.parametrize("count", range(1, 8))
def test_first_views_are_a_subset(count):
    assert AMSLConfig(views=VIEW_NAMES[:count]).views == VIEW_NAMES[:count]


@pytest.mark.parametrize(
    ("settings", "said"),
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
        ({"score": "best"}, "nearest_normal, reconstruction"),
        ({"percentile": 100.0}, "below 100"),
        ({"percentile": 0.98}, "at least 50"),
        ({"channel_names": "xyz"}, "must be a list of names"),
        ({"channel_names": ["x", "x"]}, "must differ"),
        ({"channel_names": [1, 2]}, "must be a list of names"),
        ({"epoch": 3}, "there is no setting 'epoch' of amsl; the settings are axes,"),
        ({"latent_features": 0}, "latent_features"),
        ({"model": "vae"}, "model must be one of amsl, memae, rftm, mnad, cae. Received: 'vae'"),
        ({"model": ["amsl"]}, "model must be one of"),
        ({"model": "memae", "skip": True}, "there is no setting 'skip' of memae"),
        ({"model": "cae", "views": ["raw", "noise"]}, "the model cae takes one view"),
        ({"model": "memae", "shrink_threshold": -1.0}, "shrink_threshold"),
        ({"model": "memae", "shrink_threshold": 1.5}, "shrink_threshold must be at most 1"),
        ({"model": "memae", "num_slots": 1}, "below 1 where there is one slot"),
        (
            {"model": "rftm", "hippocampus_top_k": 51},
            "hippocampus_top_k must be at most hippocampus_slots. Received: 51 and 50",
        ),
        ({"model": "rftm", "cortex_forgetting": 1.0}, "cortex_forgetting"),
        ({"model": "rftm", "reintegration": "hippocampus"}, "cortex, both"),
        ({"model": "mnad", "num_slots": 1}, "at least 2"),
    ],
)
def test_what_cannot_be_used_is_refused(settings, said):
    with pytest.raises(AMSLError, match=said):
        DetectorConfig.from_settings(**settings)


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        {},
        {"model": {}},
        {"model": {}, "training": {}},
        {"model": {"name": "amsl"}, "training": 3},
        {"model": {"name": "amsl", "a": 1}, "training": {}},
        {"model": {"name": "vae"}, "training": {}},
    ],
)
def test_broken_settings_are_refused(values):
    with pytest.raises(AMSLError):
        DetectorConfig.from_dict(values)


def test_numbers_of_any_type_become_those_of_json():
    config = DetectorConfig.from_settings(epochs=np.int64(3), percentile=np.float32(95), learning_rate=1, channel_names=["x"])
    assert DetectorConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert (config.training.epochs, config.percentile, config.training.learning_rate) == (3, 95.0, 1.0)


def test_a_model_is_one_of_those_there_are():
    assert DetectorConfig(model=MODELS["mnad"]()).model.name == "mnad"
    for model in ("mnad", ModelConfig(), MODELS["mnad"]):
        with pytest.raises(AMSLError, match="model must be a configuration"):
            DetectorConfig(model=model)


def test_training_is_a_config():
    with pytest.raises(AMSLError, match="must be a TrainingConfig"):
        DetectorConfig(training={"epochs": 2})


def test_configs_do_not_change():
    with pytest.raises(AttributeError):
        TrainingConfig().epochs = 3
