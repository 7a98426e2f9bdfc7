"""Local outlier factor of a time step (LOF: Breunig et al., SIGMOD 2000), from pyod; settings of TSB-AD: 50 neighbours."""

from pyod.models.lof import LOF

from benchmarks.peers.adaptors import MAX_ITEMS, on_time_steps
from benchmarks.peers.from_pyod import neighbours

NEIGHBOURS = 50

fit = on_time_steps(neighbours(lambda count: LOF(n_neighbors=count), NEIGHBOURS), MAX_ITEMS)
