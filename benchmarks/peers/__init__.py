"""The peers: detectors of other authors for series and windows, one module for each, behind one interface.

Each has one setting for all data sets, from its paper or from the benchmark TSB-AD (Liu and Paparrizos, NeurIPS 2024: the
settings of the multivariate track, tuned on series that its evaluation leaves out).
"""

from collections.abc import Sequence

import numpy as np

from amsl_tf.errors import DataError
from amsl_tf.registry import Registry
from benchmarks.packages import installed_packages
from benchmarks.peers.interface import Fit, Score
from benchmarks.peers.scaling import fit_scaling

MIN_WINDOW = 9  # rows, the length of the kernels of MiniRocket

PEERS: Registry[Fit] = Registry(
    "peer",
    {
        "random": "benchmarks.peers.random:fit",
        "z_score": "benchmarks.peers.z_score:fit",
        "pca_steps": "benchmarks.peers.pca:fit_steps",
        "pca_windows": "benchmarks.peers.pca:fit_windows",
        "knn": "benchmarks.peers.knn:fit",
        "lof": "benchmarks.peers.lof:fit",
        "isolation_forest": "benchmarks.peers.isolation_forest:fit",
        "ocsvm": "benchmarks.peers.ocsvm:fit",
        "ecod": "benchmarks.peers.ecod:fit",
        "hbos": "benchmarks.peers.hbos:fit",
        "knn_spectra": "benchmarks.peers.knn_spectra:fit",
        "nearest_windows": "benchmarks.peers.nearest_windows:fit",
        "minirocket": "benchmarks.peers.minirocket:fit",
        "kmeans": "benchmarks.peers.kmeans:fit",
        "matrix_profile": "benchmarks.peers.matrix_profile:fit",
        "cnn": "benchmarks.peers.cnn:fit",
        "autoencoder": "benchmarks.peers.autoencoder:fit",
        "paano": "benchmarks.peers.paano:fit",
    },
)


def fit_peer(name: str, recordings: Sequence[np.ndarray], window: int, seed: int) -> Score:
    """Fits a peer to normal recordings, whose mean and standard deviation also scale the channels of all others.

    Args:
        name: A name in `PEERS`.
        recordings: (rows, C), finite, in any unit. Those shorter than a window count for the methods on time steps only.
        window: T, the window of the data set.
        seed: The seed of a method that is random.

    Returns:
        The score of recordings in the same units, (rows, C) with at least T rows.

    Raises:
        AMSLError: There is no such peer, or a package that it needs is not installed.
        DataError: The window, or a recording, is too short; a recording has other channels, or a value that is not finite. The
            score raises it too.
    """
    with installed_packages(name):
        fit = PEERS[name]
    if window < MIN_WINDOW:
        raise DataError(f"the window of a peer must have at least {MIN_WINDOW} rows. Received: {window}.")
    longest = max((len(recording) for recording in recordings), default=0)
    if longest < window:
        raise DataError(f"a training recording must have at least {window} rows, one window. Received: at most {longest}.")
    scale = fit_scaling(recordings)
    score = fit([scale(recording) for recording in recordings], window, seed)

    def score_recordings(others: Sequence[np.ndarray]) -> list[np.ndarray]:
        shortest = min((len(recording) for recording in others), default=window)
        if shortest < window:
            raise DataError(f"a recording must have at least {window} rows, one window, to be scored. Received: {shortest}.")
        return score([scale(recording) for recording in others])

    return score_recordings
