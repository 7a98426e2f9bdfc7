"""Hidden Markov model with Gaussian emissions (Rabiner, Proceedings of the IEEE 1989), from hmmlearn.

The score is the negative log-likelihood of a window. The number of states, each with a diagonal covariance, is selected by the
likelihood of the held-out normal windows; the reported seconds cover all candidates.
"""

from functools import partial

import numpy as np
from hmmlearn.hmm import GaussianHMM

from benchmarks.baselines.held_out import TrainedModel, fit_held_out

STATES = (10, 20, 40)
ITERATIONS = 30


def train(train: np.ndarray, held_out: np.ndarray, seed: int) -> TrainedModel:
    models = {states: _fit(train, states, seed) for states in STATES}
    # a model with more states than there are distinct time steps does not converge
    losses = {
        states: float(score(model, held_out).mean()) for states, model in models.items() if np.isfinite(model.means_).all()
    }
    states = min(losses, key=lambda count: losses[count])
    return TrainedModel(partial(score, models[states]), None, {"states": states})


def _fit(windows: np.ndarray, states: int, seed: int) -> GaussianHMM:
    model = GaussianHMM(states, covariance_type="diag", n_iter=ITERATIONS, random_state=seed)
    return model.fit(np.concatenate(windows), lengths=[windows.shape[1]] * len(windows))


def score(model: GaussianHMM, windows: np.ndarray) -> np.ndarray:
    """Computes the negative log-likelihoods of windows (N, T, C): (N,)."""
    return np.array([-model.score(window) for window in windows])


fit = partial(fit_held_out, train)
