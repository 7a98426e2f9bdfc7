"""The manifests for Ray on a cloud and on Kubernetes, validated without either."""

import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement

from amsl_tf.cli import COMMANDS
from amsl_tf.cli.common import Parser
from tests.conftest import ROOT

try:
    import tomllib
except ImportError:  # before Python 3.11
    import tomli as tomllib

FOLDER = ROOT / "examples/ray"
PAGE = (ROOT / "docs/scale.md").read_text()
INSTALL = 'pip install "$(echo /home/ray/wheels/amsl_tf-*.whl)[scale]"'
NO_TELEMETRY = {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"}


def read(name):
    return yaml.safe_load((FOLDER / name).read_text())


def parse(command):
    """Parses a command line as `amsl` does."""
    program, name, *words = shlex.split(command)
    assert program == "amsl"
    parser = Parser("", prog=f"amsl {name}")
    import_module(COMMANDS[name].module).add_arguments(parser)
    return parser.parse_args(words)


def base_image():
    (image,) = re.findall(r"^FROM (\S+)$", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    return image


def test_the_images_have_one_version_of_ray_which_the_package_accepts():
    version, python = re.fullmatch(r"rayproject/ray:(\d+\.\d+\.\d+)-py3(\d+)", base_image()).groups()
    assert read("cluster.yaml")["docker"]["image"] == base_image()
    assert read("rayjob.yaml")["spec"]["rayClusterSpec"]["rayVersion"] == version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (ray,) = (item for item in map(Requirement, project["optional-dependencies"]["scale"]) if item.name == "ray")
    assert version in ray.specifier
    assert f"3.{python}" in Requirement(f"python{project['requires-python']}").specifier


def test_the_image_holds_the_package_and_its_extra():
    lines = (FOLDER / "Dockerfile").read_text().splitlines()
    assert lines[1] == "COPY dist/amsl_tf-*.whl /home/ray/wheels/"
    assert lines[2].removeprefix("RUN ").replace("--no-cache-dir ", "") == INSTALL


def test_the_cluster_is_valid_for_ray():
    ray = pytest.importorskip("ray")
    schema = json.loads((Path(ray.__file__).parent / "autoscaler/ray-schema.json").read_text())
    validator = jsonschema.Draft7Validator(schema)
    validator.validate(read("cluster.yaml"))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**read("cluster.yaml"), "setup_command": []})
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(read("cluster.yaml"))
    validate_config(prepared)
    assert prepared["worker_setup_commands"] == [INSTALL]
    assert prepared["head_setup_commands"][0] == INSTALL
    assert prepared["available_node_types"]["head"]["max_workers"] == 0


def test_the_cluster_starts_workers_on_demand_and_none_on_the_head():
    cluster = read("cluster.yaml")
    types = cluster["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0}
    assert types["worker"]["min_workers"] == 0
    assert types["worker"]["max_workers"] == cluster["max_workers"]
    assert "--env RAY_USAGE_STATS_ENABLED=0" in cluster["docker"]["run_options"]
    assert cluster["file_mounts"] == {"/home/ray/wheels": "dist"}
    assert "pip wheel --no-deps -w dist ." in PAGE


def test_the_command_of_the_job():
    job = read("rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["spec"]["shutdownAfterJobFinishes"]
    head = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    (container,) = head["containers"]
    (mount,) = container["volumeMounts"]
    arguments = parse(job["spec"]["entrypoint"])
    assert arguments.engine == "ray"
    assert [str(recording) for recording in arguments.recordings] == ["s3://my-bucket/recordings"]
    for path in (arguments.detector, arguments.output, arguments.events):
        assert Path(path).is_relative_to(mount["mountPath"])  # lost with the cluster otherwise
    assert mount["name"] in {volume["name"] for volume in head["volumes"]}
    (workers,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    (worker,) = workers["template"]["spec"]["containers"]
    assert int(arguments.workers) == workers["replicas"] * int(worker["resources"]["limits"]["cpu"])


def test_the_containers_of_the_job():
    job = read("rayjob.yaml")
    cluster = job["spec"]["rayClusterSpec"]
    head, *workers = (group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]))
    ports = {port["name"]: port["containerPort"] for port in head["containers"][0]["ports"]}
    assert ports == {"gcs-server": 6379, "dashboard": 8265, "client": 10001}  # those of ray start
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    assert [pod["containers"][0]["name"] for pod in (head, *workers)] == ["ray-head", "ray-worker"]
    for pod in (head, *workers):
        (container,) = pod["containers"]
        assert container["image"] == f"registry.example.com/amsl:ray-{cluster['rayVersion']}"
        assert f"-t {container['image']} ." in (FOLDER / "rayjob.yaml").read_text()  # how it is built
        assert NO_TELEMETRY in container["env"]
        assert container["resources"]["requests"] == container["resources"]["limits"]


def test_the_commands_of_the_page():
    commands = re.findall(r'^    ray exec \S+ "(.+)"$', PAGE, re.MULTILINE)
    assert len(commands) == 1
    arguments = parse(commands[0])
    assert (arguments.engine, arguments.address) == ("ray", "auto")
    copied = dict(re.findall(r"^    ray (rsync-\w+) examples/ray/cluster.yaml (.+)$", PAGE, re.MULTILINE))
    assert copied["rsync-up"].split()[1].rstrip("/") == str(arguments.detector)
    assert copied["rsync-down"].split()[0] == str(arguments.events)
