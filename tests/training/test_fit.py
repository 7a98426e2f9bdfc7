"""Training on channels that are constant or nearly constant, and on an outlier."""

import numpy as np
import pytest

from tests.conftest import make_detector

MOVING, STEP, OUTLIER = 3, 4, 2  # channels


@pytest.fixture(scope="module")
def windows(waves):
    """The waves of three channels, one with an outlier of 1e6; a constant channel; a constant one with a step in one window."""
    constant = np.full((*waves.shape[:2], 2), 0.5, np.float32)
    x = np.concatenate([waves, constant], axis=2)
    x[7, 15:, STEP] += 1e-3
    x[6, 9, OUTLIER] = 1e6
    return x


@pytest.fixture(scope="module")
def fitted(windows):
    """A detector whose permuted view moves the step and the outlier to other time steps in every epoch."""
    return make_detector(views=["raw", "permuted"], num_slots=5, epochs=3, mixed_precision="off", seed=1).fit(windows)


def test_losses_stay_moderate(fitted):
    """The clipped outlier adds 100^2 / (24 x 5) = 83.3 to the loss of one of 32 windows, from epoch 2 on: 2.6 to the mean.

    Without it, the loss of each of two views is below 0.35 for the reconstruction and close to log 2 for the classifier.
    """
    usual = 2 * (0.35 + np.log(2))
    first, *later = fitted.history_["loss"]
    assert first < usual
    assert max(fitted.history_["val_loss"]) < usual
    assert min(later) > 2.5
    assert max(later) < usual + 2.6


@pytest.mark.parametrize(("distance", "clipped", "change"), [(5.0, 5.0, 1.5), (1e6, 100.0, 10.0), (-1e6, -100.0, 10.0)])
def test_constant_channel_that_moves_is_an_anomaly_of_that_channel(fitted, windows, distance, clipped, change):
    """It moves in 12 of 24 time steps of both views. Reconstructions lie in [0, 1], which bounds its error.

    The errors of other channels, which the encoder does not separate, change by the factor `change` at most.
    """
    normal = windows[10:20]
    moved = normal.copy()
    moved[:, 6:18, MOVING] += distance
    before, after = fitted.reconstruct(normal).channel_error, fitted.reconstruct(moved).channel_error
    assert (after.argmax(axis=1) == MOVING).all()
    least, most = sorted((clipped**2, (clipped - 1) ** 2))
    assert (after[:, MOVING] >= least).all()
    assert (after[:, MOVING] <= most + 1).all()
    assert (np.delete(after, MOVING, axis=1) < change * np.delete(before, MOVING, axis=1)).all()
