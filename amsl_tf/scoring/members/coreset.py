"""Coreset selection, which bounds the memory and time of nearest-neighbour scores."""

import numpy as np
from sklearn.random_projection import GaussianRandomProjection

COLUMNS = 128  # of the random projection that distances are estimated from


def k_centres(features: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Selects a coreset with the greedy k-centre algorithm: every window is close to a selected one.

    The first window is random; each further one is the window farthest from all selected ones.

    Args:
        features: float (N, D); distances come from a random projection if D is above `COLUMNS`.
        count: The number of windows to select, 1 to N.
        seed: The seed of the first window and of the projection.

    Returns:
        int (count,), the positions of the selected windows in rising order.

    Reference:
        Roth et al., Towards Total Recall in Industrial Anomaly Detection (PatchCore), CVPR 2022.
    """
    if features.shape[1] > COLUMNS:
        features = GaussianRandomProjection(COLUMNS, random_state=seed).fit_transform(features)
    features = features.astype(np.float32)
    squares = np.einsum("nd,nd->n", features, features)
    chosen = np.empty(count, int)
    chosen[0] = np.random.default_rng(seed).integers(len(features))
    nearest = np.full(len(features), np.inf, np.float32)
    for place in range(1, count):
        last = chosen[place - 1]
        np.minimum(nearest, squares + squares[last] - 2 * (features @ features[last]), out=nearest)
        nearest[last] = -np.inf  # never twice, even among duplicates
        chosen[place] = nearest.argmax()
    return np.sort(chosen)
