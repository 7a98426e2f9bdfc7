"""LUNAR (Goodge et al., AAAI 2022), from pyod with torch: a network that weights the distances to the nearest neighbours.

It learns to separate normal windows from generated ones, with the settings of pyod.
"""

from functools import partial

from pyod.models.lunar import LUNAR

from benchmarks.baselines.from_pyod import method
from benchmarks.baselines.on_features import fit_best

fit = partial(fit_best, {"5 neighbours": method(partial(LUNAR, n_neighbours=5, random_state=0))})
