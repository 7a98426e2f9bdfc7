"""Empirical cumulative distributions of channels (ECOD: Li et al., TKDE 2022): each time step is ranked among training ones."""

from benchmarks.baselines.ecod import join
from benchmarks.baselines.tails import by_tails
from benchmarks.peers.adaptors import on_time_steps

fit = on_time_steps(lambda normal, seed: by_tails(join, normal))
