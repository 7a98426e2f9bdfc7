"""The volume under the surface against the reference implementation, by hand, and its properties."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from amsl_tf.errors import DataError
from amsl_tf.evaluation.volume import find_ranges, volume_under_surface

REFERENCE = [  # seed, steps, anomalies, buffer, VUS-ROC and VUS-PR of the package vus 0.0.6 (version opt, 250 thresholds)
    (0, 400, [(50, 60), (200, 230), (390, 400)], 20, 0.9341121010678438, 0.7204664587108968),
    (1, 400, [(0, 5), (8, 9), (100, 150)], 31, 0.9475371569419042, 0.7333370832765725),
    (2, 300, [(299, 300)], 10, 0.8729096989966554, 0.02564102564102564),
    (3, 1000, [(10, 20), (30, 40), (60, 61), (500, 600)], 50, 0.9304246331440607, 0.7017432426586939),
    (4, 200, [(20, 40)], 0, 0.8447222222222223, 0.5217926451855359),
    (5, 3000, [(start, start + 20) for start in range(100, 2900, 300)], 100, 0.9628588635495735, 0.6733762842626975),
]


def series(seed, count, anomalies):
    generator, labels = np.random.default_rng(seed), np.zeros(count, int)
    for start, end in anomalies:
        labels[start:end] = 1
    scores = generator.normal(size=count) + 2 * np.convolve(labels, np.ones(7) / 7, "same")
    return labels, np.round(scores, 1) if seed % 3 == 1 else scores  # some with ties


@pytest.mark.parametrize(("seed", "count", "anomalies", "buffer", "roc", "pr"), REFERENCE)
def test_against_the_reference_implementation(seed, count, anomalies, buffer, roc, pr):
    volume = volume_under_surface(*series(seed, count, anomalies), buffer)
    assert volume.roc == pytest.approx(roc, abs=1e-12)
    assert volume.pr == pytest.approx(pr, abs=1e-12)


def test_without_buffer_and_with_single_steps_it_is_the_area_by_time_step(rng):
    """One anomaly of one step, a threshold for each step: existence and recall are the same."""
    labels, scores = np.zeros(50, int), rng.normal(size=50)
    labels[20] = 1
    volume = volume_under_surface(labels, scores, 0, thresholds=50)
    assert volume.roc == pytest.approx(roc_auc_score(labels, scores))
    assert volume.pr == pytest.approx(average_precision_score(labels, scores))


def test_a_late_score_counts_in_part():
    labels, late = np.zeros(100, int), np.zeros(100)
    labels[40:50], late[52] = 1, 1.0
    assert volume_under_surface(labels, late, 0).pr < volume_under_surface(labels, late, 20).pr
    assert volume_under_surface(labels, labels.astype(float), 0) == pytest.approx((1.0, 1.0))


def test_monotonic_functions_of_the_scores_do_not_matter(rng):
    labels, scores = series(3, 500, [(100, 130)])
    assert volume_under_surface(labels, scores, 30) == volume_under_surface(labels == 1, np.exp(scores), 30)


def test_ranges():
    starts, ends = find_ranges(np.array([1, 1, 0, 1, 0, 0, 1], bool))
    assert (starts.tolist(), ends.tolist()) == ([0, 3, 6], [1, 3, 6])


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1, 0], [0.0, 1.0], "of one length"),
        ([0, 1, 0], [0.0, np.nan, 1.0], "must be finite. Received: 1 is not"),
        ([0, 0, 0], [0.0, 1.0, 2.0], "only one class"),
        ([1, 1, 1], [0.0, 1.0, 2.0], "only one class"),
    ],
)
def test_invalid_input_is_an_error(labels, scores, message):
    with pytest.raises(DataError, match=message):
        volume_under_surface(np.array(labels), np.array(scores), 1)
