"""The tables of docs/method.md and their figure, from the stored results of the over-generalisation study."""

import statistics
from pathlib import Path
from typing import Any, NamedTuple

from amsl_tf.data.files import atomic_file, read_json
from amsl_tf.errors import AMSLError
from benchmarks.pages import Section
from benchmarks.rows import markdown_table


class Network(NamedTuple):
    """A network of one view.

    Attributes:
        title: The title in tables and legends.
        settings: The settings of the detector.
        style: The style of its lines, for Matplotlib.
    """

    title: str
    settings: dict[str, Any]
    style: dict[str, Any]


_AMSL = {"network": "amsl", "views": ["raw"], "self_supervision": False, "memory": "global"}
# colours that are safe for colour blindness (Okabe and Ito), and markers for printing without colour
NETWORKS = {
    "cae": Network("no memory", {"network": "cae"}, {"color": "#1a1b1c", "marker": "o"}),
    "amsl": Network("AMSL's memory", _AMSL, {"color": "#0072b2", "marker": "s"}),
    "amsl_no_skip": Network("AMSL's memory, no skip connection", {**_AMSL, "skip": False}, {"color": "#56b4e9", "marker": "D"}),
    "memae": Network("MemAE", {"network": "memae"}, {"color": "#d55e00", "marker": "^"}),
    "rftm": Network("RFTM (our reading)", {"network": "rftm"}, {"color": "#009e73", "marker": "v"}),
    "mnad": Network("MNAD", {"network": "mnad"}, {"color": "#cc79a7", "marker": "P"}),
}
WIDTHS = (2, 4, 16, 64)  # not 1, where the cosine similarity that two of the memories use is constant
TITLES = {
    "digits": "Digits: nine digits are normal, the tenth is the anomaly",
    "dsads": "DSADS: protocol window, raw view",
}
PAGE, FIGURE = "method.md", "overgeneralisation.png"
SECTION = Section("over-generalisation", "overgeneralisation")

Means = dict[tuple[str, int], dict[str, float]]  # by network and width


def result_file(results: Path, data: str, network: str, width: int) -> Path:
    """Returns the JSON file of the result of a network."""
    return results / f"{data}.{network}.{width}.json"


def write(results: Path, folder: Path) -> tuple[Path, Path]:
    """Writes the tables and their figure, of the data sets with a result; returns the paths of the page and the figure.

    Raises:
        AMSLError: There is no result, or the page lacks the marker lines of the tables.
    """
    found = {data: means for data in TITLES if (means := _read(results, data))}
    if not found:
        raise AMSLError(f"{results}: expected results for {' or '.join(TITLES)}, found none. Run the study first.")
    page, figure = folder / PAGE, folder / FIGURE
    SECTION.replace(page, "\n".join(_table(data, means) for data, means in found.items()))
    with atomic_file(figure) as temporary:
        _draw(found, temporary)
    return page, figure


def _read(results: Path, data: str) -> Means:
    found = {}
    for network in NETWORKS:
        for width in WIDTHS:
            source = result_file(results, data, network, width)
            if source.exists():
                tasks = read_json(source, f"Remove {source} and run the benchmark again.", ("tasks",))["tasks"]
                columns = {name: [task[name] for task in tasks] for name in tasks[0]}
                means = {name: statistics.mean(values) for name, values in columns.items()}
                spread = {"spread": statistics.stdev(columns["auroc"])} if len(tasks) > 1 else {}
                found[network, width] = {**means, **spread}
    return found


def _table(data: str, means: Means) -> str:
    rows = [[network.title, *(_cell(means.get((name, width))) for width in WIDTHS)] for name, network in NETWORKS.items()]
    return f"{TITLES[data]}:\n\n" + markdown_table(["memory", *(f"F = {width}" for width in WIDTHS)], rows)


def _cell(means: dict[str, float] | None) -> str:
    if means is None:
        return "not run"
    spread = f" ± {means['spread']:.3f}" if "spread" in means else ""
    return f"**{means['auroc']:.3f}**{spread}; {means['normal_error']:.4f}, {means['abnormal_error']:.4f}"


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
            panel.set_xlabel("features F at each position of the latent")
            panel.grid(alpha=0.3)
    handles = figure.axes[0].get_legend_handles_labels()  # the same in every row
    figure.legend(*handles, loc="outside upper center", ncols=3, frameon=False, fontsize="small")
    figure.savefig(target, format="png", dpi=110)
