"""Kernel PCA, by the error of the reconstruction in feature space (Hoffmann, Pattern Recognition 2007), with scikit-learn.

A Gaussian kernel whose width is the median distance of normal windows.
"""

from functools import partial

import numpy as np
from sklearn.decomposition import KernelPCA
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import rbf_kernel

from benchmarks.baselines.interface import Score
from benchmarks.baselines.on_features import Method, fit_best

SAMPLE = 1000  # windows that the median distance is taken of


def method(components: int) -> Method:
    """By the number of components."""

    def fit(normal: np.ndarray) -> Score:
        few = normal[np.random.default_rng(0).permutation(len(normal))[:SAMPLE]]
        gamma = float(1 / np.median(pairwise_distances(few)) ** 2)
        model = KernelPCA(components, kernel="rbf", gamma=gamma, eigen_solver="randomized", random_state=0).fit(normal)
        mean = rbf_kernel(normal, gamma=gamma).mean()

        def score(described: np.ndarray) -> np.ndarray:
            # |phi(x) - mean of phi|^2, less what the components hold of it
            length = 1 - 2 * rbf_kernel(described, normal, gamma=gamma).mean(axis=1) + mean
            return length - np.square(model.transform(described)).sum(axis=1)

        return score

    return fit


fit = partial(fit_best, {f"{count} components": method(count) for count in (50, 200)})
