"""What a training writes for TensorBoard, read back as TensorBoard reads it."""

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from amsl_tf import AMSLDetector
from amsl_tf.errors import AMSLError
from amsl_tf.monitoring import monitor
from amsl_tf.monitoring.monitor import _Interval
from tests.conftest import stop_after

SETTINGS = {"views": ["raw", "noise"], "num_slots": 6, "mixed_precision": "off", "seed": 1, "batch_size": 4}
TERMS = {"reconstruction": 1.0, "view_probabilities": 1.0, "memory_entropy": 0.0002}
MEMORIES = ("global", "local_raw", "local_noise")


def read(folder):
    """(step, value) of every point, by tag."""
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
    """A detector of three epochs with 8 steps each, and the points of its three runs."""
    folder = tmp_path_factory.mktemp("logs")
    detector = AMSLDetector(**SETTINGS, epochs=3).fit(waves, log_dir=folder, abnormal=3 * waves[:2])
    (own,) = folder.iterdir()
    assert own.name == detector.data_["fingerprint"]
    return detector, {name: read(own / name) for name in ("", "train", "validation")}, own


def test_losses_by_name_raw_and_weighted(logged):
    detector, runs, _ = logged
    for run, prefix in (("train", ""), ("validation", "val_")):
        for name, weight in TERMS.items():
            raw, weighted = runs[run][f"loss/{name}"], runs[run][f"weighted_loss/{name}"]
            assert [step for step, _ in raw] == [8, 16, 24]
            np.testing.assert_allclose([value for _, value in raw], detector.history_[f"{prefix}{name}_loss"], rtol=1e-5)
            np.testing.assert_allclose(last(weighted), weight * last(raw), rtol=1e-6)
        total = sum(last(runs[run][f"weighted_loss/{name}"]) for name in TERMS)
        np.testing.assert_allclose(last(runs[run]["loss/total"]), total, rtol=1e-4)


def test_a_point_is_the_mean_since_the_last_one():
    """Batches of 4, 4 and 1 windows: the objective's running mean is over windows, its terms' over batches."""
    interval, running = _Interval(), {"loss": 3.0, "term_loss": 3.0}
    assert interval.read(running, 1, 4)[0] == running
    total, term = (3 * 4 + 5 * 4 + 10 * 1) / 9, (3 + 5 + 10) / 3
    assert interval.read({"loss": total, "term_loss": term}, 3, 9)[0] == pytest.approx(
        {"loss": (20 + 10) / 5, "term_loss": 7.5}
    )


@pytest.mark.slow
def test_points_within_an_epoch_and_after_an_interruption(waves, tmp_path, monkeypatch):
    """7 batches an epoch, the last of 2 windows, a point every 3; stopped after 10 batches, 9 of which are kept."""
    monkeypatch.setattr(monitor, "EVERY", 3)
    settings = {**SETTINGS, "epochs": 2, "batch_size": 5}
    whole = AMSLDetector(**settings).fit(waves, log_dir=tmp_path / "whole")
    interrupted = AMSLDetector(**settings)
    with monkeypatch.context() as patched:
        stop_after(patched, 10, kept=9)
        with pytest.raises(KeyboardInterrupt):
            interrupted.fit(waves, log_dir=tmp_path / "parts", work_dir=tmp_path / "work", checkpoint_seconds=0.0)
    interrupted.fit(waves, log_dir=tmp_path / "parts", work_dir=tmp_path / "work")
    found, expected = (read(tmp_path / name / whole.data_["fingerprint"] / "train") for name in ("parts", "whole"))
    for tag in ("loss/total", "loss/reconstruction", "weighted_loss/memory_entropy"):
        assert [step for step, _ in expected[tag]] == [3, 6, 7, 10, 13, 14]
        assert [step for step, _ in found[tag]] == [3, 6, 7, 10, 13, 14]
        np.testing.assert_allclose(*([value for _, value in points[tag]][4:] for points in (found, expected)), rtol=1e-4)
    assert whole.history_["val_loss"] == pytest.approx(interrupted.history_["val_loss"], rel=1e-5)


@pytest.mark.slow
def test_what_is_monitored_only_since_an_interruption_is_no_history(waves, tmp_path, monkeypatch):
    settings = {**SETTINGS, "epochs": 2}
    with monkeypatch.context() as patched:
        stop_after(patched, 9, kept=8)
        with pytest.raises(KeyboardInterrupt):
            AMSLDetector(**settings).fit(waves, work_dir=tmp_path / "work", checkpoint_seconds=0.0)
    detector = AMSLDetector(**settings).fit(waves, work_dir=tmp_path / "work", log_dir=tmp_path / "logs")
    assert {len(values) for values in detector.history_.values()} == {2}
    assert not any("/" in name for name in detector.history_)
    assert "network" in read(tmp_path / "logs" / detector.data_["fingerprint"])


def test_a_folder_that_cannot_be_written_is_one_line(waves, tmp_path):
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(AMSLError, match="TensorBoard's files cannot be written"):
        AMSLDetector(**SETTINGS, epochs=1).fit(waves, log_dir=tmp_path / "logs")


def test_the_process_and_the_optimizer(logged):
    _, runs, _ = logged
    assert last(runs["train"]["training/learning_rate"]) == pytest.approx(1e-3)
    assert last(runs["train"]["training/windows_per_second"]) > 0
    assert 0 < last(runs["train"]["training/monitoring_share"]) < 1
    assert 0.1 < last(runs["train"]["process/memory_gib"]) < 100


def test_memories_and_gates_agree_with_the_network(logged):
    detector, runs, _ = logged
    points = runs["validation"]
    for memory in MEMORIES:
        assert 0 < last(points[f"memory_used_share/{memory}"]) <= 1
        assert 1 <= last(points[f"memory_effective_slots/{memory}"]) <= 6
        assert 0 <= last(points[f"memory_attention_entropy/{memory}"]) <= np.log(6) + 1e-5
        assert last(points[f"memory_dead_slots/{memory}"]) in range(7)
        assert {f"attention_share/{memory}", f"slots/{memory}"} <= points.keys()
    # the last epoch is the best here, so the detector has its weights
    assert np.argmin(detector.history_["val_loss"]) == 2
    network = detector.scoring_path.network
    gates = 1 / (1 + np.exp(-network.get_layer("fusion").gates.numpy()))
    named = [[last(points[f"fusion_gate/{kind}_{view}"]) for view in ("raw", "noise")] for kind in ("local", "global")]
    np.testing.assert_allclose(named, gates, rtol=1e-5)
    assert detector.history_["fusion_gate/local_raw"][-1] == pytest.approx(gates[0, 0], rel=1e-5)
    # of all reads together: the objective's entropy is summed over memories and views
    entropies = [2 * last(points["memory_attention_entropy/global"])]
    entropies += [last(points[f"memory_attention_entropy/{memory}"]) for memory in MEMORIES[1:]]
    assert sum(entropies) == pytest.approx(detector.history_["val_memory_entropy_loss"][-1], rel=0.02)


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
    assert last(points["score/threshold"]) > 0
    text = str(last(runs[""]["network"]))
    for part in ("global_memory", "fusion", "decoder_noise", "Total params"):
        assert part in text
    assert "_hparams_/session_start_info" in runs[""]
    assert len((folder / "memory_slots.tsv").read_text().splitlines()) == 3 * 6
    assert (folder / "memory_slots_about.tsv").read_text().startswith("memory\tslot\tshare\tstate\n")


@pytest.mark.slow
def test_a_second_run_replaces_the_curves_of_the_first(waves, tmp_path):
    for _ in range(2):
        detector = AMSLDetector(**SETTINGS, epochs=1).fit(waves, log_dir=tmp_path)
    points = read(tmp_path / detector.data_["fingerprint"] / "validation")
    assert [step for step, _ in points["loss/total"]] == [8]


def test_without_memory_and_self_supervision_there_is_less_to_show(waves, tmp_path):
    plain = AMSLDetector(**SETTINGS, epochs=1, memory="none", self_supervision=False).fit(waves, log_dir=tmp_path)
    points = read(tmp_path / plain.data_["fingerprint"] / "validation")
    assert last(points["loss/total"]) == pytest.approx(float(last(points["loss/reconstruction"])))
    assert not any(tag.startswith(("memory", "fusion", "slots")) for tag in points)


def test_curves_are_not_kept_where_the_state_is_removed(waves, tmp_path):
    for logs in (tmp_path, tmp_path / "logs"):
        with pytest.raises(AMSLError, match="Name another log_dir"):
            AMSLDetector(**SETTINGS, epochs=1).fit(waves, work_dir=tmp_path, log_dir=logs)


def test_abnormal_windows_are_checked_and_named(waves):
    with pytest.raises(AMSLError, match=r"abnormal: windows must have shape \(N, 24, 3\)"):
        AMSLDetector(**SETTINGS, epochs=1).fit(waves, abnormal=waves[:, :20])
