"""P-values against values worked out by hand, simulations and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amsl_tf.errors import DataError
from amsl_tf.scoring.p_values import conformal_p_values


def test_p_values_by_hand():
    values = conformal_p_values(np.array([0, 1, 2, 2.5, 3, 9, np.inf, np.nan], np.float32), np.array([3, 1, 2, 2], np.float32))
    np.testing.assert_array_equal(values, [1, 1, 4 / 5, 2 / 5, 2 / 5, 1 / 5, 1 / 5, np.nan])
    assert values.dtype == np.float64


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1), st.lists(st.floats(width=32, allow_nan=False)))
def test_properties_of_p_values(normal, scores):
    scores = np.sort(np.array(scores, np.float32))
    values = conformal_p_values(scores, np.array(normal, np.float32))
    assert ((values > 0) & (values <= 1)).all()
    assert (np.diff(values) <= 0).all()
    np.testing.assert_allclose(values * (len(normal) + 1), [1 + sum(x >= score for x in normal) for score in scores])


def test_p_values_keep_their_promise(rng):
    """For exchangeable scores, with and without ties, P(p <= a) is at most a; without ties it is a for multiples of 1 / 20."""
    scores = rng.normal(size=(20_000, 20))
    for draws, is_exact in ((scores, True), (scores.round(), False)):
        values = np.array([conformal_p_values(row[:1], row[1:])[0] for row in draws])
        for a in (0.05, 0.1, 0.5):
            share = np.mean(values <= a)
            assert share < a + 4 * np.sqrt(a * (1 - a) / len(values))
            assert share > a - 4 * np.sqrt(a * (1 - a) / len(values)) or not is_exact


@pytest.mark.parametrize("normal", [[], [1.0, np.nan]])
def test_p_values_need_normal_scores(normal):
    with pytest.raises(DataError, match="without NaN"):
        conformal_p_values(np.array([1.0]), np.array(normal))


def test_p_values_against_nonconform(rng):
    nonconform = pytest.importorskip("nonconform")
    normal, scores = rng.normal(size=(2, 50)).round(1)
    np.testing.assert_allclose(conformal_p_values(scores, normal), nonconform.Empirical().compute_p_values(scores, normal))
