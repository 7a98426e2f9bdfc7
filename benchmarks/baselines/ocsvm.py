"""One-class support vector machine (Schoelkopf et al., Neural Computation 2001) with a Gaussian kernel, with scikit-learn."""

from functools import partial

import numpy as np
from sklearn.svm import OneClassSVM

from benchmarks.baselines.interface import Score
from benchmarks.baselines.on_features import Method, fit_best


def method(nu: float) -> Method:
    """By the share of normal windows that may lie outside."""

    def fit(normal: np.ndarray) -> Score:
        model = OneClassSVM(nu=nu, gamma="scale").fit(normal)
        return lambda described: -model.decision_function(described)

    return fit


fit = partial(fit_best, {f"nu {nu}": method(nu) for nu in (0.1, 0.5)})
