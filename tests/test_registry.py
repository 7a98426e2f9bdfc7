"""Registries: lookup, errors, and for each registry a part that a user adds."""

import sys
import types
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf

from amsl_tf import (
    DATASETS,
    FEATURES,
    NETWORKS,
    SCORES,
    VIEWS,
    AMSLConfig,
    AMSLDetector,
    CAEConfig,
    Dataset,
    Score,
    View,
    load_dataset,
)
from amsl_tf.checks import setting
from amsl_tf.cli import COMMANDS, Command, main
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.registry import Registry
from amsl_tf.scoring.members.nearest_normal import NearestNormal
from amsl_tf.stages.preprocessing import preprocess
from amsl_tf.views import PAPER_VIEWS
from amsl_tf.views.operations import draw_for_windows

SMALL = {"epochs": 1, "mixed_precision": "off"}


@pytest.fixture
def register():
    """Registers parts for the duration of a test."""
    added = []

    def add(registry, name, part):
        registry.register(name, part)
        added.append((registry, name))

    yield add
    for registry, name in added:
        registry.unregister(name)


def module(name, **contents):
    """Creates a module of a user's package."""
    created = types.ModuleType(name)
    vars(created).update(contents)
    sys.modules[name] = created
    return created


def test_parts_are_imported_on_first_use():
    registry = Registry("part", {"ordered": "collections:OrderedDict", "missing": "no_such_package:part"})
    assert list(registry) == ["ordered", "missing"]
    assert len(registry) == 2
    assert registry["ordered"].__name__ == "OrderedDict"
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        registry["missing"]


def test_errors_list_the_registered_names():
    registry = Registry("colour", {"red": 1})
    with pytest.raises(AMSLError, match=r"colour must be one of red\. Received: 'blue'"):
        registry["blue"]
    with pytest.raises(AMSLError, match="colour must be one of red"):
        registry[["red"]]
    with pytest.raises(AMSLError, match="the colour 'red' is registered already"):
        registry.register("red", 2)


@pytest.mark.parametrize("registry", [VIEWS, NETWORKS, FEATURES, SCORES, DATASETS, COMMANDS], ids=lambda item: item._kind)
@pytest.mark.parametrize("part", [5, None, object()])
def test_parts_of_another_kind_are_errors(registry, part):
    with pytest.raises(AMSLError, match=rf"a {registry._kind} must have the attributes .*Received: "):
        registry.register("mine", part)
    with pytest.raises(AMSLError, match=r"'package.module:attribute'"):
        registry.register("mine", "math.pi")
    registry.register("mine", "math:pi")
    try:
        with pytest.raises(AMSLError, match=f"a {registry._kind} must have the attributes"):
            registry["mine"]
    finally:
        registry.unregister("mine")


@pytest.mark.parametrize("registry", [VIEWS, NETWORKS, FEATURES, SCORES, DATASETS, COMMANDS], ids=lambda item: item._kind)
def test_registered_parts_can_be_imported(registry):
    assert all(getattr(registry[name], "name", name) == name for name in registry)


def test_user_view(register, waves):
    """The view has random draws of its own; the draws of the other views do not change."""
    before = draw_for_windows(3, 2, tf.range(4), (24, 3), PAPER_VIEWS)
    module(
        "user_shifted",
        transform=lambda windows, draw: windows + draw[:, None, None],
        draw=lambda seed, shape: tf.random.stateless_uniform((), seed),
    )
    register(VIEWS, "shifted", View("shifted", "sh", "user_shifted"))
    after = draw_for_windows(3, 2, tf.range(4), (24, 3), VIEWS)
    assert len(np.unique(after.pop("shifted"))) == 4
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name])
    detector = AMSLDetector(AMSLConfig(views=["raw", "shifted"], num_slots=3), **SMALL).fit(waves)
    assert detector.explain(waves[:2]).view_error.shape == (2, 2)
    assert AMSLConfig().views == PAPER_VIEWS


@dataclass(frozen=True)
class Doubled(CAEConfig):
    """A user's network, whose decoder sees the latent and a multiple of it."""

    name = "doubled"

    factor: float = 2.0

    def bottleneck(self, latent, *, dtype, seeds):
        return keras.ops.concatenate([latent, self.factor * latent], axis=-1), {}


def test_user_network_by_name_and_as_a_configuration(register, waves, tmp_path):
    detector = AMSLDetector(Doubled(latent_features=4, factor=3.0), **SMALL).fit(waves)
    with pytest.raises(AMSLError, match=r"must be registered before .*: NETWORKS.register\('doubled', Doubled\)"):
        detector.save(tmp_path / "saved")
    NETWORKS.register("doubled", Doubled)
    try:
        detector.save(tmp_path / "saved")
        loaded = AMSLDetector.load(tmp_path / "saved")
        assert AMSLDetector("doubled").config.network == Doubled()
    finally:
        NETWORKS.unregister("doubled")
    assert loaded.network == Doubled(latent_features=4, factor=3.0)
    np.testing.assert_array_equal(loaded.decision_function(waves), detector.decision_function(waves))
    with pytest.raises(AMSLError, match=r"config.json: network must be one of .* Received: 'doubled'.* Register the parts"):
        AMSLDetector.load(tmp_path / "saved")


def test_network_with_the_inherited_name_of_another_is_not_saved(waves, tmp_path):
    """It would be loaded as the other network."""

    @dataclass(frozen=True)
    class Unnamed(CAEConfig):
        pass

    detector = AMSLDetector(Unnamed(latent_features=2), **SMALL).fit(waves)
    with pytest.raises(AMSLError, match="Received: Unnamed with the name 'cae'"):
        detector.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_settings_of_a_user_network_are_command_line_options(register, capsys):
    @dataclass(frozen=True)
    class Configurable(CAEConfig):
        name = "configurable"

        factor: float = setting(2.0, "factor of the latent")

    register(NETWORKS, "configurable", Configurable)
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "factor of the latent (configurable: 2.0)" in " ".join(capsys.readouterr().out.split())


class LargestRange(Score):
    """A user's score: the maximum of a user's feature."""

    features = ("range",)

    def fit(self, evidence, groups=None):
        self._scale = np.asarray(evidence.features["range"]).mean()
        return self.score(evidence).numpy()

    def score(self, evidence):
        return tf.cast(tf.reduce_max(evidence.features["range"], axis=1) / self._scale, tf.float32)

    def state(self):
        return {"scale": self._scale}

    def restore(self, state):
        self._scale = state["scale"]


def test_user_score_with_user_feature(register, detector, waves, tmp_path):
    detector.save(tmp_path / "before")
    register(FEATURES, "range", lambda inputs: tf.reduce_max(inputs.windows, axis=1) - tf.reduce_min(inputs.windows, axis=1))
    register(SCORES, "largest_range", LargestRange)
    assert AMSLDetector.load(tmp_path / "before").config_ == detector.config_  # saved before the score was registered
    detector = AMSLDetector("cae", score="largest_range", **SMALL).fit(waves)
    ranges = np.ptp(waves, axis=1)
    np.testing.assert_allclose(detector.decision_function(waves), ranges.max(axis=1) / ranges.mean(), rtol=1e-5)
    detector.save(tmp_path / "saved")
    loaded = AMSLDetector.load(tmp_path / "saved")
    np.testing.assert_allclose(loaded.decision_function(3 * waves), 3 * detector.decision_function(waves), rtol=1e-5)
    assert loaded.detect(waves[:2]).keys() == {"score", "is_anomaly", "valid"}


def test_user_feature_in_the_nearest_normal_score(register, waves):
    class WithLevels(NearestNormal):
        features = (*NearestNormal.features, "level")

    register(FEATURES, "level", lambda inputs: tf.reduce_mean(inputs.windows, axis=1))
    register(SCORES, "with_levels", WithLevels)
    detector = AMSLDetector("cae", score="with_levels", **SMALL).fit(waves)
    assert detector.pipeline.scores["with_levels"].weights.keys() == {"error", "latent", "signal", "level"}
    assert np.isfinite(detector.decision_function(waves)).all()


class Ramps(Dataset):
    """A user's data set: eight windows in one file."""

    window_shape = (16, 2)
    sampling_rate = 10.0
    axes = 2
    channel_names = ("x", "y")
    titles = types.MappingProxyType({"up": "rising"})

    def index(self):
        return {"activity": np.repeat(["up", "down"], 4), "label": np.repeat([0, 1], 4)}

    def read(self):
        windows = np.load(self.folder / "ramps.npy")
        yield from (windows[:3], windows[3:])


def test_user_dataset(register, tmp_path):
    register(DATASETS, "ramps", Ramps)
    windows = np.arange(8 * 16 * 2, dtype=np.float32).reshape(8, 16, 2)
    np.save(tmp_path / "ramps.npy", windows)
    loaded = load_dataset("ramps", tmp_path)
    np.testing.assert_array_equal(loaded.x, windows)
    assert loaded.label.tolist() == [0] * 4 + [1] * 4
    shapes = preprocess(tmp_path, tmp_path / "out", "ramps")
    assert shapes == {"normal": (4, 16, 2), "abnormal": (4, 16, 2)}
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "abnormal.npy"), windows[4:])
    assert (tmp_path / "out" / "normal.csv").read_text().split() == ["activity", *["up"] * 4]
    Ramps.window_shape = (32, 1)
    with pytest.raises(DataError, match=r"expected an array of shape \(4, 32, 1\)"):
        preprocess(tmp_path, tmp_path / "wrong", "ramps")
    assert not (tmp_path / "wrong").exists()
    assert '"up": "rising"' in (tmp_path / "out" / "sensors.json").read_text()


def test_user_command(register, capsys):
    module(
        "user_greet",
        __doc__="Greets.",
        add_arguments=lambda parser: parser.add_argument("--name", default="you"),
        run=lambda arguments, parser: parser.print_result(f"hello {arguments.name}", {"name": arguments.name}),
    )
    register(COMMANDS, "greet", Command("greet somebody", "user_greet"))
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "greet somebody" in capsys.readouterr().out
    main(["greet", "--name", "world"])
    main(["greet", "--json"])
    main(["greet", "--quiet"])
    assert capsys.readouterr().out == 'hello world\n{"name": "you"}\n'


@pytest.mark.parametrize("name", ["my.score", "", "my score", 3])
def test_names_are_identifiers(name):
    """A dot would separate parts in the files of a saved detector."""
    with pytest.raises(AMSLError, match="the name of a score must be an identifier"):
        SCORES.register(name, LargestRange)
