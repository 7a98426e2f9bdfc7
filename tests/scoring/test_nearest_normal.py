"""The nearest-normal score against values worked out by hand and a direct computation."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from amsl_tf.errors import DataError
from amsl_tf.scoring import NearestNormal, Outputs

GROUPS = np.repeat(["a", "b", "c", "d"], 10)


def outputs_of(count, seed=0):
    generator = np.random.default_rng(seed)
    error = generator.lognormal(size=(count, 2, 3)).astype(np.float32)
    latent = generator.normal(size=(count, 2, 5)).astype(np.float32)
    return Outputs(error, latent, generator.normal(size=(count, 4)).astype(np.float32))


def relative(logs, groups):
    """The smallest, or the mean of the smallest of the two best groups; of two groups, of the better one."""
    if groups is None:
        return logs.min()
    best = sorted(logs[groups == group].min() for group in np.unique(groups))
    return np.mean(best[: min(2, len(best) - 1)])


def expected(train, test, groups=None):
    """The score as docs/method.md has it, with whole matrices of distances, window by window."""
    total_train, total_test, weights = 0.0, 0.0, 0.0
    for kind in ("error", "latent", "signal"):
        prepare = (lambda x: np.log(x + 1e-7)) if kind == "error" else (lambda x: x)
        features, tested = (prepare(getattr(part, kind).reshape(len(part.error), -1).astype(float)) for part in (train, test))
        mean, scale = features.mean(0), features.std(0)
        features, tested = (features - mean) / scale, (tested - mean) / scale
        count = len(features)
        own = np.arange(count) if groups is None else groups
        same = own[:, None] == own[None]
        nearest = np.where(same, np.inf, cdist(features, features)).argmin(1)
        moved = np.mean((features - features[nearest]) ** 2, axis=0)
        shrink = np.sqrt(1 + moved / moved.mean())
        features, tested = features / shrink, tested / shrink
        distances = cdist(features, features)
        others = np.where(same, np.inf, distances)
        nearest, away = others.argmin(1), others.min(1)
        floor = 0.01 * np.median(away)
        around = np.sort(np.where(np.eye(count, dtype=bool), np.inf, distances), axis=1)[:, :5]
        spacing = np.log(np.maximum(around, floor)).mean(1)
        slope = np.clip(np.polyfit(spacing[nearest], np.log(np.maximum(away, floor)), 1)[0], 0, 1)

        offsets = slope / 2 * spacing if groups is None else 0.0
        logs, test_logs = (
            np.array([relative(np.log(np.maximum(row, floor)) - offsets, groups) for row in rows])
            for rows in (others, cdist(tested, features))
        )
        weight = max(slope**2, 1e-3)
        total_train = total_train + weight * (logs - logs.mean()) / logs.std()
        total_test = total_test + weight * (test_logs - logs.mean()) / logs.std()
        weights += weight
    return total_train / weights, total_test / weights


@pytest.mark.parametrize("groups", [None, GROUPS, np.tile(["b", "a"], 20)])
def test_against_a_direct_computation(groups):
    train, test = outputs_of(40), outputs_of(15, seed=1)
    scorer = NearestNormal()
    train_scores = scorer.fit(train, groups)
    by_hand, tested = expected(train, test, groups)
    np.testing.assert_allclose(train_scores, by_hand, atol=1e-5)
    np.testing.assert_allclose(scorer.score(test), tested, atol=1e-5)


def test_by_hand():
    """Windows at 0, 2, 4, 6 and 16 in every kind: the nearest are 2, 2, 2, 2 and 10 away; spacing is that to all others."""
    at = np.array([0.0, 2, 4, 6, 16])
    distances = np.abs(at[:, None] - at)
    spacing = np.array([np.log(np.delete(row, place)).mean() for place, row in enumerate(distances)])
    nearest = np.array([1, 0, 1, 2, 3])  # of two that are as near, the first
    logs = np.log([2.0, 2, 2, 2, 10])
    slope = np.clip(np.polyfit(spacing[nearest], logs, 1)[0], 0, 1)
    left_out = np.array(
        [np.delete(np.log(np.maximum(row, 1e-9)) - slope / 2 * spacing, place).min() for place, row in enumerate(distances)]
    )
    values = at.astype(np.float32)
    scorer = NearestNormal()
    scores = scorer.fit(Outputs(np.exp(values)[:, None, None], values[:, None, None], values[:, None]))
    np.testing.assert_allclose(scores, (left_out - left_out.mean()) / left_out.std(), atol=1e-4)


def test_what_is_far_where_normal_windows_are_close_scores_higher():
    """Two heaps, one ten times as wide: the same step out of the narrow one is the more abnormal."""
    generator = np.random.default_rng(0)
    heaps = np.concatenate([generator.normal(0, 0.1, (50, 2)), generator.normal(100, 1.0, (50, 2))]).astype(np.float32)
    scorer = NearestNormal()
    scorer.fit(Outputs(np.exp(heaps / 100)[:, None], heaps[:, None], heaps))
    new = np.array([[2.0, 0.0], [100 + 2.0, 100.0]], np.float32)
    narrow, wide = scorer.score(Outputs(np.exp(new / 100)[:, None], new[:, None], new))
    assert narrow > wide + 1


def test_a_kind_that_differs_from_group_to_group_counts_little():
    """The signal's spacing tells how far other people are; the latent is each person's own."""
    generator = np.random.default_rng(0)
    spread = np.tile(np.geomspace(0.01, 1, 10), 4)[:, None]
    signal = (np.tile(np.arange(10) * 100.0, 4)[:, None] + spread * generator.normal(size=(40, 3))).astype(np.float32)
    latent = (np.repeat(np.arange(4) * 100.0, 10)[:, None, None] + generator.normal(size=(40, 1, 3))).astype(np.float32)
    scorer = NearestNormal()
    scorer.fit(Outputs(np.exp(latent / 100), latent, signal), GROUPS)
    state = scorer.state()
    assert state["signal.weight"] > 9 * state["latent.weight"]


def test_repeated_windows_and_constant_features_stay_finite():
    train = outputs_of(20)
    train.latent[:, 0, 0] = 3.0
    for part in train:
        part[5] = part[4]
    scorer = NearestNormal()
    scores = scorer.fit(train)
    assert np.isfinite(scores).all()
    assert np.isfinite(scorer.score(train)).all()
    assert scores[4] == pytest.approx(scores[5], abs=1e-6)
    assert scores[4] == pytest.approx(scores.min(), abs=1e-6)


def test_mostly_repeated_windows(rng):
    """An idle sensor: rounding must not decide, neither what repeats score nor what they score in another batch."""
    train = outputs_of(40)
    for part in train:
        part[:25] = part[0]
    scorer = NearestNormal()
    scores = scorer.fit(train)
    noisy = Outputs(*(part * (1 + rng.uniform(-1e-7, 1e-7, part.shape)).astype(np.float32) for part in train))
    np.testing.assert_allclose(scorer.score(noisy)[:25], scores[:25], atol=1e-5)
    alone = scorer.score(Outputs(*(part[30:31] for part in train)))
    np.testing.assert_allclose(alone, scorer.score(train)[30], atol=1e-5)


def test_only_pairs_of_repeats():
    """All distances between training windows are the same: there is no deviation of their logarithms to divide by."""
    train = Outputs(*(np.repeat(part, 4, axis=0) for part in outputs_of(8)))
    scorer = NearestNormal()
    np.testing.assert_allclose(scorer.fit(train), 0.0, atol=1e-6)
    assert (np.abs(scorer.score(outputs_of(5, seed=1))) < 100).all()


@pytest.mark.parametrize("count", [2, 4])
def test_identical_windows_only(count):
    train = Outputs(np.ones((count, 1, 2), np.float32), np.ones((count, 1, 2), np.float32), np.ones((count, 3), np.float32))
    assert np.isfinite(NearestNormal().fit(train)).all()


def test_what_is_further_away_scores_higher():
    scorer = NearestNormal()
    train = outputs_of(40)
    scorer.fit(train)
    first = Outputs(*(part[:1] for part in train))
    shifts = [
        scorer.score(Outputs(first.error * np.float32(np.exp(by)), first.latent + by, first.signal + by))[0]
        for by in (3, 6, 12)
    ]
    assert shifts == sorted(shifts)


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_a_window_is_scored_alone(groups):
    scorer, test = NearestNormal(), outputs_of(15, seed=1)
    scorer.fit(outputs_of(40), groups)
    alone = [scorer.score(Outputs(*(part[row : row + 1] for part in test)))[0] for row in range(15)]
    np.testing.assert_allclose(alone, scorer.score(test), atol=1e-6)


@pytest.mark.parametrize("groups", [None, GROUPS[::-1]])
def test_state_travels(groups):
    scorer, test = NearestNormal(), outputs_of(15, seed=1)
    scorer.fit(outputs_of(40), groups)
    np.testing.assert_array_equal(NearestNormal(**scorer.state()).score(test), scorer.score(test))


@pytest.mark.parametrize(("groups", "size"), [(None, 10), (GROUPS, 8), (GROUPS, 11), (GROUPS, 2)])
def test_the_bank_is_bounded(groups, size):
    scorer = NearestNormal(bank_size=size, seed=1)
    scores = scorer.fit(outputs_of(40), groups)
    kept = size if groups is None else max(size // 4, 1) * 4  # each group its share, at least one
    assert scorer.state()["latent.windows"].shape == (kept, 10)
    assert scores.shape == (40,)
    assert np.isfinite(scores).all()
    assert np.isfinite(scorer.score(outputs_of(5, seed=1))).all()


def test_the_spacing_is_that_of_all_training_windows_where_the_bank_keeps_some():
    """Windows of one number, so that nothing else depends on which are kept."""
    values = np.cumsum(np.geomspace(1, 20, 40)).astype(np.float32)  # ever further apart
    outputs = Outputs(np.exp(values / 100)[:, None, None], values[:, None, None], values[:, None])
    small, whole = NearestNormal(bank_size=10), NearestNormal()
    small.fit(outputs)
    whole.fit(outputs)
    kept, full = small.state(), whole.state()
    of_kept, of_all = (2 * state["signal.offsets"] / np.sqrt(state["signal.weight"]) for state in (kept, full))
    np.testing.assert_allclose(of_kept, of_all[kept["signal.rows"]], rtol=1e-9)


def test_a_sensor_that_stands_still_but_for_rounding_does_not_drown_the_others(rng):
    train = outputs_of(40)
    train.signal[:, 0] = 1e9 + rng.uniform(-500, 500, 40)
    scorer = NearestNormal()
    scorer.fit(train)
    new = outputs_of(1, seed=2)
    new.signal[:, 0] = 1e9
    scores = []
    for by in (0, 20):
        new.signal[:, 1] += by
        scores.append(scorer.score(new)[0])
    assert scores[1] > scores[0] + 1


def test_one_group_only_is_refused():
    with pytest.raises(DataError, match="at least two groups"):
        NearestNormal().fit(outputs_of(4), np.array(["p1"] * 4))


@pytest.mark.parametrize("groups", [None, GROUPS[::-1]])
def test_the_nearest_window_is_named_by_its_position_in_training(groups):
    """Also where the bank keeps only some windows, in another order: each of those finds itself."""
    outputs = outputs_of(40)
    scorer = NearestNormal(bank_size=25)
    scorer.fit(outputs, groups)
    found = scorer.nearest(outputs).numpy()
    itself = found == np.arange(40)
    assert itself.sum() == len(np.unique(found)) == len(scorer.state()["error.rows"]) <= 25
    loaded = NearestNormal(**scorer.state())
    np.testing.assert_array_equal(loaded.nearest(outputs).numpy(), found)


def test_the_usual_error_is_the_geometric_mean():
    outputs = outputs_of(40)
    scorer = NearestNormal()
    scorer.fit(outputs)
    expected = np.exp(np.log(outputs.error.astype(float) + 1e-7).mean(axis=0))
    np.testing.assert_allclose(scorer.usual_error.reshape(2, 3), expected, rtol=1e-6)
