"""The part of RESULTS.md that shows AMSL beside other detectors: the paper's Table 3 and what users pick instead."""

from typing import Any

from amsl_tf.data.splits import PROTOCOLS, Protocol
from benchmarks.experiments import Experiment, Found, read_baselines, read_experiments
from benchmarks.rows import METRICS, finished, metrics, published, spoken, table

OURS = ("amsl", "mnad")  # of accuracy.toml
HEAD = """## Table 3, and other detectors

Made by `python scripts/benchmark.py table3`; `--only` and the name of a detector's file runs that one. Each file names its
paper and its settings. "Published" is the F1 of the paper's Table 3. All rows are of first runs, so that they are of the same
windows: seed 0, in the protocol subject the first group of people. AMSL's other runs are in the tables before and after these.

- Detectors of features were given raw windows, log spectra and log spectra of the norms of three-axis sensors (AMSL too is told
  which channels are the axes of one), with each of their settings; the pair is used that tells pseudo-anomalies best (normal
  activities, left out in turn). MiniRocket has features of its own; the HMM has the number of states by which windows that are
  held back are likeliest. Thresholds are set by scores of normal windows left out in turn.
- Networks were trained by Adam at 0.001 in batches of 32, whatever their papers take, until the loss of normal windows that are
  held back had not fallen for 5 epochs, or for 300 epochs ("chosen" has how many, these 5 included). These windows, in the
  protocol subject one person's, set the threshold, the HMM's too: where people are new their AUROC says more than their F1.
- AMSL and MNAD are AMSLDetector, trained for 8 epochs: MNAD is its memory between AMSL's encoder and decoder.
- Seconds are of a fit with what was chosen (the HMM's of all that were tried), windows/s of scoring all test windows at once
  (AMSL and MNAD: with both scores), each of the first run that it was taken of; other work on the machine moves them by a
  half or more. Both are on one core (OMP_NUM_THREADS, TF_NUM_INTRAOP_THREADS, TF_NUM_INTEROP_THREADS 1; MiniRocket takes two)
  of an AMD EPYC, Zen 5, while another core was at work too; AMSL's and MNAD's are on both cores. Empty where
  they were not taken.
"""
CHOSEN = {"features": "{}", "settings": "{}", "states": "{} states", "epochs": "{} epochs"}
COLUMNS = ("method", "published", *METRICS, "seconds", "windows/s", "parameters", "chosen")


def tables(found: Found) -> str:
    """The part, of finished runs and those that are not."""
    ours, _ = read_experiments(OURS)
    return "\n".join([HEAD, *(_table(protocol, [*ours, *read_baselines()], found) for protocol in PROTOCOLS)])


def _table(protocol: Protocol, experiments: list[Experiment], found: Found) -> str:
    rows = [row for item in experiments for row in _rows(item, protocol, found)]
    ordered = [cells for _, cells in sorted(rows, key=lambda row: -row[0])]
    return f"### Table 3, protocol {protocol}\n\n{table(COLUMNS, ordered)}"


def _rows(experiment: Experiment, protocol: Protocol, found: Found) -> list[tuple[float, list[str]]]:
    """F1 of the first run and the row, for each score."""
    first = found.get((experiment.name, protocol, 0))
    if first is None:
        return [(-1.0, [_linked(experiment), published(experiment, protocol), "not run"])]
    costs = [one.get("cost", {}) for one in finished(experiment, protocol, found)]
    rows = []
    for name, scores in first["scores"].items():
        cells = [
            _linked(experiment) if name == "own" else f"{experiment.title}, {spoken(name)}",
            published(experiment, protocol, name),
            *metrics([scores]),
            *(_first(costs, key) for key in ("seconds", "windows_per_second", "parameters")),
            "; ".join(form.format(costs[0][key]) for key, form in CHOSEN.items() if key in costs[0]),
        ]
        rows.append((scores["f1"], cells))
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
