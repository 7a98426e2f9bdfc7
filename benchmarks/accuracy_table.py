"""RESULTS.md and the results in README.md, from the JSON files of finished runs."""

from pathlib import Path

from amsl_tf.data.files import atomic_file
from amsl_tf.data.splits import PROTOCOLS, Protocol
from benchmarks import baselines_table
from benchmarks.baselines_table import mean
from benchmarks.experiments import Experiment, Found, read_experiments, read_results
from benchmarks.pages import put_between

METRICS = {"f1": "F1", "auroc": "AUROC", "average_precision": "average precision"}
WHOLE = {"f1": "F1, whole windows", "auroc": "AUROC, whole windows"}
ABOUT = {
    "window": "60 % of the normal windows train, the rest and all abnormal ones test; each run with a seed of its own.",
    "subject": "Tested on people who were never seen in training; each run with other people.",
}
TITLE = "# Results on DSADS"
HEAD = """
Made by `python scripts/benchmark.py accuracy` and `python scripts/benchmark.py table3` from the files in
`benchmarks/results/accuracy`; not to be edited. All 9,120 windows, every one scored alone but where a row says otherwise.
Thresholds are the 98th percentile of normal training scores, in the protocol subject the median of the training people's.
Mean and standard deviation over runs. "Published" is the paper's F1, whose official code averages scores over 16 windows in a
row. "Whole windows": without the abnormal ones that end in a second of zeros, as no normal one does (data/README.md): these are
given away to some methods, to others not; empty where a run is older than these columns. What the experiments are is said in
`benchmarks/accuracy.toml` and `benchmarks/baselines.toml`, how the nearest-normal score was chosen in `benchmarks/NOTES.md`:
on normal windows, with the looks at abnormal ones that are told there.
"""
START, END = "<!-- results: made by scripts/benchmark.py accuracy -->", "<!-- end of results -->"


def write(results: Path, folder: Path) -> None:
    """Writes RESULTS.md, the table of all experiments, finished or not, and its summary into README.md.

    Raises:
        AMSLError: README.md has no place for it.
    """
    experiments, _ = read_experiments()
    found = read_results(results)
    summary = _tables([item for item in experiments if item.headline], found)
    put_between(folder / "README.md", START, END, summary)
    with atomic_file(folder / "RESULTS.md") as temporary:
        head = f"{TITLE}\n\n{baselines_table.first_lines(found)}\n{HEAD}"
        parts = f"## Summary\n\n{summary}\n{baselines_table.tables(found)}\n## All\n\n{_tables(experiments, found)}"
        temporary.write_text(f"{head}\n{parts}")


def _tables(experiments: list[Experiment], found: Found) -> str:
    parts = []
    for protocol in PROTOCOLS:
        lines = [f"### Protocol {protocol}", "", ABOUT[protocol], ""]
        columns = (*METRICS.values(), *WHOLE.values(), "runs", "published")
        lines += [f"| method | score | {' | '.join(columns)} |", "|---|---|" + "---|" * len(columns)]
        for experiment in experiments:
            if protocol in experiment.runs:
                lines += _rows(experiment, protocol, found)
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _rows(experiment: Experiment, protocol: Protocol, found: Found) -> list[str]:
    asked = experiment.runs[protocol]
    runs = [one["scores"] for number in range(asked) if (one := found.get((experiment.name, protocol, number)))]
    # the paper tests on people that it has trained on
    published = f"{experiment.published:.4f}" if experiment.published and protocol == "window" else ""
    if not runs:
        return [f"| {experiment.title} | | not run | | | | | 0 of {asked} | {published} |"]
    return [
        f"| {experiment.title} | {name.replace('_', ' ')} | "
        + " | ".join(mean([scores[name][metric] for scores in runs]) for metric in METRICS)
        + " | "
        + " | ".join(mean([scores[name].get("whole", {}).get(metric) for scores in runs]) for metric in WHOLE)
        + f" | {len(runs)} of {asked} | {published} |"
        for name in runs[0]
    ]
