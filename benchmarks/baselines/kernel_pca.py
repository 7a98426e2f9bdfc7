"""Kernel PCA, by the error of the reconstruction in feature space (Hoffmann, Pattern Recognition 2007), with scikit-learn.

A Gaussian kernel whose width is the median distance of normal windows.
"""

from functools import partial

import numpy as np
from sklearn.decomposition import KernelPCA
from sklearn.metrics import pairwise_distances

from benchmarks.baselines.interface import Score
from benchmarks.baselines.on_features import Method, fit_best


def method(components: int) -> Method:
    """By the number of components."""

    def fit(normal: np.ndarray) -> Score:
        distances = pairwise_distances(normal)
        width = np.median(distances[np.triu_indices_from(distances, 1)])
        kernel = _gauss(distances / width)
        model = KernelPCA(components, kernel="precomputed", eigen_solver="randomized", random_state=0).fit(kernel)
        mean = kernel.mean()

        def score(described: np.ndarray) -> np.ndarray:
            near = _gauss(pairwise_distances(described, normal) / width)
            # |phi(x) - mean of phi|^2, less what the components hold of it
            errors: np.ndarray = 1 - 2 * near.mean(axis=1) + mean - np.square(model.transform(near)).sum(axis=1)
            return errors

        return score

    return fit


def _gauss(distances: np.ndarray) -> np.ndarray:
    kernel: np.ndarray = np.exp(-np.square(distances))
    return kernel


fit = partial(fit_best, {f"{count} components": method(count) for count in (50, 200, 800)})
