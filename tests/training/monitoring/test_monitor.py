"""The TensorBoard files of a training, read with TensorBoard."""

import errno

import numpy as np
import psutil
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from amsl_tf.data.splits import validation_split
from amsl_tf.errors import AMSLError
from amsl_tf.training.monitoring import monitor
from amsl_tf.training.monitoring.monitor import _Interval
from amsl_tf.views.operations import make_views
from tests.conftest import make_detector, stop_after

VIEWS, SLOTS = ("raw", "noise"), 6
SETTINGS = {"views": list(VIEWS), "num_slots": SLOTS, "mixed_precision": "off", "seed": 1, "batch_size": 4}
TERMS = {"reconstruction": 1.0, "view_probabilities": 1.0, "memory_entropy": 0.0002}


def read(folder):
    """Reads the points (step, value) of a run by tag."""
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    accumulator.Reload()
    tags = accumulator.Tags()["tensors"]
    return {
        tag: [(event.step, tensor_util.make_ndarray(event.tensor_proto)) for event in accumulator.Tensors(tag)] for tag in tags
    }


def last(points):
    return points[-1][1]


@pytest.fixture(scope="module")
def logged(waves, tmp_path_factory):
    """A detector trained for 3 epochs of 8 steps, the points of its three runs, and their folder."""
    folder = tmp_path_factory.mktemp("logs")
    detector = make_detector(**SETTINGS, epochs=3).fit(waves, log_dir=folder, abnormal=3 * waves[:2])
    (own,) = folder.iterdir()
    assert own.name == detector.data_["fingerprint"]
    return detector, {name: read(own / name) for name in ("", "train", "validation")}, own


def test_losses_and_weighted_losses(logged):
    detector, runs, _ = logged
    for run, prefix in (("train", ""), ("validation", "val_")):
        for name, weight in TERMS.items():
            raw, weighted = runs[run][f"loss/{name}"], runs[run][f"weighted_loss/{name}"]
            assert [step for step, _ in raw] == [8, 16, 24]
            np.testing.assert_allclose([value for _, value in raw], detector.history_[f"{prefix}{name}_loss"], rtol=1e-5)
            np.testing.assert_allclose(last(weighted), weight * last(raw), rtol=1e-6)
        total = sum(last(runs[run][f"weighted_loss/{name}"]) for name in TERMS)
        np.testing.assert_allclose(last(runs[run]["loss/total"]), total, rtol=1e-4)


def test_interval_means():
    """Batches of 4, 4 and 1 windows: running means of the objective over windows, of a term over batches."""
    interval, running = _Interval(), {"loss": 3.0, "term_loss": 3.0}
    assert interval.read(running, 1, 4)[0] == running
    total, term = (3 * 4 + 5 * 4 + 10 * 1) / 9, (3 + 5 + 10) / 3
    assert interval.read({"loss": total, "term_loss": term}, 3, 9)[0] == pytest.approx(
        {"loss": (20 + 10) / 5, "term_loss": 7.5}
    )


@pytest.mark.slow
def test_points_after_an_interruption(waves, tmp_path, monkeypatch):
    """7 batches in an epoch, the last of 2 windows, a point every 3; interrupted after 10 batches, resumed after 9."""
    monkeypatch.setattr(monitor, "EVERY", 3)
    settings = {**SETTINGS, "epochs": 2, "batch_size": 5}
    uninterrupted = make_detector(**settings).fit(waves, log_dir=tmp_path / "uninterrupted")
    interrupted = make_detector(**settings)
    with monkeypatch.context() as patched:
        stop_after(patched, 10, kept=9)
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(waves, log_dir=tmp_path / "resumed", work_dir=tmp_path / "work", checkpoint_seconds=0.0)
    interrupted.fit(waves, log_dir=tmp_path / "resumed", work_dir=tmp_path / "work")
    resumed, expected = (
        read(tmp_path / name / uninterrupted.data_["fingerprint"] / "train") for name in ("resumed", "uninterrupted")
    )
    for tag in ("loss/total", "loss/reconstruction", "weighted_loss/memory_entropy"):
        assert [step for step, _ in expected[tag]] == [3, 6, 7, 10, 13, 14]
        assert [step for step, _ in resumed[tag]] == [3, 6, 7, 10, 13, 14]
        np.testing.assert_allclose(*([value for _, value in points[tag]][4:] for points in (resumed, expected)), rtol=1e-4)
    assert uninterrupted.history_["val_loss"] == pytest.approx(interrupted.history_["val_loss"], rel=1e-5)


@pytest.mark.slow
def test_partially_monitored_quantities_are_not_in_the_history(waves, tmp_path, monkeypatch):
    settings = {**SETTINGS, "epochs": 2}
    with monkeypatch.context() as patched:
        stop_after(patched, 9, kept=8)
        with pytest.raises(KeyboardInterrupt):
            make_detector(**settings).fit(waves, work_dir=tmp_path / "work", checkpoint_seconds=0.0)
    detector = make_detector(**settings).fit(waves, work_dir=tmp_path / "work", log_dir=tmp_path / "logs")
    assert {len(values) for values in detector.history_.values()} == {2}
    assert not any("/" in name for name in detector.history_)
    assert "network" in read(tmp_path / "logs" / detector.data_["fingerprint"])


def test_full_disk_is_an_error(waves, tmp_path, monkeypatch):
    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("amsl_tf.training.monitoring.monitor.reserve_space", no_space)
    with pytest.raises(AMSLError, match=r"TensorBoard's files cannot be written .*No space left"):
        make_detector(**SETTINGS, epochs=1).fit(waves, log_dir=tmp_path / "logs")


def test_process_and_optimizer(logged):
    _, runs, _ = logged
    assert last(runs["train"]["training/learning_rate"]) == pytest.approx(1e-3)
    assert last(runs["train"]["training/windows_per_second"]) > 0
    assert 0 < last(runs["train"]["training/monitoring_share"]) < 1
    memory = psutil.Process().memory_info().rss / 2**30
    assert last(runs["train"]["process/memory_gib"]) == pytest.approx(memory, rel=0.5)


def test_memories_and_gates_are_those_of_the_network(logged, waves):
    detector, runs, _ = logged
    points = runs["validation"]
    # the last epoch is the best here, so the detector has its weights
    assert np.argmin(detector.history_["val_loss"]) == 2
    pipeline = detector.pipeline
    _, validation = validation_split(len(waves), detector.validation_share, detector.seed, None)
    views = pipeline.scaling(make_views(waves[validation], pipeline.draws, VIEWS)).numpy()
    latents = [pipeline.network.get_layer("encoder")(views[:, view, ..., None]).numpy() for view in range(len(VIEWS))]
    queries = [latent.reshape(-1, latent.shape[-1]) for latent in latents]
    read_by = {"global": np.concatenate(queries), "local_raw": queries[0], "local_noise": queries[1]}
    entropies = {}
    layers = {"global": "global_memory", "local_raw": "local_memory_raw", "local_noise": "local_memory_noise"}
    for name, own in read_by.items():
        attention = pipeline.network.get_layer(layers[name]).attention(own).numpy().astype(float)
        mean = attention.mean(axis=0)
        entropies[name] = -(attention * np.log(attention)).sum(axis=1).mean()
        for measure, expected in {
            "used_share": len(np.unique(attention.argmax(axis=1))) / SLOTS,
            "effective_slots": np.exp(-(mean * np.log(mean)).sum()),
            "attention_entropy": entropies[name],
            "dead_slots": (attention.max(axis=0) < 1 / SLOTS).sum(),
        }.items():
            assert last(points[f"memory_{measure}/{name}"]) == pytest.approx(expected, rel=1e-3), measure
        assert {f"attention_share/{name}", f"slots/{name}"} <= points.keys()
    # the entropy term of the objective sums over memories and views
    total = 2 * entropies["global"] + entropies["local_raw"] + entropies["local_noise"]
    assert total == pytest.approx(detector.history_["val_memory_entropy_loss"][-1], rel=0.02)
    gates = 1 / (1 + np.exp(-pipeline.network.get_layer("fusion").gates.numpy()))
    logged_gates = [[last(points[f"fusion_gate/{kind}_{view}"]) for view in VIEWS] for kind in ("local", "global")]
    np.testing.assert_allclose(logged_gates, gates, rtol=1e-5)
    assert detector.history_["fusion_gate/local_raw"][-1] == pytest.approx(gates[0, 0], rel=1e-5)


def test_pictures_scores_settings_and_slots(logged):
    _, runs, folder = logged
    points = runs["validation"]
    for tag in ("windows/normal_1", "windows/normal_2", "windows/abnormal_1", "windows/abnormal_2", "score/reconstruction"):
        width, height, image = last(points[tag])
        assert int(width) > 200
        assert int(height) > 200
        assert image.startswith(b"\x89PNG")
    assert "score/nearest_normal" in points
    assert "score/validation_normal" in points
    assert np.isfinite(last(points["score/threshold"]))
    text = str(last(runs[""]["network"]))
    for part in ("global_memory", "fusion", "decoder_noise", "Total params"):
        assert part in text
    assert "_hparams_/session_start_info" in runs[""]
    assert len((folder / "memory_slots.tsv").read_text().splitlines()) == 3 * 6
    assert (folder / "memory_slots_about.tsv").read_text().startswith("memory\tslot\tshare\tstate\n")


@pytest.mark.slow
def test_second_training_replaces_curves(waves, tmp_path):
    for _ in range(2):
        detector = make_detector(**SETTINGS, epochs=1).fit(waves, log_dir=tmp_path)
    points = read(tmp_path / detector.data_["fingerprint"] / "validation")
    assert [step for step, _ in points["loss/total"]] == [8]


def test_network_without_memory_and_self_supervision(waves, tmp_path):
    plain = make_detector(**SETTINGS, epochs=1, memory="none", self_supervision=False).fit(waves, log_dir=tmp_path)
    points = read(tmp_path / plain.data_["fingerprint"] / "validation")
    assert last(points["loss/total"]) == pytest.approx(float(last(points["loss/reconstruction"])))
    assert not any(tag.startswith(("memory", "fusion", "slots")) for tag in points)


def test_log_dir_in_work_dir_is_an_error(waves, tmp_path):
    for logs in (tmp_path, tmp_path / "logs"):
        with pytest.raises(AMSLError, match="Choose another log_dir"):
            make_detector(**SETTINGS, epochs=1).fit(waves, work_dir=tmp_path, log_dir=logs)


def test_invalid_abnormal_windows_are_an_error(waves):
    with pytest.raises(AMSLError, match=r"abnormal: windows must have shape \(N, 24, 3\)"):
        make_detector(**SETTINGS, epochs=1).fit(waves, abnormal=waves[:, :20])
