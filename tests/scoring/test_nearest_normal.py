"""The nearest-normal score against values worked out by hand and a direct computation."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from amsl_tf.errors import DataError
from amsl_tf.scoring import NearestNormal, Outputs, nearest_normal


def outputs_of(count, seed=0):
    generator = np.random.default_rng(seed)
    error = generator.lognormal(size=(count, 2, 3)).astype(np.float32)
    return Outputs(error, generator.normal(size=(count, 2, 5)).astype(np.float32))


def expected(train, test, groups=None):
    """The score as the module's text has it, with whole matrices of distances."""
    total_train, total_test = 0.0, 0.0
    for kind in ("error", "latent"):
        prepare = (lambda x: np.log(x + 1e-7)) if kind == "error" else (lambda x: x)
        features, tested = (prepare(getattr(part, kind).reshape(len(part.error), -1).astype(float)) for part in (train, test))
        mean, scale = features.mean(0), features.std(0)
        features, tested = (features - mean) / scale, (tested - mean) / scale
        own = np.arange(len(features)) if groups is None else groups
        distances = cdist(features, features)
        distances[own[:, None] == own[None]] = np.inf
        nearest = distances.min(1)
        floor = 0.01 * np.median(nearest)
        logs, test_logs = (np.log(np.maximum(d, floor)) for d in (nearest, cdist(tested, features).min(1)))
        total_train = total_train + (logs - logs.mean()) / logs.std()
        total_test = total_test + (test_logs - logs.mean()) / logs.std()
    return total_train, total_test


@pytest.mark.parametrize("groups", [None, np.repeat(["a", "b", "c", "d"], 10)])
def test_against_a_direct_computation(groups):
    train, test = outputs_of(40), outputs_of(15, seed=1)
    scorer = NearestNormal()
    train_scores = scorer.fit(train, groups)
    by_hand, tested = expected(train, test, groups)
    np.testing.assert_allclose(train_scores, by_hand, atol=1e-5)
    np.testing.assert_allclose(scorer.score(test), tested, atol=1e-5)


def test_by_hand():
    """One feature of each kind that varies, windows at 0, 1, 3 and 7: their nearest are 1, 1, 2 and 4 away."""
    latent = np.array([0.0, 1.0, 3.0, 7.0], np.float32)[:, None, None]
    logs = np.log([1.0, 1.0, 2.0, 4.0])
    scorer = NearestNormal()
    scores = scorer.fit(Outputs(np.exp(latent), latent))
    np.testing.assert_allclose(scores, 2 * (logs - logs.mean()) / logs.std(), atol=1e-5)
    new = np.array([15.0], np.float32)[:, None, None]
    np.testing.assert_allclose(scorer.score(Outputs(np.exp(new), new)), 2 * (np.log(8.0) - logs.mean()) / logs.std(), atol=1e-5)


def test_repeated_windows_and_constant_features_stay_finite():
    train = outputs_of(20)
    train.latent[:, 0, 0] = 3.0
    train.error[5], train.latent[5] = train.error[4], train.latent[4]
    scorer = NearestNormal()
    scores = scorer.fit(train)
    assert np.isfinite(scores).all()
    assert np.isfinite(scorer.score(train)).all()
    assert scores[4] == scores[5] == scores.min()


def test_mostly_repeated_windows(rng):
    """An idle sensor: rounding must not decide, neither what repeats score nor what they score in another batch."""
    train = outputs_of(40)
    train.error[:25], train.latent[:25] = train.error[0], train.latent[0]
    scorer = NearestNormal()
    scores = scorer.fit(train)
    noisy = Outputs(*(part * (1 + rng.uniform(-1e-7, 1e-7, part.shape)).astype(np.float32) for part in train))
    np.testing.assert_allclose(scorer.score(noisy)[:25], scores[:25], atol=1e-5)
    alone = scorer.score(Outputs(train.error[30:31], train.latent[30:31]))
    np.testing.assert_allclose(alone, scorer.score(train)[30], atol=1e-5)


def test_only_pairs_of_repeats():
    """All distances between training windows are the same: there is no deviation of their logarithms to divide by."""
    train = outputs_of(8)
    train = Outputs(*(np.repeat(part, 4, axis=0) for part in train))
    scorer = NearestNormal()
    np.testing.assert_allclose(scorer.fit(train), 0.0, atol=1e-6)
    assert (np.abs(scorer.score(outputs_of(5, seed=1))) < 100).all()


def test_identical_windows_only():
    train = Outputs(np.ones((4, 1, 2), np.float32), np.ones((4, 1, 2), np.float32))
    assert np.isfinite(NearestNormal().fit(train)).all()


def test_what_is_further_away_scores_higher():
    scorer = NearestNormal()
    train = outputs_of(40)
    scorer.fit(train)
    shifts = [
        scorer.score(Outputs(train.error[:1] * np.float32(np.exp(by)), train.latent[:1] + np.float32(by)))[0]
        for by in (3, 6, 12)
    ]
    assert shifts == sorted(shifts)


def test_a_window_is_scored_alone():
    scorer, test = NearestNormal(), outputs_of(15, seed=1)
    scorer.fit(outputs_of(40))
    alone = [scorer.score(Outputs(*(part[row : row + 1] for part in test)))[0] for row in range(15)]
    np.testing.assert_allclose(alone, scorer.score(test), atol=1e-6)


def test_state_travels():
    scorer, test = NearestNormal(), outputs_of(15, seed=1)
    scorer.fit(outputs_of(40))
    np.testing.assert_array_equal(NearestNormal(**scorer.state()).score(test), scorer.score(test))


def test_the_bank_is_bounded(monkeypatch):
    monkeypatch.setattr(nearest_normal, "BANK_SIZE", 10)
    scorer = NearestNormal(seed=1)
    scores = scorer.fit(outputs_of(40))
    assert scorer.state()["latent.windows"].shape == (10, 10)
    assert scores.shape == (40,)
    assert np.isfinite(scores).all()


def test_one_group_only_is_refused():
    with pytest.raises(DataError, match="at least two groups"):
        NearestNormal().fit(outputs_of(4), np.array(["p1"] * 4))
