"""The paper's Table 3 and the detectors users would pick instead, run as the experiments of the accuracy benchmark are."""

from pathlib import Path

from amsl_tf.data.splits import Protocol
from benchmarks import accuracy
from benchmarks.experiments import read_baselines


def run(source: Path, results: Path, work: Path, only: list[str] | None, protocols: list[Protocol], tables: Path) -> None:
    """Runs what has no result yet, all baselines or `only` some of them; the arguments are those of `accuracy.run`."""
    accuracy.run(source, results, work, only or [item.name for item in read_baselines()], protocols, tables)
