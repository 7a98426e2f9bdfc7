"""The contract of every network: fit, score, save, load, export, validate and resume."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from amsl_tf import AMSLDetector
from amsl_tf.data.splits import validation_split
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.export.writer import export_detector
from amsl_tf.networks import NETWORKS
from amsl_tf.scoring.pipeline import EXPLAINED, Explanation
from tests.conftest import close, make_detector, stop_after

SETTINGS = {"epochs": 2, "batch_size": 8, "mixed_precision": "off", "seed": 1}
SMALL = {
    "amsl": {"views": ["raw", "permuted"], "num_slots": 5},
    "memae": {"num_slots": 20},
    "rftm": {"hippocampus_slots": 8, "hippocampus_top_k": 3, "cortex_slots": 20, "cortex_top_k": 2},
    "mnad": {"num_slots": 4},
    "cae": {},
}
MEMORIES = {
    "amsl": {"global", "local_raw", "local_permuted"},
    "memae": {"memory"},
    "rftm": {"hippocampus", "cortex"},
    "mnad": {"memory"},
    "cae": set(),
}


SCORES = ("nearest_normal", "reconstruction", "ensemble")


def small_detector(network, **settings):
    return make_detector(**{"network": network, "extra_scores": SCORES[1:], **SETTINGS, **SMALL[network], **settings})


def test_every_network_is_tested():
    assert SMALL.keys() == MEMORIES.keys() == NETWORKS.keys()


@pytest.fixture(scope="module", params=SMALL)
def fitted(request, waves, tmp_path_factory):
    """The name of a network, and a detector with it, fitted with monitoring."""
    return request.param, small_detector(request.param).fit(waves, log_dir=tmp_path_factory.mktemp("logs"))


def test_fit_and_score(fitted, waves):
    network, detector = fitted
    assert detector.config.network.name == network
    for scores in (detector.training_scores_, detector.score_components(3 * waves)):
        assert set(SCORES) <= scores.keys()
        assert all(np.isfinite(values).all() for values in scores.values())
    assert detector.predict(3 * waves).mean() > 0.9
    assert detector.predict(waves).mean() < 0.1
    shapes = [values.shape for values in detector.reconstruct(waves[:4])]
    count = len(detector.config.network.views)
    assert shapes == [(4, 3), (4, count), (4, 24), (4, count, 24, 3)]


@pytest.mark.parametrize("score", SCORES)
def test_contributions_sum_to_the_score(fitted, waves, score):
    _, detector = fitted
    pipeline = copy.copy(detector.pipeline)
    pipeline.config, pipeline._compiled = replace(detector.config, score=score, extra_scores=()), {}
    names = ("score." + score, *(EXPLAINED + name for name in Explanation._fields))
    (found,) = pipeline.run(2 * waves[:8], names)
    members = len(pipeline.scores[score].members)
    shapes = [found[EXPLAINED + name].shape for name in Explanation._fields]
    assert shapes == [(8, members), (8, 3), (8, 24), (8,), (8, 3)]
    for name in ("members", "channels", "time"):
        np.testing.assert_allclose(found[EXPLAINED + name].sum(axis=1), found["score." + score], rtol=1e-4, atol=1e-5)


def test_scores_do_not_depend_on_the_batch(fitted, waves):
    _, detector = fitted
    together = detector.score_components(2 * waves)
    alone = [detector.score_components(2 * waves[row : row + 1]) for row in range(10)]
    for name in SCORES:
        close(np.array([values[name][0] for values in alone]), together[name][:10])


def test_save_and_load(fitted, waves, tmp_path):
    _, detector = fitted
    detector.save(tmp_path / "saved")
    loaded = AMSLDetector.load(tmp_path / "saved")
    assert loaded.config == detector.config
    for name, values in detector.score_components(waves).items():
        np.testing.assert_array_equal(loaded.score_components(waves)[name], values)


def memories_of(detector):
    return [memory for layer in detector.pipeline.network.layers if hasattr(layer, "stages") for memory in layer.stages()]


def test_memory_usage_is_in_the_history(fitted):
    network, detector = fitted
    measured = {name.partition("/")[2] for name in detector.history_ if name.startswith("memory_effective_slots/")}
    assert measured == MEMORIES[network]
    for name in measured:
        count = next(memory.num_slots for memory in memories_of(detector) if memory.name.replace("_memory", "") == name)
        effective, used = (detector.history_[f"memory_{measure}/{name}"] for measure in ("effective_slots", "used_share"))
        assert len(effective) == len(used) == 2  # epochs
        assert all(1 - 1e-5 <= slots <= count * 1.001 for slots in effective)
        assert all(value > 0 for value in used)
        assert all(count * value == pytest.approx(round(count * value)) for value in used)  # a number of slots


def test_objective_is_the_weighted_sum_of_its_terms(fitted):
    _, detector = fitted
    for prefix in ("", "val_"):
        total = detector.history_[f"{prefix}loss"][0]
        # Keras does not report a single term by name
        terms = (
            weight * detector.history_.get(f"{prefix}{name}_loss", [total])[0]
            for name, weight in detector.config.network.loss_weights.items()
        )
        assert total == pytest.approx(sum(terms), rel=1e-3)


def test_reconstruction_loss_is_the_mean_reconstruction_score(fitted, waves):
    """For the held-out windows, with the weights of the best epoch."""
    _, detector = fitted
    total = detector.history_["val_loss"]
    losses = detector.history_.get("val_reconstruction_loss", total)  # a single term has no name
    _, validation = validation_split(len(waves), detector.validation_share, detector.seed)
    expected = detector.score_components(waves[validation])["reconstruction"].mean()
    # the random views of held-out windows have other draws than those of scoring
    tolerance = 1e-4 if detector.config.network.views == ("raw",) else 0.01
    assert losses[np.argmin(total)] == pytest.approx(expected, rel=tolerance)


def test_invalid_input_is_an_error(fitted, waves):
    _, detector = fitted
    for invalid in (waves[:, :20], waves[0], np.full((1, 24, 3), np.nan)):
        with pytest.raises(DataError, match="windows"):
            detector.decision_function(invalid)
    with pytest.raises(AMSLError, match="unexpected parameter 'slots'"):
        small_detector(detector.config.network.name, slots=3)


@pytest.mark.slow
@pytest.mark.parametrize("network", SMALL)
def test_training_in_float16(network, waves):
    detector = small_detector(network, epochs=3, mixed_precision="float16").fit(waves)
    assert all(np.isfinite(values).all() for values in detector.history_.values())
    assert all(np.isfinite(weights).all() for weights in detector.pipeline.network.get_weights())
    losses = detector.history_.get("reconstruction_loss", detector.history_["loss"])  # a single term has no name
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_export(fitted, waves, tmp_path):
    _, detector = fitted
    version = export_detector(detector, tmp_path / "model")
    served = tf.saved_model.load(str(version)).signatures["serving_default"](windows=tf.constant(2 * waves))
    close(served["score"].numpy(), detector.decision_function(2 * waves))
    np.testing.assert_array_equal(served["is_anomaly"], detector.predict(2 * waves))


@pytest.mark.slow
@pytest.mark.parametrize("network", SMALL)
def test_resumed_training_ends_with_the_same_weights(network, waves, tmp_path, monkeypatch):
    """Interrupted after 6 of 12 batches, 4 in each epoch; the state of the first 5 is saved.

    Random forgetting, and memories that are updated without gradients, resume as well.
    """
    settings = {"epochs": 3, "learning_rate": 0.01}
    with monkeypatch.context() as patched:
        stop_after(patched, 6, kept=5)
        with pytest.raises(KeyboardInterrupt):
            small_detector(network, **settings).fit(waves, work_dir=tmp_path, checkpoint_seconds=0.0)
    resumed = small_detector(network, **settings).fit(waves, work_dir=tmp_path)
    uninterrupted = small_detector(network, **settings).fit(waves)
    assert np.argmin(uninterrupted.history_["val_loss"]) >= 1, "the best epoch is before the interruption"
    for one, other in zip(resumed.pipeline.network.get_weights(), uninterrupted.pipeline.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
