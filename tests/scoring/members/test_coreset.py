"""Coreset selection with the greedy k-centre algorithm."""

import numpy as np

from amsl_tf.scoring.members.coreset import k_centres


def radius(features, selected):
    """Computes the largest distance of a window to its nearest selected window."""
    return np.linalg.norm(features[:, None] - features[selected], axis=2).min(axis=1).max()


def test_selection_by_hand():
    """Three clusters: the second and the third window come from the clusters without a selected window."""
    features = np.array([[0.0], [0.1], [10.0], [10.2], [30.0]])
    for seed in range(5):
        assert {int(features[row, 0] // 10) for row in k_centres(features, 3, seed)} == {0, 1, 3}


def test_radius_is_at_most_the_smallest_distance_between_selected_windows(rng):
    """From this property follows that the radius is at most twice the optimum (Gonzalez 1985)."""
    features = rng.normal(size=(200, 3))
    selected = k_centres(features, 20, seed=0)
    assert len(set(selected.tolist())) == 20
    between = np.linalg.norm(features[selected][:, None] - features[selected], axis=2)
    assert radius(features, selected) <= between[np.triu_indices(20, 1)].min() + 1e-5


def test_duplicates_and_complete_selection(rng):
    rows = k_centres(np.zeros((4, 2)), 3, seed=0).tolist()
    assert rows == sorted(set(rows))
    assert len(rows) == 3
    assert set(rows) < {0, 1, 2, 3}
    assert k_centres(rng.normal(size=(6, 2)), 6, seed=0).tolist() == [0, 1, 2, 3, 4, 5]


def test_many_columns(rng):
    """With a random projection, a window of each of two distant clusters is selected."""
    features = rng.normal(size=(40, 500))
    features[20:] += 100
    assert {row // 20 for row in k_centres(features, 2, seed=0)} == {0, 1}
