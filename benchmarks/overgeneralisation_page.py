"""Tables in docs/method.md and their figure, from the JSON files of the study of over-generalisation."""

import statistics
from pathlib import Path
from typing import Any, NamedTuple

from amsl_tf.data.files import atomic_file, read_json
from amsl_tf.errors import AMSLError
from benchmarks.pages import put_between
from benchmarks.rows import table


class Network(NamedTuple):
    """A network of one view: what the tables call it, its settings, and how its line is drawn."""

    title: str
    settings: dict[str, Any]
    style: dict[str, Any]


_AMSL = {"model": "amsl", "views": ["raw"], "self_supervision": False, "memory": "global"}
# colours that the colour-blind tell apart (Okabe and Ito), and markers for print without colour
NETWORKS = {
    "cae": Network("no memory", {"model": "cae"}, {"color": "#1a1b1c", "marker": "o"}),
    "amsl": Network("AMSL's memory", _AMSL, {"color": "#0072b2", "marker": "s"}),
    "amsl_no_skip": Network("AMSL's memory, no skip", {**_AMSL, "skip": False}, {"color": "#56b4e9", "marker": "D"}),
    "memae": Network("MemAE", {"model": "memae"}, {"color": "#d55e00", "marker": "^"}),
    "rftm": Network("RFTM, as read here", {"model": "rftm"}, {"color": "#009e73", "marker": "v"}),
    "mnad": Network("MNAD", {"model": "mnad"}, {"color": "#cc79a7", "marker": "P"}),
}
WIDTHS = (2, 4, 16, 64)  # with 1 a direction, which two of the memories go by, says nothing
TITLES = {
    "digits": "Digits: nine are normal, the tenth is the anomaly",
    "dsads": "DSADS, protocol window, the raw view",
}
PAGE, FIGURE = "method.md", "overgeneralisation.png"
START = "<!-- over-generalisation: made by scripts/benchmark.py overgeneralisation -->"
END = "<!-- end of over-generalisation -->"

Means = dict[tuple[str, int], dict[str, float]]  # by network and width


def file(results: Path, data: str, network: str, width: int) -> Path:
    """Where the result of a network of some width is kept."""
    return results / f"{data}.{network}.{width}.json"


def write(results: Path, folder: Path) -> tuple[Path, Path]:
    """Writes the tables and their figure; what has not been run is not shown.

    Raises:
        AMSLError: Nothing has been run, or the page has no place for the tables.
    """
    found = {data: means for data in TITLES if (means := _read(results, data))}
    if not found:
        raise AMSLError(f"{results}: holds no result of {', '.join(TITLES)}. Run the study first.")
    page, figure = folder / PAGE, folder / FIGURE
    put_between(page, START, END, "".join(_table(data, means) for data, means in found.items()))
    with atomic_file(figure) as temporary:
        _draw(found, temporary)
    return page, figure


def _read(results: Path, data: str) -> Means:
    found = {}
    for network in NETWORKS:
        for width in WIDTHS:
            source = file(results, data, network, width)
            if source.exists():
                tasks = read_json(source, f"Remove {source} and run the benchmark again.", ("tasks",))["tasks"]
                columns = {name: [task[name] for task in tasks] for name in tasks[0]}
                means = {name: statistics.mean(values) for name, values in columns.items()}
                spread = {"spread": statistics.stdev(columns["auroc"])} if len(tasks) > 1 else {}
                found[network, width] = {**means, **spread}
    return found


def _table(data: str, means: Means) -> str:
    rows = [[network.title, *(_cell(means.get((name, width))) for width in WIDTHS)] for name, network in NETWORKS.items()]
    return f"\n{TITLES[data]}:\n\n" + table(["network", *(f"F = {width}" for width in WIDTHS)], rows)


def _cell(of: dict[str, float] | None) -> str:
    if of is None:
        return "not run"
    spread = f" ± {of['spread']:.3f}" if "spread" in of else ""
    return f"**{of['auroc']:.3f}**{spread}; {of['normal_error']:.4f}, {of['abnormal_error']:.4f}"


def _draw(found: dict[str, Means], target: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.6 + 3 * len(found)), layout="constrained")
    FigureCanvasAgg(figure)
    for row, (data, means) in zip(figure.subplots(len(found), 2, squeeze=False), found.items(), strict=True):
        for name, network in NETWORKS.items():
            widths = [width for width in WIDTHS if (name, width) in means]
            lines = {key: [means[name, width][key] for width in widths] for key in ("normal_error", "abnormal_error", "auroc")}
            row[0].plot(widths, lines["normal_error"], **network.style, label=network.title)
            row[0].plot(widths, lines["abnormal_error"], **network.style, linestyle="--", markerfacecolor="none")
            row[1].plot(widths, lines["auroc"], **network.style)
        row[0].set_title(TITLES[data], fontsize="small")
        row[0].set_yscale("log")
        row[0].set_ylabel("mean squared error (dashed: abnormal)")
        row[1].set_ylabel("AUROC")
        for panel in row:
            panel.set_xscale("log", base=2)
            panel.set_xticks(WIDTHS, map(str, WIDTHS))
            panel.set_xlabel("features at each position of the latent")
            panel.grid(alpha=0.3)
    named = figure.axes[0].get_legend_handles_labels()  # once: the other rows have the same lines
    figure.legend(*named, loc="outside upper center", ncols=3, frameon=False, fontsize="small")
    figure.savefig(target, format="png", dpi=110)
