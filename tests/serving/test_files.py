"""The configuration files for TF Serving, validated without it."""

import json
import re

import jsonschema
import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tests.conftest import ROOT

FOLDER = ROOT / "docs/serving"


def message(name, **fields):
    """Builds a message class that tensorflow-serving-api lacks, from the number, type and repetition of its fields."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="here", syntax="proto3")
    file.dependency.append("google/protobuf/wrappers.proto")
    described = file.message_type.add(name=name)
    for field, (number, kind, repeated) in fields.items():
        label = 3 if repeated else 1
        if isinstance(kind, int):
            described.field.add(name=field, number=number, type=kind, label=label)
        else:
            described.field.add(name=field, number=number, type=11, type_name=kind, label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"here.{name}"))


def read(name, kind):
    return text_format.Parse((FOLDER / name).read_text(), kind())


def test_models_config():
    (model,) = read("models.config", ModelServerConfig).model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("amsl", "/models/amsl", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 2
    commented = re.sub(r"# (version_labels)", r"\1", (FOLDER / "models.config").read_text())
    (model,) = text_format.Parse(commented, ModelServerConfig()).model_config_list.config
    assert model.version_labels == {"stable": 1, "canary": 2}


def test_batching_config():
    number = ".google.protobuf.Int64Value"
    parameters = message(
        "BatchingParameters",
        max_batch_size=(1, number, False),
        batch_timeout_micros=(2, number, False),
        max_enqueued_batches=(3, number, False),
        num_batch_threads=(4, number, False),
        allowed_batch_sizes=(6, 3, True),
    )
    config = read("batching.config", parameters)
    sizes = list(config.allowed_batch_sizes)
    assert sizes == sorted(sizes)
    assert sizes[-1] == config.max_batch_size.value  # TF Serving does not start otherwise


def test_monitoring_config():
    text = (FOLDER / "monitoring.config").read_text()
    inner = re.fullmatch(r"prometheus_config \{(.*)\}\s*", text, re.DOTALL)[1]
    config = text_format.Parse(inner, message("PrometheusConfig", enable=(1, 8, False), path=(2, 9, False))())
    assert config.enable
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    assert job["metrics_path"] == config.path


def test_compose_file():
    values = yaml.safe_load((FOLDER / "docker-compose.yml").read_text())
    schema = json.loads((ROOT / "tests/serving/compose-spec.json").read_text())  # compose-spec/compose-spec, Apache License 2.0
    validator = jsonschema.Draft7Validator(schema)
    validator.validate(values)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"services": {"serving": {"imagee": "x"}}})
    service = values["services"]["serving"]
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", service["image"])
    for option in service["command"]:
        if "/config/" in option:
            assert (FOLDER / option.partition("/config/")[2]).exists()
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert (FOLDER / service["volumes"][0].partition(":")[0]).resolve() == ROOT / "saved_models/serving"
