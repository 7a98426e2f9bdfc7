"""The terms of the objective against values computed by hand."""

import numpy as np
import pytest

from amsl_tf.networks.amsl import AMSLConfig
from amsl_tf.networks.losses import OutputLoss, ReconstructionLoss, ViewClassificationLoss, losses_for


def test_reconstruction_is_a_mean_over_cells_summed_over_views():
    target = np.zeros((2, 3, 4, 5), np.float32)
    prediction = np.stack([np.full((3, 4, 5), 1.0), np.full((3, 4, 5), 2.0)]).astype(np.float32)
    assert float(ReconstructionLoss()(target, prediction)) == pytest.approx((3 * 1 + 3 * 4) / 2)


def test_classification_is_summed_over_views():
    probabilities = np.array([[[0.5, 0.5], [0.25, 0.75]]], np.float32)
    classes = np.array([[0, 1]])
    assert float(ViewClassificationLoss()(classes, probabilities)) == pytest.approx(-np.log(0.5) - np.log(0.75))


def test_probability_of_zero_is_clipped():
    probabilities = np.array([[[0.0, 1.0], [0.0, 1.0]]], np.float32)
    loss = float(ViewClassificationLoss()(np.array([[0, 1]]), probabilities))
    assert loss == pytest.approx(-np.log(1e-7) - np.log(1 - 1e-7), rel=1e-4)


def test_output_loss_is_the_mean_output():
    assert float(OutputLoss()(np.zeros(2), np.array([1.0, 4.0], np.float32))) == 2.5


def test_weights_are_those_of_the_paper():
    losses, weights = losses_for(AMSLConfig())
    assert losses.keys() == weights.keys()
    assert weights == {"reconstruction": 1.0, "view_probabilities": 1.0, "memory_entropy": 0.0002}


def test_ablations_remove_terms():
    assert list(losses_for(AMSLConfig(memory="none", self_supervision=False))[0]) == ["reconstruction"]
