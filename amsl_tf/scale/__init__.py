"""Fitting and scoring many recordings with Ray, on one machine or a cluster.

Needs the extra `scale`. The numbers are those of `AMSLDetector`: workers run the same code on one recording each.
"""

from amsl_tf.scale.fitting import fit_recordings
from amsl_tf.scale.scoring import score_recordings

__all__ = ["fit_recordings", "score_recordings"]
