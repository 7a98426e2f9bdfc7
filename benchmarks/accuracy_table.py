"""RESULTS.md and the results in README.md, from the JSON files of finished runs."""

from pathlib import Path

from amsl_tf.data.files import atomic_file
from amsl_tf.data.splits import PROTOCOLS, Protocol
from benchmarks import baselines_table
from benchmarks.experiments import Experiment, Found, read_baselines, read_experiments, read_results
from benchmarks.pages import put_between
from benchmarks.rows import METRICS, finished, metrics, published, spoken, table

COLUMNS = ("method", "score", *METRICS, "runs", "published")
ABOUT = {
    "window": "60 % of the normal windows train, the rest and all abnormal ones test. Each run has its own seed, of split and\n"
    "training.",
    "subject": "Tested on people who were never seen in training: {people}; where there is one run, on the first\n"
    "of these groups. Training has the same seed in all runs: ± is between people.",
}
TITLE = "# Results on DSADS"
HEAD = """
Made by `python scripts/benchmark.py accuracy` and `python scripts/benchmark.py table3` from the files in
`benchmarks/results/accuracy`; not to be edited. What the experiments are is said in `benchmarks/accuracy.toml` and
`benchmarks/baselines.toml`, how the nearest-normal score was chosen in `benchmarks/NOTES.md`: on normal windows, with the looks
at abnormal ones that are told there.

All 9,120 windows, every one scored alone but where a row says otherwise. AMSLDetector is trained for 8 epochs (the paper: 100),
or as a row says, in the precision that `mixed_precision="auto"` takes (in the files of newer runs: `machine`). Thresholds are
the 98th percentile of normal training scores, in the protocol subject the median of the training people's; the reconstruction's
are of windows that the network, but for a fifth of them, was trained on; the networks and the HMM of `benchmarks/baselines`
have theirs from windows that are held back. False alarms: normal windows that are flagged; detected: abnormal ones. Mean and
standard deviation over runs; differences of a few thousandths are what another training gives.

The ablations were trained when most of the gradients of decoders' biases was lost in bfloat16 (`benchmarks/NOTES.md`). AMSL and
the networks of other papers were trained again without that: AMSL's means over runs are the same to .003, theirs to .006.

"Published" is the paper's F1, whose official code averages scores over 16 windows in a row. "Whole": without the abnormal
windows that end in a second of zeros, as no normal one does (data/README.md): these are given away to some methods, to others
not. A score that windows share cannot be measured without some of them.
"""
START, END = "<!-- results: made by scripts/benchmark.py accuracy -->", "<!-- end of results -->"


def write(results: Path, folder: Path) -> None:
    """Writes RESULTS.md, the table of all experiments, finished or not, and its summary into README.md.

    Raises:
        AMSLError: README.md has no place for it.
    """
    experiments, people = read_experiments()
    found = read_results(results)
    summary = _tables([item for item in experiments if item.headline], people, found)
    put_between(folder / "README.md", START, END, summary)
    with atomic_file(folder / "RESULTS.md") as temporary:
        head = f"{TITLE}\n\n{first_lines(found)}\n{HEAD}"
        parts = f"## Summary\n\n{summary}\n{baselines_table.tables(found)}\n## All\n\n{_tables(experiments, people, found)}"
        temporary.write_text(f"{head}\n{parts}")


def first_lines(found: Found) -> str:
    """Which detector has the highest F1 in the first run of each protocol, and where AMSL stands if that is another.

    Of the first runs, as means over others would be of other people; of the experiments in the summary and the baselines,
    without the official graph, whose scores windows share.
    """
    experiments, _ = read_experiments()
    compared = [item for item in experiments if item.headline and item.kind != "upstream"] + read_baselines()
    sentences = []
    for protocol in PROTOCOLS:
        rated = {
            (item.title, spoken(name)): metrics["f1"]
            for item in compared
            for name, metrics in found.get((item.name, protocol, 0), {"scores": {}})["scores"].items()
        }
        if not rated:
            continue
        best, amsl = max(rated, key=lambda key: rated[key]), ("AMSL", "nearest normal")
        highest = f"the highest F1 of the summary and Table 3, {rated[best]:.3f}, is that of {best[0]}, {best[1]} score"
        sentence = f"Protocol {protocol}, first run: {highest}"
        if best != amsl and amsl in rated:
            place = sorted(rated.values(), reverse=True).index(rated[amsl]) + 1
            sentence += f"; AMSL, nearest normal score, has {rated[amsl]:.3f}, place {place} of {len(rated)} scores"
        sentences.append(f"{sentence}.")
    return "\n".join(sentences)


def _tables(experiments: list[Experiment], people: list[list[str]], found: Found) -> str:
    parts = []
    for protocol in PROTOCOLS:
        about = ABOUT[protocol].format(people="; ".join(", ".join(group) for group in people))
        rows = [row for item in experiments if protocol in item.runs for row in _rows(item, protocol, found)]
        parts.append(f"### Protocol {protocol}\n\n{about}\n\n{table(COLUMNS, rows)}")
    return "\n".join(parts)


def _rows(experiment: Experiment, protocol: Protocol, found: Found) -> list[list[str]]:
    asked = experiment.runs[protocol]
    runs = finished(experiment, protocol, found)
    if not runs:
        empty = [""] * (len(METRICS) - 1)
        return [[experiment.title, "", "not run", *empty, f"0 of {asked}", published(experiment, protocol)]]
    rows = []
    for name in runs[0]["scores"]:
        means = metrics([one["scores"][name] for one in runs])
        cells = [experiment.title, spoken(name), *means, f"{len(runs)} of {asked}", published(experiment, protocol, name)]
        rows.append(cells)
    return rows
