"""A few windows that stand for many: so memory and time of a nearest-neighbour score stay bounded."""

import numpy as np
from sklearn.random_projection import GaussianRandomProjection

COLUMNS = 128  # that distances are estimated from


def k_centres(features: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Chooses windows so that every window is near to one of them: the k-centre greedy choice of PatchCore (Roth et al. 2022).

    The first is drawn at random; each next one is the window that is farthest from all that were chosen.

    Args:
        features: (N, D); distances come from a random projection where D is above `COLUMNS`.
        count: How many to choose, at most N.
        seed: Of the first window and of the projection.

    Returns:
        Their positions (count,), in rising order.
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
        nearest[last] = -np.inf  # never twice, not even among repeats
        chosen[place] = nearest.argmax()
    return np.sort(chosen)
