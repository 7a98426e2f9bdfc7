"""Pseudo-anomalies: normal activities, left out in turn and taken for abnormal, tell scores apart without the abnormal windows.

The network of the first run of AMSL has seen them in its training; bank, scaling of the features and threshold have not.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import atomic_file, read_json, write_json
from amsl_tf.data.splits import PROTOCOLS, Protocol, random_split
from amsl_tf.scoring import NearestNormal, Outputs, Reconstruction
from amsl_tf.threshold import is_abnormal, percentile_threshold
from benchmarks.parts import labels, trained_detector, unfinished
from benchmarks.rows import table

# of the 14 normal ones: walking (three ways), stepper, cross trainer, rowing; these move as the abnormal ones do
ACTIVITIES = ("a09", "a10", "a11", "a13", "a14", "a17")
LEFT_OUT = (*((activity,) for activity in ACTIVITIES), ("a09", "a10", "a11"), ("a13", "a14"))
PAGE = "PSEUDO.md"
COLUMNS = {
    "auroc.nearest_normal": "AUROC, nearest normal",
    **{f"auroc.{name}": name for name in ("error", "latent", "signal", "reconstruction")},
    **{f"weight.{name}": f"weight of {name}" for name in ("error", "latent", "signal")},
    "false_alarms": "false alarms",
    "detected": "detected",
}
HEAD = """# Pseudo-anomalies

Made by `python scripts/benchmark.py pseudo` from the files in `benchmarks/results/pseudo`; not to be edited. Of the
training windows of the first runs of AMSL in [RESULTS.md](../RESULTS.md) one normal activity, or a family of them, is left out
and taken for abnormal (six of the 14 have their turn: walking, stepper, cross trainer, rowing); no abnormal window and no test
window is used. The networks have seen the activities in training, banks, scaling of features and thresholds have not. `error`,
`latent` and `signal` are the kinds of features that the nearest-normal score is made of, each alone.
"""
ABOUT = {
    "window": "60 % of the training windows are the bank, the others are told apart: people are known.",
    "subject": "All training people but one are the bank, the windows of that one are told apart; the mean over people.",
}


@dataclass(frozen=True)
class Task:
    """Positions among the training windows: which are the bank, which are told apart, and which of these are abnormal."""

    train: np.ndarray
    test: np.ndarray
    abnormal: np.ndarray


def tasks(protocol: Protocol, left_out: tuple[str, ...], activity: np.ndarray, subject: np.ndarray) -> Iterator[Task]:
    """What is told apart where these activities are left out: one task, or one a person where people are new."""
    known = ~np.isin(activity, left_out)
    if protocol == "window":
        train, test = random_split(len(activity), seed=0)
        yield Task(train[known[train]], test, ~known[test])
        return
    for person in np.unique(subject):
        test = np.flatnonzero(subject == person)
        if known[test].any() and not known[test].all():
            yield Task(np.flatnonzero((subject != person) & known), test, ~known[test])


def run(source: Path, results: Path, work: Path, protocols: list[Protocol], tables: Path) -> None:
    """Runs what has no result yet, then writes the page.

    Args:
        source: The folder that preprocessing wrote.
        results: Folder of the JSON files.
        work: Where the accuracy benchmark keeps its detectors.
        protocols: Which to run.
        tables: The folder of PSEUDO.md.

    Raises:
        AMSLError: The input or the detector is missing.
    """
    for protocol in protocols:
        todo = unfinished(results, protocol, map("+".join, LEFT_OUT))
        if not todo:
            continue
        outputs, activity, subject = _training_outputs(source, work, protocol)
        for name, file in todo.items():
            print(f"protocol {protocol}: {name}", file=sys.stderr, flush=True)
            left_out = tuple(name.split("+"))
            found = [tell_apart(outputs, subject, task, protocol) for task in tasks(protocol, left_out, activity, subject)]
            means = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
            write_json(file, {"protocol": protocol, "left_out": left_out, "means": means})
    print(write_page(results, tables))


def _training_outputs(source: Path, work: Path, protocol: Protocol) -> tuple[Outputs, np.ndarray, np.ndarray]:
    """What the network makes of the training windows, and whose and which activity they are."""
    detector, parts = trained_detector(source, work, protocol)
    made = list(detector.scoring_path.run(parts.train, Outputs._fields))
    outputs = Outputs(*(np.concatenate([part[name] for part in made]) for name in Outputs._fields))
    return outputs, labels(parts.normal, "activity")[parts.split.train], labels(parts.normal, "subject")[parts.split.train]


def tell_apart(outputs: Outputs, subject: np.ndarray, task: Task, protocol: Protocol) -> dict[str, float]:
    """AUROC of each score and each kind of features, weights of the kinds, shares of windows that the default score flags."""
    train, test = (Outputs(*(part[rows] for part in outputs)) for rows in (task.train, task.test))
    groups = subject[task.train] if protocol == "subject" else None
    scorer, plain = NearestNormal(), Reconstruction()
    threshold = percentile_threshold(scorer.fit(train, groups), DetectorConfig().percentile, groups)
    score = scorer.score(test)
    flagged = is_abnormal(score, threshold)
    scores = {"nearest_normal": score, "reconstruction": plain.score(test), **scorer.ratings(test)}
    return {
        **{f"auroc.{name}": float(roc_auc_score(task.abnormal, values)) for name, values in scores.items()},
        **{f"weight.{kind}": weight for kind, weight in scorer.weights.items()},
        "false_alarms": float(flagged[~task.abnormal].mean()),
        "detected": float(flagged[task.abnormal].mean()),
    }


def write_page(results: Path, folder: Path) -> Path:
    """Writes the tables of what has been run."""
    parts = [HEAD]
    for protocol in PROTOCOLS:
        found = {}
        for left_out in LEFT_OUT:
            file = results / f"{protocol}.{'+'.join(left_out)}.json"
            if file.exists():
                found[", ".join(left_out)] = read_json(file, f"Remove {file} and run the benchmark again.", ("means",))["means"]
        if found:
            values = {**found, "mean": {name: float(np.mean([row[name] for row in found.values()])) for name in COLUMNS}}
            rows = [[name, *(f"{row[column]:.3f}" for column in COLUMNS)] for name, row in values.items()]
            parts.append(f"## Protocol {protocol}\n\n{ABOUT[protocol]}\n\n{table(['left out', *COLUMNS.values()], rows)}")
    page = folder / PAGE
    with atomic_file(page) as temporary:
        temporary.write_text("\n".join(parts))
    return page
