"""The part of RESULTS.md that shows AMSL beside other detectors: the paper's Table 3 and what users pick instead."""

import statistics
from typing import Any

from amsl_tf.data.splits import PROTOCOLS, Protocol
from benchmarks.experiments import Experiment, Found, read_baselines, read_experiments

OURS = ("amsl", "mnad")  # of accuracy.toml
HEAD = """## Table 3, and other detectors

Made by `python scripts/benchmark.py table3`; `--only` and the name of a detector's file runs that one. Each file names its
paper and its settings. "Published" is the F1 of the paper's Table 3.

- Detectors of features were given raw windows and log spectra, with each of their settings; the pair is used that tells
  pseudo-anomalies best (normal activities, left out in turn). MiniRocket has features of its own; the HMM has the number of
  states by which windows that are held back are likeliest. Thresholds are set by scores of normal windows left out in turn.
- Networks were trained until the loss of normal windows that are held back had not fallen for 5 epochs, or for 100 epochs
  ("chosen" has how many, these 5 included). These windows, in the protocol subject one person's, set the threshold, the HMM's
  too.
- AMSL and MNAD are AMSLDetector, trained for 8 epochs: MNAD is its memory between AMSL's encoder and decoder.
- Seconds are of the first fit with what was chosen (the HMM's of all that were tried), windows/s of scoring all test windows at
  once, both on one core (OMP_NUM_THREADS, TF_NUM_INTRAOP_THREADS, TF_NUM_INTEROP_THREADS 1; MiniRocket takes two) of an AMD
  EPYC, Zen 5, while another core was at work too; AMSL's in the protocol window on both cores. Empty where they were not taken.
"""
CHOSEN = {"features": "{}", "settings": "{}", "states": "{} states", "epochs": "{} epochs"}
COLUMNS = ("published", "F1", "AUROC", "F1, whole windows", "seconds", "windows/s", "parameters", "chosen", "runs")


def tables(found: Found) -> str:
    """The part, of finished runs and those that are not."""
    ours, _ = read_experiments(OURS)
    return "\n".join([HEAD, *(_table(protocol, [*ours, *read_baselines()], found) for protocol in PROTOCOLS)])


def _table(protocol: Protocol, experiments: list[Experiment], found: Found) -> str:
    lines = [f"### Table 3, protocol {protocol}", "", f"| method | {' | '.join(COLUMNS)} |", "|---|" + "---|" * len(COLUMNS)]
    rows = [row for item in experiments for row in _rows(item, protocol, found)]
    lines += [line for _, line in sorted(rows, key=lambda row: -row[0])]
    return "\n".join(lines) + "\n"


def _rows(experiment: Experiment, protocol: Protocol, found: Found) -> list[tuple[float, str]]:
    """F1 and the line of each score."""
    asked = experiment.runs.get(protocol, 0)
    runs = [one for number in range(asked) if (one := found.get((experiment.name, protocol, number)))]
    # the paper tests on people that it has trained on
    published = f"{experiment.published:.4f}" if experiment.published and protocol == "window" else ""
    if not runs:
        return [(-1.0, f"| {_linked(experiment)} | {published} | not run | | | | | | | 0 of {asked} |")]
    costs = [one.get("cost", {}) for one in runs]
    rows = []
    for name in runs[0]["scores"]:
        scores = [one["scores"][name] for one in runs]
        title = _linked(experiment) if name == "own" else f"{experiment.title}, {name.replace('_', ' ')}"
        cells = [
            published,
            mean([one["f1"] for one in scores]),
            mean([one["auroc"] for one in scores]),
            mean([one.get("whole", {}).get("f1") for one in scores]),
            *(_first(costs, key) for key in ("seconds", "windows_per_second", "parameters")),
            "; ".join(form.format(costs[0][key]) for key, form in CHOSEN.items() if key in costs[0]),
            f"{len(runs)} of {asked}",
        ]
        rows.append((statistics.mean(one["f1"] for one in scores), f"| {title} | {' | '.join(cells)} |"))
    return rows


def _first(costs: list[dict[str, Any]], key: str) -> str:
    """The cost of the first run that it was taken of."""
    return next((f"{cost[key]:,.0f}" for cost in costs if cost.get(key) is not None), "")


def _linked(experiment: Experiment) -> str:
    """The title, with a link to the file of a baseline."""
    return (
        f"[{experiment.title}](benchmarks/baselines/{experiment.name}.py)"
        if experiment.kind == "baseline"
        else experiment.title
    )


def mean(values: list[Any]) -> str:
    """Mean, and deviation where there are several; empty where a value is missing."""
    if None in values:
        return ""
    text = f"{statistics.mean(values):.3f}"
    return f"{text} ± {statistics.stdev(values):.3f}" if len(values) > 1 else text


def first_lines(found: Found) -> str:
    """Which detector has the highest F1 in the first run of each protocol, and where AMSL stands if that is another.

    Of the first runs, as means over others would be of other people.
    """
    experiments, _ = read_experiments()
    sentences = []
    for protocol in PROTOCOLS:
        rated = {
            (item.title, name.replace("_", " ")): metrics["f1"]
            for item in [*experiments, *read_baselines()]
            for name, metrics in found.get((item.name, protocol, 0), {"scores": {}})["scores"].items()
        }
        if not rated:
            continue
        best, amsl = max(rated, key=lambda key: rated[key]), ("AMSL", "nearest normal")
        sentence = f"Protocol {protocol}, first run: the highest F1, {rated[best]:.3f}, is that of {best[0]}, {best[1]} score"
        if best != amsl and amsl in rated:
            place = sorted(rated.values(), reverse=True).index(rated[amsl]) + 1
            sentence += f"; AMSL, nearest normal score, has {rated[amsl]:.3f}, place {place} of {len(rated)}"
        sentences.append(f"{sentence}.")
    return "\n".join(sentences)
