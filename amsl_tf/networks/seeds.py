"""Seeds of initialisers, dropout and forgetting, so that no global random state is used or changed."""

import numpy as np


class Seeds:
    """A sequence of seeds derived from one seed.

    Args:
        seed: The seed that all others are derived from.
    """

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)

    def take(self, count: int) -> list[int]:
        """Returns the next `count` seeds, from 0 to 2**31 - 1."""
        return [int(self._generator.integers(2**31)) for _ in range(count)]
