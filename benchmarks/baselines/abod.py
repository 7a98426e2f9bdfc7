"""Angle-based outlier detection among nearest neighbours (ABOD: Kriegel et al., KDD 2008), from pyod."""

from functools import partial

from pyod.models.abod import ABOD

from benchmarks.baselines.from_pyod import method
from benchmarks.baselines.on_features import fit_best

fit = partial(fit_best, {"10 neighbours": method(partial(ABOD, n_neighbors=10))})
