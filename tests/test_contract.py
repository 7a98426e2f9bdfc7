"""What every model keeps to: it is fitted, scores, travels, is served, refuses and goes on alike."""

import numpy as np
import pytest
import tensorflow as tf

from amsl_tf import AMSLDetector
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.export import export_detector
from amsl_tf.model_config import MODELS
from tests.conftest import close, stop_after

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


def make(model, **settings):
    return AMSLDetector(**{"model": model, **SETTINGS, **SMALL[model], **settings})


def test_every_model_is_tested():
    assert SMALL.keys() == MEMORIES.keys() == MODELS.keys()


@pytest.fixture(scope="module", params=SMALL)
def fitted(request, waves, tmp_path_factory):
    """The name of a model, and a detector with it whose training was watched."""
    return request.param, make(request.param).fit(waves, log_dir=tmp_path_factory.mktemp("logs"))


def test_fit_and_score(fitted, waves):
    model, detector = fitted
    assert detector.config.model.name == model
    for scores in (detector.training_scores_, detector.score_components(3 * waves)):
        assert {"nearest_normal", "reconstruction"} <= scores.keys()
        assert all(np.isfinite(values).all() for values in scores.values())
    assert detector.predict(3 * waves).mean() > 0.9
    assert detector.predict(waves).mean() < 0.1
    shapes = [values.shape for values in detector.explain(waves[:4])]
    count = len(detector.config.model.views)
    assert shapes == [(4, 3), (4, count), (4, 24), (4, count, 24, 3)]


def test_one_window_alone_scores_as_in_a_batch(fitted, waves):
    _, detector = fitted
    together = detector.score_components(2 * waves)
    alone = [detector.score_components(2 * waves[row : row + 1]) for row in range(10)]
    for name in ("nearest_normal", "reconstruction"):
        close(np.array([values[name][0] for values in alone]), together[name][:10])


def test_save_and_load(fitted, waves, tmp_path):
    _, detector = fitted
    detector.save(tmp_path / "saved")
    loaded = AMSLDetector.load(tmp_path / "saved")
    assert loaded.config == detector.config
    for name, values in detector.score_components(waves).items():
        np.testing.assert_array_equal(loaded.score_components(waves)[name], values)


def memories_of(detector):
    return [memory for layer in detector.scoring_path.network.layers if hasattr(layer, "stages") for memory in layer.stages()]


def test_the_memories_use_is_in_the_history(fitted):
    model, detector = fitted
    measured = {name.partition("/")[2] for name in detector.history_ if name.startswith("memory_effective_slots/")}
    assert measured == MEMORIES[model]
    for name in measured:
        count = next(memory.num_slots for memory in memories_of(detector) if memory.name.replace("_memory", "") == name)
        assert all(1 - 1e-5 <= slots <= count * 1.001 for slots in detector.history_[f"memory_effective_slots/{name}"])
        assert all(value > 0 for value in detector.history_[f"memory_used_share/{name}"])


def test_the_terms_of_the_objective_add_up(fitted):
    _, detector = fitted
    for prefix in ("", "val_"):
        total = detector.history_[f"{prefix}loss"][0]
        # where there is one term only Keras does not name it
        terms = (
            weight * detector.history_.get(f"{prefix}{name}_loss", [total])[0]
            for name, weight in detector.config.model.loss_weights.items()
        )
        assert total == pytest.approx(sum(terms), rel=1e-3)


def test_bad_input_is_refused(fitted, waves):
    _, detector = fitted
    for bad in (waves[:, :20], waves[0], np.full((1, 24, 3), np.nan)):
        with pytest.raises(DataError, match="windows"):
            detector.decision_function(bad)
    with pytest.raises(AMSLError, match="there is no setting 'slots'"):
        make(detector.config.model.name, slots=3)


@pytest.mark.slow
@pytest.mark.parametrize("model", SMALL)
def test_it_is_trained_in_float16(model, waves):
    detector = make(model, epochs=3, mixed_precision="float16").fit(waves)
    assert all(np.isfinite(values).all() for values in detector.history_.values())
    assert all(np.isfinite(weights).all() for weights in detector.scoring_path.network.get_weights())
    losses = detector.history_.get("reconstruction_loss", detector.history_["loss"])  # the one term has no name
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_export(fitted, waves, tmp_path):
    _, detector = fitted
    version = export_detector(detector, tmp_path / "model")
    served = tf.saved_model.load(str(version)).signatures["serving_default"](windows=tf.constant(2 * waves))
    close(served["score"].numpy(), detector.decision_function(2 * waves))
    np.testing.assert_array_equal(served["is_anomaly"], detector.predict(2 * waves))


@pytest.mark.slow
@pytest.mark.parametrize("model", SMALL)
def test_interrupted_and_resumed_it_ends_with_the_same_weights(model, waves, tmp_path, monkeypatch):
    """4 batches an epoch, stopped after 6 of 12, 5 of which are kept: what is forgotten, and what is learned without
    gradients, goes on where it was.
    """
    settings = {"epochs": 3, "learning_rate": 0.01}
    with monkeypatch.context() as patched:
        stop_after(patched, 6, kept=5)
        with pytest.raises(KeyboardInterrupt):
            make(model, **settings).fit(waves, work_dir=tmp_path, checkpoint_seconds=0.0)
    resumed, whole = make(model, **settings).fit(waves, work_dir=tmp_path), make(model, **settings).fit(waves)
    assert np.argmin(whole.history_["val_loss"]) >= 1, "the best weights are older than the interruption"
    for one, other in zip(resumed.scoring_path.network.get_weights(), whole.scoring_path.network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
