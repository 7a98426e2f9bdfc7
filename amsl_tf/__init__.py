"""amsl_tf: anomaly detection in windows of multivariate sensor data, with AMSL on TensorFlow 2 and Keras 3.

Public names are imported when they are first used, so that `import amsl_tf` imports neither TensorFlow nor Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from amsl_tf._version import __version__

_MODULES = {
    "AMSLConfig": "networks.amsl",
    "AMSLDetector": "detector",
    "AMSLError": "errors",
    "CAEConfig": "networks.autoencoder",
    "DATASETS": "datasets",
    "DataError": "errors",
    "Dataset": "datasets.base",
    "DetectorConfig": "config",
    "FEATURES": "scoring",
    "MEMBERS": "scoring.ensemble",
    "MNADConfig": "networks.mnad",
    "MemAEConfig": "networks.memae",
    "Member": "scoring.ensemble.member",
    "NETWORKS": "networks",
    "NetworkConfig": "networks",
    "RFTMConfig": "networks.rftm",
    "MergeRule": "scoring.events",
    "Reading": "data.reading",
    "Recording": "data.recordings",
    "Recordings": "data.recordings",
    "SCORES": "scoring",
    "Score": "scoring.members.base",
    "Series": "datasets.series",
    "SeriesDataset": "datasets.series",
    "TrainingConfig": "config",
    "VIEWS": "views",
    "View": "views",
    "Windows": "data.windows",
    "load_dataset": "datasets",
    "load_series": "datasets",
}
__all__ = sorted(_MODULES)

if TYPE_CHECKING:
    from amsl_tf.config import DetectorConfig, TrainingConfig
    from amsl_tf.data.reading import Reading
    from amsl_tf.data.recordings import Recording, Recordings
    from amsl_tf.data.windows import Windows
    from amsl_tf.datasets import DATASETS, load_dataset, load_series
    from amsl_tf.datasets.base import Dataset
    from amsl_tf.datasets.series import Series, SeriesDataset
    from amsl_tf.detector import AMSLDetector
    from amsl_tf.errors import AMSLError, DataError
    from amsl_tf.networks import NETWORKS, NetworkConfig
    from amsl_tf.networks.amsl import AMSLConfig
    from amsl_tf.networks.autoencoder import CAEConfig
    from amsl_tf.networks.memae import MemAEConfig
    from amsl_tf.networks.mnad import MNADConfig
    from amsl_tf.networks.rftm import RFTMConfig
    from amsl_tf.scoring import FEATURES, SCORES
    from amsl_tf.scoring.ensemble import MEMBERS
    from amsl_tf.scoring.ensemble.member import Member
    from amsl_tf.scoring.events import MergeRule
    from amsl_tf.scoring.members.base import Score
    from amsl_tf.views import VIEWS, View


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
