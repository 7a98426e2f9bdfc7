"""report.html: the figures and tables of an evaluation and their provenance, in one file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from amsl_tf import plotting
from amsl_tf.data.files import atomic_file
from amsl_tf.data.store import TEST_ABNORMAL, TEST_NORMAL, TRAIN, open_array
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.evaluation.report.templates import render
from amsl_tf.evaluation.results import (
    ADVICE,
    FIGURES,
    REPORT,
    SHOWN,
    UNKNOWN,
    TestResults,
    activity_title,
    read_results,
    remove_figures,
    shown_measures,
)
from amsl_tf.persistence import DetectorSummary, read_summary
from amsl_tf.scoring.threshold import is_abnormal

MAX_LABELS = 40  # activities or subjects in a figure
# quantities of the history by prefix of their names: the title, the label of the axis and the caption of their figure
MONITORED = {
    "fusion_gate": (
        "Gates of the fusion",
        "gate",
        "The weight of the read of each memory, from 0 to 1; all gates start at 0.5.",
    ),
    "memory_effective_slots": (
        "Effective slots of the memories",
        "slots",
        "The perplexity of the mean attention: 1 if all queries read one slot, the number of slots if all are read equally.",
    ),
    "memory_used_share": (
        "Slots in use",
        "share of the slots",
        "The share of the slots that have the largest attention of some query; the others are superfluous.",
    ),
    "memory_attention_entropy": (
        "Entropy of the attention",
        "nats",
        "The mean entropy of the attention of a query: 0 if it reads one slot, larger if it mixes many.",
    ),
}


class ReportFigure(NamedTuple):
    """A figure of the report.

    Attributes:
        name: The name of its file, without suffix, and its id on the page.
        caption: The caption.
        figure: The figure.
    """

    name: str
    caption: str
    figure: Figure

    @property
    def svg(self) -> str:
        """The figure as an SVG element."""
        return plotting.svg(self.figure, self.name)


def write_report(results: Path, detector: Path, metrics: Mapping[str, Any]) -> Path:
    """Writes the page into a folder of results, and its figures as PNG files below it.

    Args:
        results: A folder that `write_results` wrote.
        detector: The folder of the detector.
        metrics: The result of `evaluate_results`.

    Returns:
        The file of the page.

    Raises:
        AMSLError: A file is missing or broken, or the results are those of another detector.
    """
    summary = read_summary(detector)
    tested = read_results(results, summary)
    decision_score = summary.config.score
    sections = {
        "scores": list(_score_figures(tested, summary)),
        "rates": list(_rate_figures(metrics, decision_score)),
        "views": list(_view_figures(tested, summary)),
        "training": list(_training_figures(summary.metrics["history"])),
    }
    errors = _worst_errors(tested, summary)
    window_sections, unavailable = _window_figures(errors, tested, detector, decision_score)
    sections |= window_sections
    page = render(
        "report.html.jinja",
        metrics=metrics,
        decision_metrics=metrics["scores"][decision_score],
        decision_score=_display_name(decision_score),
        names={name: _display_name(name) for name in metrics["scores"]},
        measures=shown_measures(metrics),
        counts=_confusion_counts(tested, summary, decision_score),
        sections=sections,
        errors={kind: len(positions) for kind, positions in errors.items()},
        unavailable=unavailable,
        run=tested.run,
        data=summary.data,
        settings=summary.config.flat(),
        has_network=summary.config.network is not None,
    )
    figures = [figure for section in sections.values() for figure in section]
    remove_figures(results)  # those of an earlier report
    for figure in figures:
        with atomic_file(results / FIGURES / f"{figure.name}.png") as file:
            file.write_bytes(plotting.png(figure.figure))
    with atomic_file(results / REPORT) as file:
        file.write_text(page, encoding="utf-8")
    return results / REPORT


def _display_name(score: str) -> str:
    """Returns the name of a score for readers."""
    return score.replace("_", " ")


def _score_figures(tested: TestResults, summary: DetectorSummary) -> Iterator[ReportFigure]:
    has_abnormal = tested.abnormal.any()
    thresholds = {name: summary.threshold(name) for name in tested.scores}
    ordered = sorted(tested.scores, key=lambda name: name != summary.config.score)
    for name in ordered:
        title = _display_name(name)
        caption = "Windows to the right of the dashed line are flagged."
        if has_abnormal:
            caption += " The less the classes overlap, the better the score."
        figure = plotting.score_histogram(tested.by_class(tested.scores[name]), thresholds[name], f"Score: {title}")
        yield ReportFigure(f"scores_{name}", caption, figure)
        if has_abnormal:
            caption = "Rows: true class. Columns: decision. Percentages are of the row."
            figure = plotting.confusion(_confusion_counts(tested, summary, name), f"Confusion matrix: {title}")
            yield ReportFigure(f"confusion_{name}", caption, figure)
    if not has_abnormal:
        return
    scores = {_display_name(name): tested.scores[name] for name in ordered}
    thresholds = {_display_name(name): threshold for name, threshold in thresholds.items()}
    caption = "Each point of a curve is a threshold; the dot is the one in use. A perfect score reaches the upper left corner."
    yield ReportFigure("roc", caption, plotting.roc(scores, tested.abnormal, thresholds))
    caption = "The dotted line is chance level. A perfect score reaches the upper right corner."
    yield ReportFigure("precision_recall", caption, plotting.precision_recall(scores, tested.abnormal, thresholds))


def _confusion_counts(tested: TestResults, summary: DetectorSummary, score: str) -> np.ndarray:
    """Counts windows by true class (rows, normal first) and decision (columns, not flagged first), int (2, 2)."""
    flagged = is_abnormal(tested.scores[score], summary.threshold(score))
    return confusion_matrix(tested.abnormal, flagged, labels=[False, True])


def _rate_figures(metrics: Mapping[str, Any], decision_score: str) -> Iterator[ReportFigure]:
    for by in ("activity", "subject"):
        rates = metrics["scores"][decision_score][f"by_{by}"]
        if not any(rates):  # unknown for all windows
            continue
        caption = "Orange: abnormal windows, recall. Blue: normal windows, false alarms."
        shown = sorted(rates, key=lambda label: -_error_rate(rates[label]))[:MAX_LABELS]
        if len(shown) < len(rates):
            caption += f" The {MAX_LABELS} of {len(rates)} with the largest error rate."
        titled = {activity_title(label, metrics) or UNKNOWN: rates[label] for label in rates if label in shown}
        yield ReportFigure(f"by_{by}", caption, plotting.rates(titled, f"Flagged by {by}"))


def _error_rate(classes: Mapping[str, Mapping[str, float]]) -> float:
    return max(rates["flagged"] if name == "normal" else 1 - rates["flagged"] for name, rates in classes.items())


def _view_figures(tested: TestResults, summary: DetectorSummary) -> Iterator[ReportFigure]:
    views = summary.config.views
    if tested.view_error is None:
        return
    caption = "All test windows are normal."
    if tested.abnormal.any():
        caption = "The further the two classes are apart, the better a view separates them."
    if len(views) > 1:
        caption = f"The network reconstructs each view of a window. {caption} The reconstruction score sums all views."
    yield ReportFigure("view_errors", caption, plotting.by_view(tested.by_class(tested.view_error), views))


def _training_figures(history: Mapping[str, list[float]]) -> Iterator[ReportFigure]:
    titles = {"loss": "training", "val_loss": "validation"}
    losses = {title: history[name] for name, title in titles.items() if name in history}
    if losses:
        caption = "The objective at the end of each epoch. The detector has the weights of the lowest validation loss."
        yield ReportFigure("losses", caption, plotting.over_epochs(losses, "Losses", "objective"))
    for prefix, (title, label, caption) in MONITORED.items():
        curves = {name.partition("/")[2]: values for name, values in history.items() if name.startswith(f"{prefix}/")}
        if curves:
            yield ReportFigure(prefix, caption, plotting.over_epochs(curves, title, label))


def _worst_errors(tested: TestResults, summary: DetectorSummary) -> dict[str, np.ndarray]:
    """Returns the positions of the worst false alarms and of the worst misses, worst first."""
    scores = tested.scores[summary.config.score]
    flagged = is_abnormal(scores, summary.threshold(summary.config.score))
    rising = np.argsort(scores, kind="stable")
    alarms, misses = flagged & ~tested.abnormal, ~flagged & tested.abnormal
    return {"false_alarms": rising[::-1][alarms[rising[::-1]]][:SHOWN], "misses": rising[misses[rising]][:SHOWN]}


def _window_figures(
    errors: Mapping[str, np.ndarray], tested: TestResults, detector: Path, decision_score: str
) -> tuple[dict[str, list[ReportFigure]], str]:
    """Draws test windows, whose positions are given by kind of error.

    Returns:
        The figures by kind, and an empty string; no figures and the reason if the data are missing or have changed.
    """
    positions = np.concatenate(list(errors.values()))
    if not len(positions):
        return {kind: [] for kind in errors}, ""
    from amsl_tf.detector import AMSLDetector  # imports TensorFlow, which takes seconds
    from amsl_tf.evaluation.report.windows import explain_windows, open_training

    fitted, source = AMSLDetector.load(detector), Path(tested.run["input"])
    try:
        training = open_training(TRAIN.file(source, "raw"), fitted)
        windows = np.stack([_open_window(source, tested, position, fitted.window_shape) for position in positions])
        explained = explain_windows(fitted, windows, training)
    except (AMSLError, OSError) as error:
        return {}, str(error)
    if not np.allclose([window.score for window in explained], tested.scores[decision_score][positions], rtol=1e-3, atol=1e-3):
        return {}, f"{source}: the test windows are not those of these results. {ADVICE}"
    figures: dict[str, list[ReportFigure]] = {kind: [] for kind in errors}
    kinds = np.repeat(list(errors), [len(of_kind) for of_kind in errors.values()])
    for kind, position, window in zip(kinds.tolist(), positions, explained, strict=True):
        labels = (tested.title(tested.activity[position]), tested.subject[position], tested.segment[position])
        title, worst = ", ".join(filter(None, labels)), ", ".join(window.worst)
        caption = f"{title}: score {window.score:.4g}. Largest contributions: {worst}."
        figures[kind].append(ReportFigure(f"{kind}_{len(figures[kind]) + 1}", caption, window.figure))
    return figures, ""


def _open_window(source: Path, tested: TestResults, position: int, shape: tuple[int, int]) -> np.ndarray:
    """Reads a test window, (T, C). Raises DataError if there is none."""
    part = TEST_ABNORMAL if tested.abnormal[position] else TEST_NORMAL
    array, row = open_array(part.file(source, "raw"), ADVICE), tested.row[position]
    if array.shape[1:] != shape or len(array) <= row:
        raise DataError(f"{part.file(source, 'raw')}: expected more than {row} windows {shape}, found {array.shape}. {ADVICE}")
    return array[row]
