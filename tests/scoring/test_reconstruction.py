"""The paper's score."""

import numpy as np

from amsl_tf.scoring import Outputs, Reconstruction


def test_it_is_the_sum_over_views_of_the_mean_squared_error():
    error = np.array([[[1.0, 3.0], [0.0, 2.0]], [[0.0, 0.0], [4.0, 4.0]]], np.float32)
    outputs = Outputs(error, np.zeros((2, 2, 1), np.float32), np.zeros((2, 1), np.float32))
    assert Reconstruction().score(outputs).numpy().tolist() == [3.0, 4.0]
    assert Reconstruction().fit(outputs).tolist() == [3.0, 4.0]
    assert Reconstruction().state() == {}
