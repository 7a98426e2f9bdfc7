"""Hidden Markov model with Gaussian emissions (Rabiner, Proceedings of the IEEE 1989), with hmmlearn.

"Seconds" are those of all that are tried. A window's score is its negative log-likelihood. The number of states is the one
with the best likelihood of the normal windows that are held back; each has a diagonal covariance.
"""

from functools import partial

import numpy as np
from hmmlearn.hmm import GaussianHMM

from benchmarks.baselines.held_back import Trained, fit_held_back

STATES = (10, 20, 40)
ITERATIONS = 30


def train(train: np.ndarray, held_back: np.ndarray, seed: int) -> Trained:
    models = {states: _fit(train, states, seed) for states in STATES}
    # one with more states than there are kinds of steps does not converge
    ratings = {
        states: float(score(model, held_back).mean()) for states, model in models.items() if np.isfinite(model.means_).all()
    }
    states = min(ratings, key=lambda count: ratings[count])
    return Trained(partial(score, models[states]), None, {"states": states})


def _fit(windows: np.ndarray, states: int, seed: int) -> GaussianHMM:
    model = GaussianHMM(states, covariance_type="diag", n_iter=ITERATIONS, random_state=seed)
    return model.fit(np.concatenate(windows), lengths=[windows.shape[1]] * len(windows))


def score(model: GaussianHMM, windows: np.ndarray) -> np.ndarray:
    """Negative log-likelihood of each window (N, T, C)."""
    return np.array([-model.score(window) for window in windows])


fit = partial(fit_held_back, train)
