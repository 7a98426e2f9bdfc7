"""Isolation forest of time steps (Liu et al., ICDM 2008), from pyod; settings of TSB-AD: 25 trees of 80 % of the channels."""

from pyod.models.iforest import IForest

from benchmarks.peers.adaptors import on_time_steps
from benchmarks.peers.from_pyod import seeded

fit = on_time_steps(seeded(lambda seed: IForest(n_estimators=25, max_features=0.8, random_state=seed)))
