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
    DetectorConfig,
    Score,
    View,
    load_dataset,
)
from amsl_tf.checks import setting
from amsl_tf.cli import COMMANDS, Command, main
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.export.writer import export_detector
from amsl_tf.networks import build_network
from amsl_tf.registry import Registry
from amsl_tf.scoring.detection import DIAGNOSTICS
from amsl_tf.scoring.ensemble import BANK, CHANNELS, MEMBERS
from amsl_tf.scoring.ensemble.member import Member
from amsl_tf.scoring.members.base import Evidence, fit_scores, make_scores
from amsl_tf.scoring.members.nearest_normal import NearestNormal
from amsl_tf.scoring.pipeline import ScoringPipeline
from amsl_tf.stages.preprocessing import preprocess
from amsl_tf.views import PAPER_VIEWS
from amsl_tf.views.operations import check_transforms, draw_for_windows

SMALL = {"epochs": 1, "mixed_precision": "off", "score": "nearest_normal"}


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
    with pytest.raises(AMSLError, match="the part 'missing' needs the module 'no_such_package', which cannot be imported"):
        registry["missing"]


def test_errors_list_the_registered_names():
    registry = Registry("colour", {"red": 1})
    with pytest.raises(AMSLError, match=r"colour must be one of red\. Received: 'blue'"):
        registry["blue"]
    with pytest.raises(AMSLError, match="colour must be one of red"):
        registry[["red"]]
    with pytest.raises(AMSLError, match="the colour 'red' is registered already"):
        registry.register("red", 2)


@pytest.mark.parametrize(
    "registry", [VIEWS, NETWORKS, FEATURES, SCORES, MEMBERS, DATASETS, COMMANDS], ids=lambda item: item._kind
)
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


@pytest.mark.parametrize("registry", [VIEWS, NETWORKS, FEATURES, SCORES, DATASETS, COMMANDS], ids=lambda item: item._kind)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no.such:Thing", r"the module 'no\.such', which cannot be imported \(ModuleNotFoundError: No module named 'no'\)"),
        ("numpy:Thing", "'Thing' in the module 'numpy', which has no such attribute"),
        (":Thing", r"the module '', which cannot be imported \(ValueError: Empty module name\)"),
        ("user_broken:Thing", r"the module 'user_broken', which cannot be imported \(RuntimeError: no licence\)"),
    ],
)
def test_parts_that_cannot_be_imported_are_errors(registry, text, reason, register, tmp_path, monkeypatch):
    (tmp_path / "user_broken.py").write_text('raise RuntimeError("no\\nlicence")')
    monkeypatch.syspath_prepend(tmp_path)
    register(registry, "mine", text)
    with pytest.raises(AMSLError, match=f"^the {registry._kind} 'mine' needs {reason}"):
        registry["mine"]


@pytest.mark.parametrize(("registry", "part", "method"), [(SCORES, Score, "fit"), (DATASETS, Dataset, "index")])
def test_abstract_parts_are_errors(registry, part, method):
    class Unfinished(part):
        features = ()

    with pytest.raises(AMSLError, match=f"a {registry._kind} must have .*Unfinished.*, without {method}"):
        registry.register("unfinished", Unfinished)
    assert "unfinished" not in registry


@pytest.mark.parametrize(("registry", "part"), [(VIEWS, View("own", "ow", "math")), (NETWORKS, CAEConfig)])
def test_parts_are_registered_under_their_own_names(registry, part):
    with pytest.raises(AMSLError, match=f"the {registry._kind} '{part.name}' must be registered under its own name. .*'mine'"):
        registry.register("mine", part)
    assert "mine" not in registry


def test_suffixes_of_views_are_unique(register):
    with pytest.raises(AMSLError, match=r"the suffix of a view must be unique. Received: 'raw' for 'own', as for 'raw'"):
        VIEWS.register("own", View("own", "raw", "math"))
    module("user_views", OWN=View("own", "no", "math"))
    register(VIEWS, "own", "user_views:OWN")
    with pytest.raises(AMSLError, match="Received: 'no' for 'own', as for 'noise'"):
        VIEWS["own"]


@pytest.mark.parametrize("name", [CHANNELS, BANK])
def test_members_cannot_have_the_names_of_other_parts_of_the_state(name):
    with pytest.raises(AMSLError, match=f"the name of a member must differ from channels, bank, .* Received: '{name}'"):
        MEMBERS.register(name, Range)
    assert name not in MEMBERS


@pytest.mark.parametrize("name", DIAGNOSTICS)
def test_scores_cannot_have_the_names_of_diagnostics(name):
    with pytest.raises(AMSLError, match=f"the name of a score must differ from right_view, .* Received: '{name}'"):
        SCORES.register(name, LargestRange)
    assert name not in SCORES


def test_views_that_are_not_in_use_are_not_imported(register, waves):
    before = draw_for_windows(3, 2, tf.range(4), (24, 3), PAPER_VIEWS)
    register(VIEWS, "broken", View("broken", "br", "no_such_module"))
    after = draw_for_windows(3, 2, tf.range(4), (24, 3), PAPER_VIEWS)
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name])
    with pytest.raises(AMSLError, match="the view 'broken' needs the module 'no_such_module', which cannot be imported"):
        check_transforms(waves[:2], 0, ["raw", "broken"])


@pytest.mark.parametrize(
    ("contents", "received"),
    [
        ({}, "needs 'transform' in the module 'user_view', which has no such attribute"),
        ({"transform": lambda windows, draw: windows[:, 1:]}, r"Received: shape=\(2, 23, 3\), dtype=float32 for windows"),
        ({"transform": lambda windows, draw: tf.cast(windows, tf.float64)}, r"Received: shape=\(2, 24, 3\), dtype=float64"),
        ({"transform": lambda windows, draw: None}, r"Received: None\.$"),
        ({"transform": lambda windows, draw: np.diff(windows)}, "Received: NotImplementedError: "),
        ({"transform": lambda windows, draw: tf.reshape(windows, (2, *windows.shape[1:])) * draw[:, None, None]}, "TypeError"),
        (
            {
                "transform": lambda windows, draw: windows,
                "draw": lambda seed, shape: tf.constant(np.asarray(seed, np.float32)[0]),
            },
            "Received: NotImplementedError: ",
        ),
        (
            {"transform": lambda windows, draw: windows * draw, "draw": lambda seed, shape: tf.zeros(shape[0])},
            "Received: ValueError: ",
        ),
    ],
)
def test_views_that_cannot_be_made_are_errors(contents, received, register, waves):
    module("user_view", **contents)
    register(VIEWS, "own", View("own", "ow", "user_view"))
    with pytest.raises(AMSLError, match=f"^the view 'own' .*{received}"):
        check_transforms(waves[:2], 0, ["raw", "own"])


def test_views_that_are_not_finite_are_errors(register, waves):
    """Only one of the windows has values of which the view has no logarithm."""
    module("user_logarithm", transform=lambda windows, draw: tf.math.log(windows))
    register(VIEWS, "logarithm", View("logarithm", "lo", "user_logarithm"))
    positive = np.abs(waves) + 1
    positive[7] *= -1
    with pytest.raises(DataError, match=r"views must be finite\. Received: NaN or infinity in logarithm, within 40 windows"):
        AMSLDetector(AMSLConfig(views=["raw", "logarithm"], num_slots=3), **SMALL).fit(positive)


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
    assert detector.reconstruct(waves[:2]).view_error.shape == (2, 2)
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
        assert AMSLDetector("doubled").config.network == Doubled(filters=4, latent_features=8)
    finally:
        NETWORKS.unregister("doubled")
    assert loaded.network == Doubled(latent_features=4, factor=3.0)
    np.testing.assert_array_equal(loaded.decision_function(waves), detector.decision_function(waves))
    with pytest.raises(AMSLError, match=r"config.json: network must be one of .* Received: 'doubled'.* Register the parts"):
        AMSLDetector.load(tmp_path / "saved")


def rewired(change, weights=()):
    """Makes the configuration of a user's network with other outputs than those of an autoencoder."""

    @dataclass(frozen=True)
    class Rewired(CAEConfig):
        name = "rewired"

        @property
        def loss_weights(self):
            return {"reconstruction": 1.0, **dict.fromkeys(weights, 1.0)}

        def build(self, window_shape, *, dtype, seed):
            network = super().build(window_shape, dtype=dtype, seed=seed)
            return change(network.input, dict(network.output))

    return Rewired(latent_features=2)


def without(outputs, name):
    return {other: values for other, values in outputs.items() if other != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda views, outputs: None, "a dict of inputs, raw. Received: NoneType"),
        (lambda views, outputs: keras.Model(list(views.values()), outputs), "a dict of inputs, raw. Received: list"),
        (lambda views, outputs: keras.Model(views, list(outputs.values())), "outputs, reconstruction, latent. Received: list"),
        (lambda views, outputs: keras.Model(views, without(outputs, "latent")), "latent. Received: reconstruction"),
        (lambda views, outputs: keras.Model(views, without(outputs, "reconstruction")), "latent. Received: latent"),
        (
            lambda views, outputs: keras.Model(
                views, {**outputs, "reconstruction": keras.ops.mean(outputs["reconstruction"], axis=2, keepdims=True)}
            ),
            r"'reconstruction' of shape \(B, 1, 24, 3\), float32 or float64. Received: shape=\(None, 1, 1, 3\), dtype=float32",
        ),
        (
            lambda views, outputs: keras.Model(views, {**outputs, "latent": outputs["latent"][:, 0]}),
            r"'latent' of shape \(B, 1, F\), float32 or float64. Received: shape=\(None, 2\), dtype=float32",
        ),
        (
            lambda views, outputs: keras.Model(views, {**outputs, "latent": keras.ops.cast(outputs["latent"], "float16")}),
            r"Received: shape=\(None, 1, 2\), dtype=float16",
        ),
    ],
)
def test_user_network_with_other_inputs_or_outputs_is_an_error(change, message):
    with pytest.raises(AMSLError, match=f"^the network 'rewired' must .*{message}"):
        build_network(rewired(change), (24, 3))


def test_terms_of_the_objective_of_a_user_network_are_checked():
    def with_term(values):
        return lambda views, outputs: keras.Model(views, {**outputs, "sparsity": values(outputs["latent"])})

    assert build_network(rewired(with_term(lambda latent: keras.ops.sum(latent, axis=(1, 2))), ["sparsity"]), (24, 3))
    with pytest.raises(AMSLError, match=r"outputs, .*sparsity.* Received: reconstruction, latent"):
        build_network(rewired(lambda views, outputs: keras.Model(views, outputs), ["sparsity"]), (24, 3))
    with pytest.raises(AMSLError, match=r"output 'sparsity' of shape \(B\).* Received: shape=\(None, 1\)"):
        build_network(rewired(with_term(lambda latent: keras.ops.sum(latent, axis=2)), ["sparsity"]), (24, 3))


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
    detector = AMSLDetector("cae", **{**SMALL, "score": "largest_range"}).fit(waves)
    ranges = np.ptp(waves, axis=1)
    np.testing.assert_allclose(detector.decision_function(waves), ranges.max(axis=1) / ranges.mean(), rtol=1e-5)
    detector.save(tmp_path / "saved")
    loaded = AMSLDetector.load(tmp_path / "saved")
    np.testing.assert_allclose(loaded.decision_function(3 * waves), 3 * detector.decision_function(waves), rtol=1e-5)
    assert loaded.detect(waves[:2]).keys() == {"score", "is_anomaly", "valid", "health"}


class Range(Member):
    """A user's member: the ranges of the sensors, relative to the median of normal windows."""

    def describe(self, windows):
        return (tf.reduce_max(windows, axis=1) - tf.reduce_min(windows, axis=1)) / self._median

    def prepare(self, windows, seed):
        self._median = np.median(np.ptp(windows, axis=1), axis=0)

    def constants(self):
        return {"median": self._median}

    def restore(self, constants):
        self._median = constants["median"]


def test_user_member_of_the_ensemble(waves, tmp_path):
    MEMBERS.register("range", Range)
    try:
        detector = AMSLDetector(None, score="ensemble", members=["levels", "range"]).fit(waves)
        assert list(detector.pipeline.scores["ensemble"].weights) == ["levels", "range"]
        detector.save(tmp_path / "saved")
        loaded = AMSLDetector.load(tmp_path / "saved")
        np.testing.assert_array_equal(loaded.decision_function(2 * waves), detector.decision_function(2 * waves))
        served = tf.saved_model.load(str(export_detector(detector, tmp_path / "model"))).signatures["serving_default"]
        np.testing.assert_allclose(
            served(windows=tf.constant(2 * waves))["score"], detector.decision_function(2 * waves), atol=1e-5
        )
    finally:
        MEMBERS.unregister("range")
    with pytest.raises(AMSLError, match=r"member must be one of levels, powers, kernels\. Received: 'range'\. Register .* own"):
        AMSLDetector.load(tmp_path / "saved")


EVIDENCE = Evidence(np.ones((4, 1, 3), np.float32), {"level": np.arange(8.0).reshape(4, 2)}, np.ones((4, 16, 3), np.float32))


class Levels(Score):
    """A user's score, whose results a test sets."""

    features = ("level",)
    has_nearest = True
    result = nearest_result = staticmethod(lambda levels: levels[:, 0])

    def fit(self, evidence, groups=None):
        return self.result(evidence.features["level"])

    def score(self, evidence):
        return self.result(evidence.features["level"])

    def nearest(self, evidence):
        return self.nearest_result(evidence.features["level"])


@pytest.mark.parametrize("convert", [np.float64, np.float32, np.int64, list, tf.constant])
def test_training_scores_become_float32(convert, monkeypatch):
    monkeypatch.setattr(Levels, "result", lambda score, levels: convert(levels[:, 0]))
    scores = fit_scores({"levels": Levels(DetectorConfig())}, EVIDENCE, None)["levels"]
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, [0.0, 2.0, 4.0, 6.0])


@pytest.mark.parametrize(
    ("result", "received"),
    [
        (np.zeros(3), r"ndarray, shape=\(3,\), dtype=float64"),
        (np.zeros((4, 1)), r"ndarray, shape=\(4, 1\)"),
        (0.5, r"float, shape=\(\)"),
        (None, "NoneType"),
        ([[1.0], [2.0, 3.0], [], []], "list"),
        (["1", "2", "3", "4"], r"list, shape=\(4,\), dtype=<U1"),
        ([True] * 4, r"list, shape=\(4,\), dtype=bool"),
        ([1.0, np.nan, 2.0, np.inf], "2 values that are not finite"),
        ([1.0, 1e300, 2.0, 3.0], "1 values that are not finite in float32"),
    ],
)
def test_training_scores_of_another_form_are_errors(result, received, monkeypatch):
    monkeypatch.setattr(Levels, "result", lambda score, levels: result)
    with pytest.raises(AMSLError, match=rf"fit of the score 'levels' must return finite numbers of shape \(4,\).*: {received}"):
        fit_scores({"levels": Levels(DetectorConfig())}, EVIDENCE, None)


def test_evidence_that_is_not_finite_is_an_error():
    levels, error = np.ones((4, 2)), np.ones((4, 1, 3), np.float32)
    levels[2], error[:3] = np.nan, np.inf
    with pytest.raises(AMSLError, match=r"the feature 'level' must be finite. Received: NaN or infinity for 1 of 4 windows"):
        fit_scores({}, EVIDENCE._replace(features={"level": levels}), None)
    with pytest.raises(AMSLError, match=r"the reconstruction error must be finite. Received: NaN or infinity for 3 of 4"):
        fit_scores({}, EVIDENCE._replace(error=error), None)


def pipeline_with(detector, score):
    fitted = detector.pipeline
    return ScoringPipeline(fitted.network, fitted.scaling, fitted.draws, fitted.config, fitted.shape, {"levels": score})


@pytest.mark.parametrize(
    ("attribute", "output", "result", "received"),
    [
        ("result", "score.levels", lambda levels: levels, r"the score 'levels' .*\(B,\). Received: shape=\(None, 3\)"),
        ("result", "score.levels", lambda levels: tf.reduce_max(levels), r"the score 'levels' .*Received: shape=\(\)"),
        ("result", "score.levels", lambda levels: tf.constant([1.0]), r"the score 'levels' .*Received: shape=\(1,\)"),
        ("result", "score.levels", lambda levels: levels[:, 0] > 0, "the score 'levels' .*dtype=bool"),
        ("result", "score.levels", lambda levels: [1.0], "the score 'levels' must be a tensor. Received: list"),
        ("nearest_result", "nearest", lambda levels: levels, r"the nearest window .*shape=\(None, 3\)"),
        (
            "feature",
            "score.levels",
            lambda inputs: inputs.windows,
            r"the feature 'level' .*\(B, D\). Received: shape=\(None, 24",
        ),
        ("feature", "score.levels", lambda inputs: inputs.axes, "the feature 'level' must be a tensor. Received: int"),
    ],
)
def test_results_of_scores_and_features_are_checked(
    attribute, output, result, received, register, detector, waves, monkeypatch
):
    level = result if attribute == "feature" else (lambda inputs: tf.reduce_mean(inputs.windows, axis=1))
    register(FEATURES, "level", level)
    monkeypatch.setattr(Levels, attribute, lambda score, values: result(values), raising=False)
    with pytest.raises(AMSLError, match=received):
        next(pipeline_with(detector, Levels(detector.config)).run(waves, (output,)))


def test_scores_of_any_precision_become_float32(register, detector, waves, monkeypatch):
    register(FEATURES, "level", lambda inputs: tf.reduce_mean(inputs.windows, axis=1))
    monkeypatch.setattr(Levels, "result", lambda score, levels: tf.cast(levels[:, 0], tf.float64))
    monkeypatch.setattr(Levels, "nearest_result", lambda score, levels: tf.zeros_like(levels[:, 0], tf.int32))
    (values,) = pipeline_with(detector, Levels(detector.config)).run(waves, ("score.levels", "nearest"))
    assert (values["score.levels"].dtype, values["nearest"].dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(values["score.levels"], waves.mean(axis=1)[:, 0], rtol=1e-5, atol=1e-6)


def test_scores_with_unknown_features_are_errors_before_training(register):
    register(SCORES, "levels", Levels)
    with pytest.raises(AMSLError, match=r"feature must be one of error, latent, signal. Received: 'level'"):
        make_scores(DetectorConfig(score="levels"))
    register(FEATURES, "level", lambda inputs: tf.reduce_mean(inputs.windows, axis=1))
    scores = make_scores(DetectorConfig(score="levels", extra_scores=["reconstruction"]))
    assert {name: type(score).__name__ for name, score in scores.items()} == {
        "levels": "Levels",
        "reconstruction": "Reconstruction",
    }


def test_user_feature_in_the_nearest_normal_score(register, waves):
    class WithLevels(NearestNormal):
        features = (*NearestNormal.features, "level")

    register(FEATURES, "level", lambda inputs: tf.reduce_mean(inputs.windows, axis=1))
    register(SCORES, "with_levels", WithLevels)
    detector = AMSLDetector("cae", **{**SMALL, "score": "with_levels"}).fit(waves)
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
