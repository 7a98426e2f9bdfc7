"""Histograms of channels (HBOS: Goldstein and Dengel, KI 2012), from pyod; settings of TSB-AD: 30 bins, tolerance 0.5."""

from pyod.models.hbos import HBOS

from benchmarks.peers.adaptors import on_time_steps
from benchmarks.peers.from_pyod import seeded

fit = on_time_steps(seeded(lambda seed: HBOS(n_bins=30, tol=0.5)))
