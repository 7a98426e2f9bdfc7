"""Kernel PCA with the reconstruction error in feature space (Hoffmann, Pattern Recognition 2007), from scikit-learn.

The width of the Gaussian kernel is the median distance between normal windows.
"""

from functools import partial

import numpy as np
from sklearn.decomposition import KernelPCA
from sklearn.metrics import pairwise_distances

from benchmarks.baselines.interface import Score
from benchmarks.baselines.on_features import Method, fit_best


def method(components: int) -> Method:
    """Returns the method with this number of components."""

    def fit(normal: np.ndarray) -> Score:
        distances = pairwise_distances(normal)
        width = np.median(distances[np.triu_indices_from(distances, 1)])
        kernel = _gauss(distances / width)
        model = KernelPCA(components, kernel="precomputed", eigen_solver="randomized", random_state=0).fit(kernel)
        mean = kernel.mean()

        def score(described: np.ndarray) -> np.ndarray:
            near = _gauss(pairwise_distances(described, normal) / width)
            # |phi(x) - mean of phi|^2 minus its part in the span of the components
            errors: np.ndarray = 1 - 2 * near.mean(axis=1) + mean - np.square(model.transform(near)).sum(axis=1)
            return errors

        return score

    return fit


def _gauss(distances: np.ndarray) -> np.ndarray:
    kernel: np.ndarray = np.exp(-np.square(distances))
    return kernel


fit = partial(fit_best, {f"{count} components": method(count) for count in (50, 200, 800)})
