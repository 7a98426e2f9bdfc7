"""Isolation forest (Liu et al., ICDM 2008), from pyod."""

from functools import partial

from pyod.models.iforest import IForest

from benchmarks.baselines.from_pyod import method
from benchmarks.baselines.on_features import fit_best

fit = partial(fit_best, {"100 trees": method(partial(IForest, n_estimators=100, random_state=0))})
