"""What `benchmarks/accuracy.toml`, `benchmarks/baselines.toml` and the JSON files of finished runs say."""

import sys
from collections.abc import Iterable
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


@dataclass(frozen=True)
class Experiment:
    """One of the experiments in accuracy.toml or baselines.toml.

    Attributes:
        name: Of its files.
        title: What the table calls it.
        kind: What is run.
        runs: How many, by protocol.
        settings: Of the detector.
        trained: False for a network with random weights.
        network: Another experiment whose trained network is used, as this one differs in its scores only.
        published: F1 that the paper reports.
        headline: Whether it stands in the summary.
    """

    name: str
    title: str
    kind: Kind
    runs: dict[Protocol, int]
    settings: dict[str, Any] = field(default_factory=dict)
    trained: bool = True
    network: str | None = None
    published: float | None = None
    headline: bool = False


@dataclass(frozen=True)
class Run:
    """One run of an experiment: with a seed in the protocol `window`, with people to test on in `subject`."""

    experiment: Experiment
    protocol: Protocol
    number: int

    @property
    def seed(self) -> int:
        """Of the split in `window`, and of the training."""
        return self.number if self.protocol == "window" else 0

    def file(self, results: Path) -> Path:
        return results / f"{self.experiment.name}.{self.protocol}.{self.number}.json"

    def detector(self, work: Path) -> Path:
        """The folder of the detector with the trained network."""
        return work / f"{self.experiment.network or self.experiment.name}.{self.protocol}.{self.number}"


def read_experiments(names: Iterable[str] = ()) -> tuple[list[Experiment], list[list[str]]]:
    """The experiments of these names, all but the baselines if there are none, and the groups of people to test on.

    Raises:
        AMSLError: There is no experiment of a name.
    """
    values = tomllib.loads(EXPERIMENTS.read_text())
    experiments = {item["name"]: Experiment(**item) for item in values["experiment"]}
    known = experiments | {item.name: item for item in read_baselines()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise AMSLError(f"there is no experiment {unknown[0]!r}; there are {', '.join(known)}.")
    return [known[name] for name in names or experiments], values["test_people"]


def read_baselines() -> list[Experiment]:
    """The detectors that AMSL is compared with."""
    defaults: dict[str, Any] = {"kind": "baseline", "runs": dict.fromkeys(PROTOCOLS, 1)}
    return [Experiment(**defaults, **item) for item in tomllib.loads(BASELINES.read_text())["experiment"]]


Found = dict[tuple[str, str, int], dict[str, Any]]


def read_results(results: Path) -> Found:
    """What the JSON files of all finished runs say, by experiment, protocol and number."""
    found = {}
    for file in sorted(results.glob("*.json")):
        values = read_json(file, f"Remove {file} and run the experiment again.", ("experiment", "protocol", "run", "scores"))
        found[values["experiment"], values["protocol"], values["run"]] = values
    return found
