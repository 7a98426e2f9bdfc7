"""The choice of windows that stand for all."""

import numpy as np

from amsl_tf.scoring.coreset import k_centres


def radius(features, chosen):
    return np.linalg.norm(features[:, None] - features[chosen], axis=2).min(axis=1).max()


def test_by_hand():
    """Three heaps: whichever comes first, the next two are of the others."""
    features = np.array([[0.0], [0.1], [10.0], [10.2], [30.0]])
    for seed in range(5):
        assert {int(features[place, 0] // 10) for place in k_centres(features, 3, seed)} == {0, 1, 3}


def test_no_window_is_farther_than_the_chosen_are_from_each_other(rng):
    """What makes the greedy choice at most twice as far as the best (Gonzalez 1985)."""
    features = rng.normal(size=(200, 3))
    chosen = k_centres(features, 20, seed=0)
    assert len(set(chosen.tolist())) == 20
    between = np.linalg.norm(features[chosen][:, None] - features[chosen], axis=2)
    assert radius(features, chosen) <= between[np.triu_indices(20, 1)].min() + 1e-5


def test_repeats_and_all(rng):
    assert k_centres(np.zeros((4, 2)), 3, seed=0).tolist() == sorted(set(k_centres(np.zeros((4, 2)), 3, seed=0).tolist()))
    assert k_centres(rng.normal(size=(6, 2)), 6, seed=0).tolist() == [0, 1, 2, 3, 4, 5]


def test_many_columns(rng):
    """Projected: two heaps far apart are still both chosen."""
    features = rng.normal(size=(40, 500))
    features[20:] += 100
    assert {place // 20 for place in k_centres(features, 2, seed=0)} == {0, 1}
