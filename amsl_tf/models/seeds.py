"""Seeds of initialisers, dropout and forgetting; in this way no global random state is used or changed."""

import numpy as np


class Seeds:
    """As many seeds as are taken, all made from one."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)

    def take(self, count: int) -> list[int]:
        return [int(self._generator.integers(2**31)) for _ in range(count)]
