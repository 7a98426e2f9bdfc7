"""The nearest-normal score against values computed by hand and a direct computation."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from amsl_tf.config import DetectorConfig, TrainingConfig
from amsl_tf.errors import DataError
from amsl_tf.scoring.features import FeatureInputs
from amsl_tf.scoring.features.latent import flat_latents
from amsl_tf.scoring.features.reconstruction_error import log_errors
from amsl_tf.scoring.members.base import Evidence
from amsl_tf.scoring.members.nearest_normal import NearestNormal
from amsl_tf.scoring.threshold import percentile_threshold

GROUPS = np.repeat(["a", "b", "c", "d"], 10)


class Outputs(NamedTuple):
    """The inputs of the features of N windows: errors (N, R, C), latents (N, R, F) and signal features (N, D)."""

    error: np.ndarray
    latent: np.ndarray
    signal: np.ndarray

    @property
    def evidence(self):
        inputs = FeatureInputs(None, self.error, self.latent, 1)
        features = {"error": log_errors(inputs), "latent": flat_latents(inputs), "signal": self.signal}
        return Evidence(self.error, features)


def make_score(seed=0, **settings):
    return NearestNormal(DetectorConfig(training=TrainingConfig(seed=seed), **settings))


def restored(score):
    other = make_score()
    other.restore(score.state())
    return other


def outputs_of(count, seed=0):
    generator = np.random.default_rng(seed)
    error = generator.lognormal(size=(count, 2, 3)).astype(np.float32)
    latent = generator.normal(size=(count, 2, 5)).astype(np.float32)
    return Outputs(error, latent, generator.normal(size=(count, 4)).astype(np.float32))


def nearest_log_distance(logs, groups):
    """Returns the minimum; with groups the mean of the minima of the two nearest groups, or of the nearest of two groups."""
    if groups is None:
        return logs.min()
    minima = sorted(logs[groups == group].min() for group in np.unique(groups))
    return np.mean(minima[: min(2, len(minima) - 1)])


def expected(train, test, groups=None):
    """Computes the scores with the equations of docs/method.md, from complete distance matrices, window by window."""
    total_train, total_test, weights = 0.0, 0.0, 0.0
    for name in ("error", "latent", "signal"):
        prepare = (lambda x: np.log(x + 1e-7)) if name == "error" else (lambda x: x)
        features, test_features = (
            prepare(getattr(part, name).reshape(len(part.error), -1).astype(float)) for part in (train, test)
        )
        mean, scale = features.mean(0), features.std(0)
        features, test_features = (features - mean) / scale, (test_features - mean) / scale
        count = len(features)
        labels = np.arange(count) if groups is None else groups
        same = labels[:, None] == labels[None]
        nearest = np.where(same, np.inf, cdist(features, features)).argmin(1)
        variance = np.mean((features - features[nearest]) ** 2, axis=0)
        column_scale = np.sqrt(1 + variance / variance.mean())
        features, test_features = features / column_scale, test_features / column_scale
        distances = cdist(features, features)
        others = np.where(same, np.inf, distances)
        nearest, smallest = others.argmin(1), others.min(1)
        floor = 0.01 * np.median(smallest)
        neighbours = np.sort(np.where(np.eye(count, dtype=bool), np.inf, distances), axis=1)[:, :5]
        density = np.log(np.maximum(neighbours, floor)).mean(1)
        slope = np.clip(np.polyfit(density[nearest], np.log(np.maximum(smallest, floor)), 1)[0], 0, 1)

        offsets = slope / 2 * density if groups is None else 0.0
        logs, test_logs = (
            np.array([nearest_log_distance(np.log(np.maximum(row, floor)) - offsets, groups) for row in rows])
            for rows in (others, cdist(test_features, features))
        )
        weight = max(slope**2, 1e-3)
        total_train = total_train + weight * (logs - logs.mean()) / logs.std()
        total_test = total_test + weight * (test_logs - logs.mean()) / logs.std()
        weights += weight
    return total_train / weights, total_test / weights


@pytest.mark.parametrize("groups", [None, GROUPS, np.tile(["b", "a"], 20)])
def test_against_a_direct_computation(groups):
    train, test = outputs_of(40), outputs_of(15, seed=1)
    score = make_score()
    train_scores = score.fit(train.evidence, groups)
    expected_train, expected_test = expected(train, test, groups)
    np.testing.assert_allclose(train_scores, expected_train, atol=1e-5)
    np.testing.assert_allclose(score.score(test.evidence), expected_test, atol=1e-5)


def test_leave_one_out_scores_by_hand():
    """Windows at 0, 2, 4, 6 and 16 in each feature group: the nearest distances are 2, 2, 2, 2 and 10.

    With fewer than k neighbours the local density comes from the distances to all other windows.
    """
    positions = np.array([0.0, 2, 4, 6, 16])
    distances = np.abs(positions[:, None] - positions)
    density = np.array([np.log(np.delete(row, index)).mean() for index, row in enumerate(distances)])
    nearest = np.array([1, 0, 1, 2, 3])  # the first of two at the same distance
    logs = np.log([2.0, 2, 2, 2, 10])
    slope = np.clip(np.polyfit(density[nearest], logs, 1)[0], 0, 1)
    leave_one_out = np.array(
        [np.delete(np.log(np.maximum(row, 1e-9)) - slope / 2 * density, index).min() for index, row in enumerate(distances)]
    )
    values = positions.astype(np.float32)
    score = make_score()
    scores = score.fit(Outputs(np.exp(values)[:, None, None], values[:, None, None], values[:, None]).evidence)
    np.testing.assert_allclose(scores, (leave_one_out - leave_one_out.mean()) / leave_one_out.std(), atol=1e-4)


def test_scores_are_relative_to_local_density():
    """Two clusters, one ten times as wide: at equal distance, a window beside the narrow cluster has the higher score."""
    generator = np.random.default_rng(0)
    clusters = np.concatenate([generator.normal(0, 0.1, (50, 2)), generator.normal(100, 1.0, (50, 2))]).astype(np.float32)
    score = make_score()
    score.fit(Outputs(np.exp(clusters / 100)[:, None], clusters[:, None], clusters).evidence)
    new = np.array([[2.0, 0.0], [100 + 2.0, 100.0]], np.float32)
    narrow, wide = score.score(Outputs(np.exp(new / 100)[:, None], new[:, None], new).evidence)
    assert narrow > wide + 1


def test_features_that_differ_between_subjects_have_a_low_weight():
    """The distance to other subjects follows the density of the signal, but the latents of each subject are a cluster."""
    generator = np.random.default_rng(0)
    spread = np.tile(np.geomspace(0.01, 1, 10), 4)[:, None]
    signal = (np.tile(np.arange(10) * 100.0, 4)[:, None] + spread * generator.normal(size=(40, 3))).astype(np.float32)
    latent = (np.repeat(np.arange(4) * 100.0, 10)[:, None, None] + generator.normal(size=(40, 1, 3))).astype(np.float32)
    score = make_score()
    score.fit(Outputs(np.exp(latent / 100), latent, signal).evidence, GROUPS)
    state = score.state()
    assert state["signal.weight"] > 9 * state["latent.weight"]


def test_duplicate_windows_and_constant_features():
    train = outputs_of(20)
    train.latent[:, 0, 0] = 3.0
    for part in train:
        part[5] = part[4]
    score = make_score()
    scores = score.fit(train.evidence)
    assert np.isfinite(scores).all()
    assert np.isfinite(score.score(train.evidence)).all()
    assert scores[4] == pytest.approx(scores[5], abs=1e-6)
    assert scores[4] == pytest.approx(scores.min(), abs=1e-6)


def test_equal_windows_are_left_out_together():
    """The scores are those of the windows without their copies, as far as these do not change means and variances."""
    once, new = outputs_of(40), outputs_of(200, seed=1)
    twice = Outputs(*(np.concatenate([part, part]) for part in once))
    scores = {}
    for name, evidence in (
        ("once", once.evidence),
        ("unknown", twice.evidence),
        ("known", twice.evidence._replace(duplicate_ids=np.tile(np.arange(40), 2))),
    ):
        score = make_score()
        threshold = percentile_threshold(score.fit(evidence), 98)
        scores[name] = np.mean(score.score(new.evidence) >= threshold)
    assert scores["unknown"] > 0.9
    assert scores["known"] == pytest.approx(scores["once"], abs=0.02)


@pytest.mark.parametrize("copies", [2, 3])
def test_a_part_of_the_windows_is_repeated(copies):
    """A third of the windows, once or twice more: the share of flagged new windows is that without copies."""
    once, new = outputs_of(60), outputs_of(400, seed=1)
    rows = np.concatenate([np.arange(60), np.tile(np.arange(20), copies - 1)])
    flagged = []
    for chosen in (np.arange(60), rows):
        score = make_score()
        evidence = Outputs(*(part[chosen] for part in once)).evidence._replace(duplicate_ids=chosen)
        threshold = percentile_threshold(score.fit(evidence), 98)
        flagged.append(np.mean(score.score(new.evidence) >= threshold))
    assert flagged[1] == pytest.approx(flagged[0], abs=0.02)


@pytest.mark.parametrize("groups", [("a", "b"), ("a", "b", "c")])
def test_copies_in_another_group_are_left_out(groups):
    """Every group holds the same windows: the threshold is that of the windows without groups and copies, about."""
    once, new = outputs_of(60), outputs_of(400, seed=1)
    copies = Outputs(*(np.concatenate([part] * len(groups)) for part in once))
    score = make_score()
    evidence = copies.evidence._replace(duplicate_ids=np.tile(np.arange(60), len(groups)))
    labels = np.repeat(groups, 60)
    threshold = percentile_threshold(score.fit(evidence, labels), 98, labels)
    assert np.mean(score.score(new.evidence) >= threshold) < 0.2


def test_groups_of_copies_only():
    """Two groups of one window each, equal to each other, beside two others: all scores are finite."""
    train = outputs_of(22)
    duplicate_ids = np.arange(22)
    duplicate_ids[1] = 0
    scores = make_score().fit(
        train.evidence._replace(duplicate_ids=duplicate_ids), np.array(["a", "b", *["c"] * 10, *["d"] * 10])
    )
    assert np.isfinite(scores).all()


def test_only_equal_windows():
    """Nothing would be left: only the window itself is left out."""
    scores = make_score().fit(outputs_of(10).evidence._replace(duplicate_ids=np.zeros(10, int)))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(("noise", "share"), [(1e-4, 1.0), (1e-3, 1.0), (1e-3, 0.5), (0.5, 0.0)])
def test_near_copies_are_a_warning(noise, share, caplog):
    once = outputs_of(60)
    generator = np.random.default_rng(1)
    rows = slice(0, int(60 * share))
    near = Outputs(*(part[rows] * (1 + noise * generator.normal(size=part[rows].shape)).astype(np.float32) for part in once))
    train = Outputs(*(np.concatenate(parts) for parts in zip(once, near, strict=True)))
    make_score().fit(train.evidence)
    warnings = [record.getMessage() for record in caplog.records]
    if noise < 0.1:
        assert len(warnings) == 1
        assert f"{2 * share / (1 + share):.0%} of the training windows look like copies" in warnings[0]
    else:
        assert warnings == []


def test_mostly_duplicate_windows(rng):
    """As from an idle sensor: the scores of duplicates depend neither on rounding errors nor on the batch."""
    train = outputs_of(40)
    for part in train:
        part[:25] = part[0]
    score = make_score()
    scores = score.fit(train.evidence)
    noisy = Outputs(*(part * (1 + rng.uniform(-1e-7, 1e-7, part.shape)).astype(np.float32) for part in train))
    np.testing.assert_allclose(score.score(noisy.evidence)[:25], scores[:25], atol=1e-5)
    alone = score.score(Outputs(*(part[30:31] for part in train)).evidence)
    np.testing.assert_allclose(alone, score.score(train.evidence)[30], atol=1e-5)


def test_duplicates_of_every_window():
    """All distances to the nearest window are equal: the standard deviation of their logarithms is 0."""
    train = Outputs(*(np.repeat(part, 4, axis=0) for part in outputs_of(8)))
    score = make_score()
    np.testing.assert_allclose(score.fit(train.evidence), 0.0, atol=1e-6)
    assert (np.abs(score.score(outputs_of(5, seed=1).evidence)) < 100).all()


@pytest.mark.parametrize("count", [2, 4])
def test_identical_windows(count):
    train = Outputs(np.ones((count, 1, 2), np.float32), np.ones((count, 1, 2), np.float32), np.ones((count, 3), np.float32))
    np.testing.assert_allclose(make_score().fit(train.evidence), 0.0, atol=1e-6)


def test_scores_increase_with_distance():
    score = make_score()
    train = outputs_of(40)
    score.fit(train.evidence)
    first = Outputs(*(part[:1] for part in train))
    scores = [
        score.score(Outputs(first.error * np.float32(np.exp(shift)), first.latent + shift, first.signal + shift).evidence)[0]
        for shift in (3, 6, 12)
    ]
    assert scores[0] < scores[1] < scores[2]


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_scores_do_not_depend_on_the_batch(groups):
    score, test = make_score(), outputs_of(15, seed=1)
    score.fit(outputs_of(40).evidence, groups)
    alone = [score.score(Outputs(*(part[row : row + 1] for part in test)).evidence)[0] for row in range(15)]
    np.testing.assert_allclose(alone, score.score(test.evidence), atol=1e-6)


@pytest.mark.parametrize("groups", [None, GROUPS[::-1]])
def test_state_round_trip(groups):
    score, test = make_score(), outputs_of(15, seed=1)
    score.fit(outputs_of(40).evidence, groups)
    np.testing.assert_array_equal(restored(score).score(test.evidence), score.score(test.evidence))


@pytest.mark.parametrize(("groups", "size"), [(None, 10), (GROUPS, 8), (GROUPS, 11), (GROUPS, 2)])
def test_bank_size(groups, size):
    score = make_score(bank_size=size, seed=1)
    scores = score.fit(outputs_of(40).evidence, groups)
    expected = size if groups is None else max(size // 4, 1) * 4  # an equal share for each group, at least one window
    assert score.state()["latent.windows"].shape == (expected, 10)
    assert scores.shape == (40,)
    assert np.isfinite(scores).all()
    assert np.isfinite(score.score(outputs_of(5, seed=1).evidence)).all()


def test_density_comes_from_all_training_windows():
    """Windows with a single feature, so that nothing else depends on the selection."""
    values = np.cumsum(np.geomspace(1, 20, 40)).astype(np.float32)  # with increasing distances
    outputs = Outputs(np.exp(values / 100)[:, None, None], values[:, None, None], values[:, None])
    small, complete = make_score(bank_size=10), make_score()
    small.fit(outputs.evidence)
    complete.fit(outputs.evidence)
    states = small.state(), complete.state()
    density, expected_density = (2 * state["signal.offsets"] / np.sqrt(state["signal.weight"]) for state in states)
    np.testing.assert_allclose(density, expected_density[states[0]["signal.rows"]], rtol=1e-9)


def test_sensor_with_rounding_errors_only_does_not_mask_others(rng):
    train = outputs_of(40)
    train.signal[:, 0] = 1e9 + rng.uniform(-500, 500, 40)
    score = make_score()
    score.fit(train.evidence)
    new = outputs_of(1, seed=2)
    new.signal[:, 0] = 1e9
    scores = []
    for shift in (0, 20):
        new.signal[:, 1] += shift
        scores.append(score.score(new.evidence)[0])
    assert scores[1] > scores[0] + 1


def test_single_group_is_an_error():
    with pytest.raises(DataError, match=r"at least two values .* only p1\."):
        make_score().fit(outputs_of(4).evidence, np.array(["p1"] * 4))


@pytest.mark.parametrize("groups", [None, GROUPS[::-1]])
def test_nearest_returns_positions_of_training_windows(groups):
    """The bank has some of the windows, in another order; the nearest window of each of them is the window itself."""
    outputs = outputs_of(40)
    score = make_score(bank_size=25)
    score.fit(outputs.evidence, groups)
    found = score.nearest(outputs.evidence).numpy()
    itself = found == np.arange(40)
    assert itself.sum() == len(np.unique(found)) == len(score.state()["error.rows"]) <= 25
    loaded = restored(score)
    np.testing.assert_array_equal(loaded.nearest(outputs.evidence).numpy(), found)
