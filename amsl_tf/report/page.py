"""report.html: the figures and tables of an evaluation, and what they come from, in one file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
from matplotlib.figure import Figure

from amsl_tf import figures
from amsl_tf.data.dsads import titled
from amsl_tf.data.files import atomic_file
from amsl_tf.data.store import TEST_ABNORMAL, TEST_NORMAL, TRAIN, open_array
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.results import ADVICE, FIGURES, MEASURES, REPORT, SHOWN, Tested, read_results
from amsl_tf.saved import Summary, read_summary
from amsl_tf.threshold import is_abnormal

LABELS = 40  # activities or people in a figure
NAMES = {"nearest_normal": "nearest normal", "reconstruction": "reconstruction"}


class Drawn(NamedTuple):
    """A figure of the page: the name of its file, what it shows in words, and the drawing."""

    name: str
    caption: str
    figure: Figure

    @property
    def svg(self) -> str:
        return figures.svg(self.figure, self.name)


def write_report(results: Path, detector: Path, metrics: Mapping[str, Any]) -> Path:
    """Writes the page into a folder of results, and its figures as PNG files below it.

    Args:
        results: As `write_results` left it.
        detector: The folder of the detector.
        metrics: As `evaluate_results` gave them.

    Returns:
        The page.

    Raises:
        AMSLError: A file is missing or broken, or the results are another detector's.
    """
    summary = read_summary(detector)
    tested = read_results(results, summary)
    decides = summary.config.score
    sections = {
        "scores": list(_scores(tested, summary)),
        "rates": list(_rates(metrics, decides)),
        "views": [_views(tested, summary)],
        "training": list(_training(summary.metrics["history"])),
    }
    wrong = _wrong(tested, summary)
    shown, unseen = _windows(wrong, tested, detector, decides)
    sections |= shown
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("amsl_tf", "report"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("report.html.jinja").render(
        metrics=metrics,
        decided=metrics["scores"][decides],
        decides=NAMES[decides],
        names=NAMES,
        measures=MEASURES,
        counts=_counts(tested, summary, decides),
        sections=sections,
        wrong={name: len(places) for name, places in wrong.items()},
        unseen=unseen,
        run=tested.run,
        data=summary.data,
        settings=summary.config.flat(),
    )
    drawn = {one.name: one for several in sections.values() for one in several}
    for name, place in FIGURES.items():
        if name in drawn:
            with atomic_file(results / place) as file:
                file.write_bytes(figures.png(drawn[name].figure))
        else:  # of an earlier report
            (results / place).unlink(missing_ok=True)
    with atomic_file(results / REPORT) as file:
        file.write_text(page, encoding="utf-8")
    return results / REPORT


def _scores(tested: Tested, summary: Summary) -> Iterator[Drawn]:
    thresholds = {name: summary.threshold(name) for name in tested.scores}
    ordered = sorted(tested.scores, key=lambda name: name != summary.config.score)
    for name in ordered:
        kinds = {"normal": tested.scores[name][~tested.abnormal], "abnormal": tested.scores[name][tested.abnormal]}
        caption = "What lies right of the dashed line is flagged. The less the two overlap, the better."
        yield Drawn(f"scores_{name}", caption, figures.score_histogram(kinds, thresholds[name], f"Score: {NAMES[name]}"))
        counts = _counts(tested, summary, name)
        title = f"Confusion matrix: {NAMES[name]}"
        yield Drawn(f"confusion_{name}", "Rows: what a window is. Shares are of the row.", figures.confusion(counts, title))
    named = {NAMES[name]: tested.scores[name] for name in ordered}
    at = {NAMES[name]: threshold for name, threshold in thresholds.items()}
    caption = "Every threshold is a point of the curve; the dot is the one in use. A perfect one reaches the upper left."
    yield Drawn("roc", caption, figures.roc(named, tested.abnormal, at))
    caption = "The dotted line is what blind guessing would reach. A perfect one reaches the upper right."
    yield Drawn("precision_recall", caption, figures.precision_recall(named, tested.abnormal, at))


def _counts(tested: Tested, summary: Summary, name: str) -> np.ndarray:
    flagged = is_abnormal(tested.scores[name], summary.threshold(name))
    return np.array([[np.sum(~flagged & kind), np.sum(flagged & kind)] for kind in (~tested.abnormal, tested.abnormal)])


def _rates(metrics: Mapping[str, Any], decides: str) -> Iterator[Drawn]:
    for by, title in (("activity", "Flagged by activity"), ("subject", "Flagged by person")):
        labels = metrics["scores"][decides][f"by_{by}"]
        if not any(labels):  # not known of any window
            continue
        caption = "Orange: abnormal windows, found. Blue: normal windows, false alarms."
        shown = sorted(labels, key=lambda label: -_mistakes(labels[label]))[:LABELS]
        if len(shown) < len(labels):
            caption += f" Those {LABELS} of {len(labels)} with the largest share of mistakes."
        found = {titled(label) or "(unknown)": kinds for label, kinds in labels.items() if label in shown}
        yield Drawn(f"by_{by}", caption, figures.rates(found, title))


def _mistakes(kinds: Mapping[str, Mapping[str, float]]) -> float:
    return max(of["flagged"] if kind == "normal" else 1 - of["flagged"] for kind, of in kinds.items())


def _views(tested: Tested, summary: Summary) -> Drawn:
    errors = {"normal": tested.view_error[~tested.abnormal], "abnormal": tested.view_error[tested.abnormal]}
    views = summary.config.model.views
    caption = "Where the two kinds lie apart, that version of the windows tells them apart."
    if len(views) > 1:
        caption = f"Every window is rebuilt in several versions of it. {caption} The reconstruction score is the sum of all."
    return Drawn("view_errors", caption, figures.by_view(errors, views))


def _training(history: Mapping[str, list[float]]) -> Iterator[Drawn]:
    shown = {title: history[name] for name, title in (("loss", "training"), ("val_loss", "held back")) if name in history}
    if shown:
        caption = "The objective at the end of each epoch. The weights of the lowest orange point are the detector's."
        yield Drawn("losses", caption, figures.over_epochs(shown, "Losses", "objective"))
    for prefix, title, label, caption in (
        (
            "fusion_gate",
            "Gates of the fusion",
            "gate",
            "How much of a memory's answer is used, from 0 to 1; all start at 0.5.",
        ),
        (
            "memory_effective_slots",
            "Effective slots of the memories",
            "slots",
            "How many slots a memory answers with, over many windows: 1 if always the same, all if all are read alike.",
        ),
        (
            "memory_used_share",
            "Slots in use",
            "share of the slots",
            "Slots that are the first choice of some position of some window. What is never chosen is not needed.",
        ),
        (
            "memory_attention_entropy",
            "Entropy of the attention",
            "nats",
            "How widely one position reads: 0 if one slot answers, more where many are mixed.",
        ),
    ):
        curves = {name.partition("/")[2]: values for name, values in history.items() if name.startswith(f"{prefix}/")}
        if curves:
            yield Drawn(prefix, caption, figures.over_epochs(curves, title, label))


def _wrong(tested: Tested, summary: Summary) -> dict[str, np.ndarray]:
    """Places of the worst false alarms and of the worst misses, worst first."""
    scores = tested.scores[summary.config.score]
    flagged = is_abnormal(scores, summary.threshold(summary.config.score))
    rising = np.argsort(scores, kind="stable")
    alarms, misses = flagged & ~tested.abnormal, ~flagged & tested.abnormal
    return {"false_alarms": rising[::-1][alarms[rising[::-1]]][:SHOWN], "misses": rising[misses[rising]][:SHOWN]}


def _windows(
    wrong: Mapping[str, np.ndarray], tested: Tested, detector: Path, decides: str
) -> tuple[dict[str, list[Drawn]], str]:
    """Figures of test windows, whose places are given by kind; and why there are none, where their data are gone or changed."""
    places = np.concatenate(list(wrong.values()))
    if not len(places):
        return {kind: [] for kind in wrong}, ""
    from amsl_tf.detector import AMSLDetector  # late: it starts TensorFlow, which takes seconds
    from amsl_tf.report.windows import explain_windows, open_training

    fitted, source = AMSLDetector.load(detector), Path(tested.run["input"])
    try:
        training = open_training(TRAIN.file(source, "raw"), fitted)
        windows = np.stack([_open(source, tested, place, fitted.window_shape) for place in places])
        explained = explain_windows(fitted, windows, training)
    except (AMSLError, OSError) as error:
        return {}, str(error)
    if not np.allclose([one.score for one in explained], tested.scores[decides][places], rtol=1e-3, atol=1e-3):
        return {}, f"{source}: the test windows are not those of these results. {ADVICE}"
    drawn: dict[str, list[Drawn]] = {kind: [] for kind in wrong}
    kinds = (kind for kind, of_kind in wrong.items() for _ in of_kind)
    for kind, place, one in zip(kinds, places, explained, strict=True):
        about = (titled(tested.activity[place]), tested.subject[place], tested.segment[place])
        caption = f"{', '.join(filter(None, about))}: score {one.score:.4g}. Worst: {', '.join(one.worst)}."
        drawn[kind].append(Drawn(f"{kind}_{len(drawn[kind]) + 1}", caption, one.figure))
    return drawn, ""


def _open(source: Path, tested: Tested, place: int, shape: tuple[int, int]) -> np.ndarray:
    """A test window, (T, C). Raises DataError where there is no such window."""
    part = TEST_ABNORMAL if tested.abnormal[place] else TEST_NORMAL
    array, row = open_array(part.file(source, "raw"), ADVICE), tested.row[place]
    if array.shape[1:] != shape or len(array) <= row:
        raise DataError(f"{part.file(source, 'raw')}: expected more than {row} windows {shape}, found {array.shape}. {ADVICE}")
    return array[row]
