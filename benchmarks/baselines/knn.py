"""Distance to the k-th nearest neighbour (Ramaswamy et al., SIGMOD 2000), from pyod."""

from functools import partial

from pyod.models.knn import KNN

from benchmarks.baselines.from_pyod import method
from benchmarks.baselines.on_features import fit_best

fit = partial(fit_best, {f"{count} neighbours": method(partial(KNN, n_neighbors=count)) for count in (1, 5)})
