"""The reconstruction score, that of the paper."""

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.scoring.members.base import Evidence
from amsl_tf.scoring.members.reconstruction import Reconstruction


def test_score_is_the_sum_over_views_of_the_mean_squared_error():
    error = np.array([[[1.0, 3.0], [0.0, 2.0]], [[0.0, 0.0], [4.0, 4.0]]], np.float32)
    score = Reconstruction(DetectorConfig())
    assert score.score(Evidence(error, {})).numpy().tolist() == [3.0, 4.0]
    assert score.fit(Evidence(error, {})).tolist() == [3.0, 4.0]
    assert score.state() == {}
