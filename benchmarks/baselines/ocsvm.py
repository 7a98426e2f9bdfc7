"""One-class support vector machine (Schoelkopf et al., Neural Computation 2001), from scikit-learn.

The kernel is exp(-d^2 / D) for D standardised features.
"""

from functools import partial

import numpy as np
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import OneClassSVM

from benchmarks.baselines.interface import Score
from benchmarks.baselines.on_features import Method, fit_best


def method(nu: float) -> Method:
    """Returns the method with `nu`, the upper bound of the share of normal windows outside."""

    def fit(normal: np.ndarray) -> Score:
        # computing the kernel of many features here is faster than in libsvm
        model = OneClassSVM(nu=nu, kernel="precomputed").fit(rbf_kernel(normal))
        return lambda described: -model.decision_function(rbf_kernel(described, normal))

    return fit


fit = partial(fit_best, {f"nu {nu}": method(nu) for nu in (0.1, 0.5)})
