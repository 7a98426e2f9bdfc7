"""Scores: one number for each window, computed for each window alone; higher is more abnormal.

`SCORERS` has them all by name. What a scorer sees of the network is `Outputs`.
"""

from amsl_tf.scoring.base import Outputs, Scorer
from amsl_tf.scoring.nearest_normal import NearestNormal
from amsl_tf.scoring.reconstruction import Reconstruction

SCORERS: dict[str, type[Scorer]] = {"reconstruction": Reconstruction, "nearest_normal": NearestNormal}

__all__ = ["SCORERS", "NearestNormal", "Outputs", "Reconstruction", "Scorer"]
