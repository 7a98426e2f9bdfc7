"""Methods that score features of a window: fitted to all but a part of the normal windows in turn, for own scores."""

from collections.abc import Callable, Mapping
from time import perf_counter

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, LeaveOneGroupOut
from sklearn.preprocessing import StandardScaler

from benchmarks import features
from benchmarks.baselines.interface import Fitted, Normal, Score
from benchmarks.pseudo import ACTIVITIES, tasks

FOLDS = 10

Describe = Callable[[np.ndarray], np.ndarray]  # (N, T, C) to (N, D)
Method = Callable[[np.ndarray], Score]  # fitted to standardised features (N, D) of normal windows

KINDS: dict[str, Describe] = {
    "raw": features.raw,
    "log spectra": features.spectra,
    "log spectra of norms": features.norm_spectra,
}


def fit_best(methods: Mapping[str, Method], normal: Normal) -> Fitted:
    """Fits the pair of `KINDS` of features and method that tells pseudo-anomalies best from other normal windows."""
    ratings = {}
    for kind, describe in KINDS.items():
        described = describe(normal.x).astype(np.float32)
        for name, method in methods.items():
            ratings[kind, name] = _rate(method, described, normal)
    kind, name = max(ratings, key=lambda pair: ratings[pair])
    own, score, seconds = fit(KINDS[kind], methods[name], normal.x, normal.groups)
    about = {
        "features": kind,
        "settings": name,
        "pseudo-anomalies": {", ".join(pair): auroc for pair, auroc in ratings.items()},
    }
    return Fitted(own, normal.groups, score, seconds, about=about)


def fit(describe: Describe, method: Method, x: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, Score, float]:
    """Scores of the normal windows x (N, T, C), each by a fit without it, what scores others, and seconds of its fit.

    With groups (N,), the person of each window, each person's scores come from a fit without that person; without, they come
    from a fit without a tenth of the windows.
    """
    start = perf_counter()
    described = describe(x).astype(np.float32)
    score = standardised(method, described)
    seconds = perf_counter() - start
    folds = KFold(FOLDS, shuffle=True, random_state=0) if groups is None else LeaveOneGroupOut()
    own = np.empty(len(x))
    for kept, left_out in folds.split(described, groups=groups):
        own[left_out] = standardised(method, described[kept])(described[left_out])
    return own, lambda windows: score(describe(windows).astype(np.float32)), seconds


def standardised(method: Method, described: np.ndarray) -> Score:
    """The method, fitted to features (N, D) of which each gets mean 0 and deviation 1 first."""
    scaler = StandardScaler().fit(described)
    score = method(scaler.transform(described))
    return lambda others: score(scaler.transform(others))


def _rate(method: Method, described: np.ndarray, normal: Normal) -> float:
    """Mean AUROC where one normal activity after the other is left out and taken for abnormal."""
    found = [
        roc_auc_score(task.abnormal, standardised(method, described[task.train])(described[task.test]))
        for activity in ACTIVITIES
        for task in tasks(normal.protocol, (activity,), normal.activity, normal.subject)
    ]
    return float(np.mean(found))
