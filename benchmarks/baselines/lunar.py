"""LUNAR (Goodge et al., AAAI 2022): a network weighs the distances to the nearest neighbours, with pyod and torch.

It learns to tell normal windows from made ones. Pyod's settings.
"""

from functools import partial

from pyod.models.lunar import LUNAR

from benchmarks.baselines.from_pyod import method
from benchmarks.baselines.on_features import fit_best

fit = partial(fit_best, {"5 neighbours": method(partial(LUNAR, n_neighbours=5, random_state=0))})
