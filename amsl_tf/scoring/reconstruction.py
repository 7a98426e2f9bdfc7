"""The paper's score."""

import numpy as np

from amsl_tf.scoring.base import Outputs


class Reconstruction:
    """Err(x) = sum over views of the mean squared error (Algorithm 5 of the AMSL paper). There is nothing to fit."""

    def fit(self, outputs: Outputs, groups: np.ndarray | None = None) -> np.ndarray:
        return self.score(outputs)

    def score(self, outputs: Outputs) -> np.ndarray:
        return outputs.error.mean(axis=2, dtype=np.float64).sum(axis=1).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        return {}
