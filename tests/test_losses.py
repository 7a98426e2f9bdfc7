"""The terms of the objective against values worked out by hand."""

import numpy as np
import pytest

from amsl_tf.losses import OutputLoss, ReconstructionLoss, ViewClassificationLoss, losses_for
from amsl_tf.model_config import AMSLConfig


def test_reconstruction_is_a_mean_over_cells_summed_over_views():
    target = np.zeros((2, 3, 4, 5), np.float32)
    made = np.stack([np.full((3, 4, 5), 1.0), np.full((3, 4, 5), 2.0)]).astype(np.float32)
    assert float(ReconstructionLoss()(target, made)) == pytest.approx((3 * 1 + 3 * 4) / 2)


def test_classification_is_summed_over_views():
    probabilities = np.array([[[0.5, 0.5], [0.25, 0.75]]], np.float32)
    classes = np.array([[0, 1]])
    assert float(ViewClassificationLoss()(classes, probabilities)) == pytest.approx(-np.log(0.5) - np.log(0.75))


def test_a_probability_of_zero_is_safe():
    probabilities = np.array([[[0.0, 1.0], [0.0, 1.0]]], np.float32)
    assert np.isfinite(float(ViewClassificationLoss()(np.array([[0, 1]]), probabilities)))


def test_entropy_is_its_own_loss():
    assert float(OutputLoss()(np.zeros(2), np.array([1.0, 4.0], np.float32))) == 2.5


def test_weights_are_the_papers_lambdas():
    losses, weights = losses_for(AMSLConfig())
    assert losses.keys() == weights.keys()
    assert weights == {"reconstruction": 1.0, "view_probabilities": 1.0, "memory_entropy": 0.0002}


def test_ablations_drop_their_terms():
    assert list(losses_for(AMSLConfig(memory="none", self_supervision=False))[0]) == ["reconstruction"]
