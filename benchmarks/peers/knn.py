"""Mean distance of a time step to its 50 nearest neighbours (Ramaswamy et al., SIGMOD 2000), from pyod; settings of TSB-AD."""

from benchmarks.peers.adaptors import MAX_ITEMS, on_time_steps
from benchmarks.peers.from_pyod import mean_distance

NEIGHBOURS = 50

fit = on_time_steps(mean_distance(NEIGHBOURS), MAX_ITEMS)
