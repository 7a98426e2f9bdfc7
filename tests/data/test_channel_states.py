"""The names of the states of channels."""

import numpy as np

from amsl_tf.data.channel_states import DEAD, MISSING, STUCK, name_states


def test_channels_that_are_not_healthy_are_named():
    health = np.array([[0, 0, 0], [0, DEAD, 0], [MISSING, 0, STUCK]])
    assert name_states(health, ["x", "y", "z"]) == ["", "y dead", "x missing; z stuck"]
    assert name_states(health) == ["", "channel 1 dead", "channel 0 missing; channel 2 stuck"]
    assert name_states(health[:0]) == []
