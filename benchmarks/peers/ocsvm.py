"""One-class support vector machine of time steps (Schoelkopf et al., Neural Computation 2001), from scikit-learn.

Settings of TSB-AD: at most 10 % of the training time steps outside, and the kernel exp(-d^2 / C) for C standardised channels.
"""

import numpy as np
from sklearn.svm import OneClassSVM

from benchmarks.peers.adaptors import MAX_ITEMS, on_time_steps
from benchmarks.peers.interface import ItemScore

NU = 0.1


def method(normal: np.ndarray, seed: int) -> ItemScore:
    """Fits the machine to time steps (N, C)."""
    model = OneClassSVM(nu=NU, gamma="auto").fit(normal)
    return lambda steps: -model.decision_function(steps)


fit = on_time_steps(method, MAX_ITEMS)
