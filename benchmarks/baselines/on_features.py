"""The fit of baselines that score features of a window, with cross-validated training scores."""

from collections.abc import Callable, Mapping
from time import perf_counter

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import KFold, LeaveOneGroupOut
from sklearn.preprocessing import StandardScaler

from benchmarks import features
from benchmarks.baselines.interface import FittedBaseline, NormalData, Score
from benchmarks.pseudo import ACTIVITIES, tasks

FOLDS = 10

Describe = Callable[[np.ndarray], np.ndarray]  # windows (N, T, C) to features (N, D)
Method = Callable[[np.ndarray], Score]  # standardised features (N, D) of normal windows to a fitted score

DESCRIPTIONS: dict[str, Describe] = {
    "raw": features.raw,
    "log spectra": features.spectra,
    "log spectra of norms": features.norm_spectra,
}


def fit_best(methods: Mapping[str, Method], normal: NormalData) -> FittedBaseline:
    """Fits the pair of features and method with the highest mean AUROC on pseudo-anomalies.

    Args:
        methods: The candidate methods, by the name of their settings.
        normal: The normal training windows.
    """
    auroc = {}
    for features_name, describe in DESCRIPTIONS.items():
        described = describe(normal.x).astype(np.float32)
        for name, method in methods.items():
            auroc[features_name, name] = _pseudo_auroc(method, described, normal)
    features_name, name = max(auroc, key=lambda pair: auroc[pair])
    training_scores, score, seconds = fit(DESCRIPTIONS[features_name], methods[name], normal.x, normal.groups)
    selected = {
        "features": features_name,
        "settings": name,
        "pseudo-anomalies": {", ".join(pair): value for pair, value in auroc.items()},
    }
    return FittedBaseline(training_scores, normal.groups, score, seconds, selected=selected)


def fit(describe: Describe, method: Method, x: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, Score, float]:
    """Fits a method to features of normal windows.

    Args:
        describe: Computes the features.
        method: The method.
        x: (N, T, C), the normal windows.
        groups: (N,), the subjects, for leave-one-group-out cross-validation; None for ten folds.

    Returns:
        The cross-validated scores of the windows (N,); the score of other windows, fitted to all; and the seconds of one fit.
    """
    start = perf_counter()
    described = describe(x).astype(np.float32)
    score = standardised(method, described)
    seconds = perf_counter() - start
    folds = KFold(FOLDS, shuffle=True, random_state=0) if groups is None else LeaveOneGroupOut()
    training_scores = np.empty(len(x))
    for kept, left_out in folds.split(described, groups=groups):
        training_scores[left_out] = standardised(method, described[kept])(described[left_out])
    return training_scores, lambda windows: score(describe(windows).astype(np.float32)), seconds


def standardised(method: Method, described: np.ndarray) -> Score:
    """Fits a method to standardised features (N, D); the score standardises its input in the same way."""
    scaler = StandardScaler().fit(described)
    score = method(scaler.transform(described))
    return lambda others: score(scaler.transform(others))


def _pseudo_auroc(method: Method, described: np.ndarray, normal: NormalData) -> float:
    """Computes the mean AUROC over normal activities, each left out in turn and treated as abnormal."""
    values = [
        roc_auc_score(task.abnormal, standardised(method, described[task.train])(described[task.test]))
        for activity in ACTIVITIES
        for task in tasks(normal.protocol, (activity,), normal.activity, normal.subject)
    ]
    return float(np.mean(values))
