"""The baselines: the detectors of the paper's Table 3 and common alternatives, run like the experiments of `accuracy`."""

from pathlib import Path

from amsl_tf.data.splits import Protocol
from benchmarks import accuracy
from benchmarks.experiments import read_baselines


def run(source: Path, results: Path, work: Path, only: list[str] | None, protocols: list[Protocol], tables: Path) -> None:
    """Runs the baselines without a result, all or those named in `only`; see `benchmarks.accuracy.run`."""
    accuracy.run(source, results, work, only or [item.name for item in read_baselines()], protocols, tables)
