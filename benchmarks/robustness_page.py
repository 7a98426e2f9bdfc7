"""docs/robustness.md and its figure, from the JSON files of finished conditions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amsl_tf.data.files import atomic_file, read_json
from amsl_tf.data.splits import PROTOCOLS
from benchmarks.rows import table

NOISE = (30, 20, 10, 5, 0)  # decibels
LATE = (0.2, 1.0, 2.4)  # seconds, whole steps of DSADS
METHODS = {"nearest_normal": "AMSL, nearest normal", "reconstruction": "AMSL, reconstruction", "control": "control"}
TITLES = {
    "clean": "as measured",
    **{f"noise_{decibels}": f"noise, {decibels} dB" for decibels in NOISE},
    "silent": "one unit silent",
    **{f"late_{seconds}": f"one unit {seconds:g} s late" for seconds in LATE},
}
# colours that the colour-blind tell apart (Okabe and Ito), and markers for print without colour
STYLES: list[dict[str, Any]] = [
    {"color": "#0072B2", "marker": "o"},
    {"color": "#D55E00", "marker": "s"},
    {"color": "#009E73", "marker": "^"},
]
PAGE, FIGURE = "robustness.md", "robustness.png"
HEAD = """# Robustness

Made by `python scripts/benchmark.py robustness` from the files in `benchmarks/results/robustness`; not to be edited. The
detectors are AMSL's first runs in [RESULTS.md](../RESULTS.md), trained on windows as they were measured. They score changed
test windows: up to 1,000 normal and 1,000 abnormal ones, the same in every row, so that F1 is not that of RESULTS.md. Scores
and thresholds are not fitted again: where F1 falls and AUROC does not, only the threshold is wrong. The control is the nearest
neighbour on log spectra of the sensors' norms.

Noise is Gaussian, in each channel so many decibels below the power of that channel in the window (gravity counts). Of the five
units one is silent (9 channels are 0) or its clock is late, another one from window to window.

![AUROC against noise and against the delay of one unit](robustness.png)
"""

Scores = dict[str, dict[str, dict[str, float]]]  # metrics by condition and method


def write(results: Path, folder: Path) -> tuple[Path, Path]:
    """Writes the page and its figure; conditions that have not been run are not shown."""
    found = {protocol: _read(results, protocol) for protocol in PROTOCOLS}
    parts = [HEAD, *(_table(protocol, scores) for protocol, scores in found.items() if scores)]
    page, figure = folder / PAGE, folder / FIGURE
    with atomic_file(page) as temporary:
        temporary.write_text("\n".join(parts))
    with atomic_file(figure) as temporary:
        _draw({protocol: scores for protocol, scores in found.items() if scores}, temporary)
    return page, figure


def _read(results: Path, protocol: str) -> Scores:
    found = {}
    for name in TITLES:
        file = results / f"{protocol}.{name}.json"
        if file.exists():
            found[name] = read_json(file, f"Remove {file} and run the benchmark again.", ("scores",))["scores"]
    return found


def _table(protocol: str, found: Scores) -> str:
    columns = ["", *(column for title in METHODS.values() for column in (f"{title}: F1", "AUROC", "false alarms"))]
    rows = []
    for name, scores in found.items():
        of_methods = [scores[method] for method in METHODS]
        values = [value for one in of_methods for value in (one["f1"], one["auroc"], 1 - one["recall_normal"])]
        rows.append([TITLES[name], *(f"{value:.3f}" for value in values)])
    return f"## Protocol {protocol}\n\n{table(columns, rows)}"


def _draw(found: dict[str, Scores], file: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.5 + 2.7 * len(found)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(found), 2, sharey=True, squeeze=False)
    panels: list[tuple[str, Sequence[str], list[str]]] = [
        ("noise, dB below the signal", ["clean", *(f"noise_{decibels}" for decibels in NOISE)], ["none", *map(str, NOISE)]),
        ("one unit late, seconds", ["clean", *(f"late_{seconds}" for seconds in LATE)], ["0", *(f"{s:g}" for s in LATE)]),
    ]
    for row, (protocol, scores) in zip(axes, found.items(), strict=True):
        for panel, (label, names, ticks) in zip(row, panels, strict=True):
            for (method, title), style in zip(METHODS.items(), STYLES, strict=True):
                places = [place for place, name in enumerate(names) if name in scores]
                values = [scores[names[place]][method]["auroc"] for place in places]
                panel.plot(places, values, label=title, **style)
            panel.set_xticks(range(len(ticks)), ticks)
            panel.set_xlabel(label)
            panel.grid(alpha=0.3)
        row[0].set_ylabel(f"AUROC, protocol {protocol}")
    axes[0, 0].legend(frameon=False, fontsize="small")
    figure.savefig(file, format="png", dpi=110)
