"""Local outlier factor (LOF: Breunig et al., SIGMOD 2000), from pyod."""

from functools import partial

from pyod.models.lof import LOF

from benchmarks.baselines.from_pyod import method
from benchmarks.baselines.on_features import fit_best

fit = partial(fit_best, {f"{count} neighbours": method(partial(LOF, n_neighbors=count)) for count in (2, 5, 20)})
