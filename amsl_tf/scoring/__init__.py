"""Scores: one number for each window, computed for each window alone; higher is more abnormal.

`SCORES` is the registry of the scores, `FEATURES` that of the features which scores are computed from. From a window to its
score: `AMSLDetector.decision_function` (`detection.py`) runs `ScoringPipeline` (`pipeline.py`: views, network, features);
its last step is a `Score`, by default `Ensemble` in `ensemble/`; those that use a network are in `members/`.
"""

from typing import TYPE_CHECKING

from amsl_tf.registry import Registry

if TYPE_CHECKING:
    from amsl_tf.scoring.features import Feature
    from amsl_tf.scoring.members.base import Score

DIAGNOSTICS = ("right_view", "entropy", "view_error")  # reported for a window beside its scores

SCORES: Registry[type["Score"]] = Registry(
    "score",
    {
        "ensemble": "amsl_tf.scoring.ensemble.ensemble:Ensemble",
        "nearest_normal": "amsl_tf.scoring.members.nearest_normal:NearestNormal",
        "reconstruction": "amsl_tf.scoring.members.reconstruction:Reconstruction",
    },
    attributes=("features", "fit", "score", "state", "restore"),
    reserved=DIAGNOSTICS,
)
FEATURES: Registry["Feature"] = Registry(
    "feature",
    {
        "error": "amsl_tf.scoring.features.reconstruction_error:log_errors",
        "latent": "amsl_tf.scoring.features.latent:flat_latents",
        "signal": "amsl_tf.scoring.features.signal:signal_features",
    },
    attributes=("__call__",),
)

__all__ = ["DIAGNOSTICS", "FEATURES", "SCORES"]
