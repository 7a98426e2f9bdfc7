"""The experiments in `accuracy.toml` and `baselines.toml`, and the stored results of their runs."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from amsl_tf.data.files import read_json
from amsl_tf.data.splits import PROTOCOLS, Protocol
from amsl_tf.errors import AMSLError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXPERIMENTS = Path(__file__).with_name("accuracy.toml")
BASELINES = Path(__file__).with_name("baselines.toml")

Kind = Literal["detector", "upstream", "control", "baseline"]
Results = dict[tuple[str, str, int], dict[str, Any]]  # by experiment, protocol and number of the run


@dataclass(frozen=True)
class Experiment:
    """An experiment of accuracy.toml or baselines.toml.

    Attributes:
        name: The name, also of its files.
        title: The title in tables.
        kind: What is fitted: AMSLDetector, the port of the official code, a control without a network, or a baseline.
        runs: The number of runs, by protocol.
        settings: The settings of the detector.
        trained: Whether the network is trained; otherwise it keeps its random initial weights.
        network_of: The experiment whose trained network is reused, if this one differs from it in the scores only.
        published: The F1 that the paper reports.
        headline: Whether the experiment is part of the summary.
        readme: The names of the scores that are shown in README.md.
        abnormal: The activities that are abnormal, all others being normal; by default those of the preprocessed data.
        control: The control in benchmarks/controls.py; by default the one with the name of the experiment.
        cost: Whether the experiment is in the table of accuracy against cost.
    """

    name: str
    title: str
    kind: Kind
    runs: dict[Protocol, int]
    settings: dict[str, Any] = field(default_factory=dict)
    trained: bool = True
    network_of: str | None = None
    published: float | None = None
    headline: bool = False
    readme: Sequence[str] = ()
    abnormal: Sequence[str] = ()
    control: str | None = None
    cost: bool = False


@dataclass(frozen=True)
class Run:
    """One run of an experiment: its number selects the seed in the protocol `window`, the test subjects in `subject`."""

    experiment: Experiment
    protocol: Protocol
    number: int

    @property
    def seed(self) -> int:
        """The seed of the training, and in the protocol `window` of the split."""
        return self.number if self.protocol == "window" else 0

    def file(self, results: Path) -> Path:
        """Returns the file of the result."""
        return results / f"{self.experiment.name}.{self.protocol}.{self.number}.json"

    def detector(self, work: Path) -> Path:
        """Returns the folder of the detector with the trained network."""
        return work / f"{self.experiment.network_of or self.experiment.name}.{self.protocol}.{self.number}"


def read_experiments(names: Iterable[str] = ()) -> tuple[list[Experiment], list[list[str]]]:
    """Reads experiments and the groups of test subjects.

    Args:
        names: The names of the experiments; if there are none, all but the baselines.

    Raises:
        AMSLError: A name is unknown.
    """
    values = tomllib.loads(EXPERIMENTS.read_text())
    experiments = {item["name"]: Experiment(**item) for item in values["experiment"]}
    known = experiments | {item.name: item for item in read_baselines()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise AMSLError(f"unknown experiment {unknown[0]!r}; the experiments are {', '.join(known)}.")
    return [known[name] for name in names or experiments], values["test_subjects"]


def read_baselines() -> list[Experiment]:
    """Reads the baselines that AMSL is compared with."""
    defaults: dict[str, Any] = {"kind": "baseline", "runs": dict.fromkeys(PROTOCOLS, 1)}
    return [Experiment(**defaults, **item) for item in tomllib.loads(BASELINES.read_text())["experiment"]]


def read_results(folder: Path) -> Results:
    """Reads the JSON files of all finished runs."""
    results = {}
    for file in sorted(folder.glob("*.json")):
        values = read_json(file, f"Remove {file} and run the experiment again.", ("experiment", "protocol", "run", "scores"))
        results[values["experiment"], values["protocol"], values["run"]] = values
    return results
