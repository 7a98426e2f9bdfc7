"""The summary of a fitted detector in a few lines."""

from typing import TYPE_CHECKING, Any

from amsl_tf.data.lengths import describe_seconds
from amsl_tf.scoring.events import MergeRule
from amsl_tf.scoring.threshold import is_abnormal

if TYPE_CHECKING:
    from amsl_tf.detector import AMSLDetector

SHOWN = 6  # channels
LABEL = 14  # characters


def summarise_detector(detector: "AMSLDetector", rule: MergeRule | None = None) -> tuple[str, dict[str, Any]]:
    """Summarises what a detector has learned from recordings.

    Args:
        detector: A detector that `fit_recordings` has fitted.
        rule: How flagged windows form events, for the expected number of false alarms.

    Returns:
        The text, a line for each subject, and the same as values for JSON.
    """
    metadata, (steps, channels), period = detector.recordings_ or {}, detector.window_shape, detector.preparation_.period
    count, stride = len(detector.decision_scores_), metadata["stride"]
    flagged = int(is_abnormal(detector.decision_scores_, detector.threshold_).sum())
    names = detector.config_.channel_names
    health = detector.pipeline.health
    longest = [] if health is None else health.longest_run.tolist()
    still = [name for name, run in zip(names, longest, strict=False) if run >= steps]
    values: dict[str, Any] = {
        "recordings": metadata["recordings"],
        "rows": metadata["rows"],
        "windows": count,
        "window_rows": steps,
        "stride_rows": stride,
        "period": period,
        "filled": metadata["filled"],
        "missing_windows": metadata["missing_windows"],
        "abnormal_windows": metadata["abnormal_windows"],
        "channels": names,
        "still_channels": still,
        "score": detector.config_.score,
        "threshold": detector.threshold_,
        "flagged": flagged,
    }

    def rows(number: int) -> str:
        return describe_count(number, "row") + ("" if period is None else f" ({describe_seconds(number * period)})")

    filled = f", {describe_count(metadata['filled'], 'missing value')} interpolated" if metadata["filled"] else ""
    left_out = {"with missing values": metadata["missing_windows"], "labelled abnormal": metadata["abnormal_windows"]}
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in left_out.items() if number)
    held_out = {"group": "group", "piece": "piece of the recording"}[metadata["left_out"]]
    lines = {
        "recordings": f"{metadata['recordings']:,}, {rows(metadata['rows'])}{filled}",
        "windows": f"{count:,} of {rows(steps)}, one every {rows(stride)}" + (f"; left out: {reasons}" if reasons else ""),
        "channels": f"{channels}: {_shorten(names)}",
        "health": f"constant for a whole window in normal operation: {_shorten(still) or 'none'}",
        "score": f"{detector.config_.score}: {', '.join(detector.members_)}",
        "threshold": (
            f"{detector.threshold_:.4g}, reached by {flagged:,} of {count:,} normal windows, each scored without its {held_out}"
        ),
    }
    if period is None:
        lines["false alarms"] = f"{flagged / count:.2%} of normal windows; give the sampling rate to count them by time"
    else:
        normal = detector.normal_scores(rule)
        events = normal.count_events(detector.threshold_)
        rate = events / normal.duration
        values |= {"normal_seconds": normal.duration, "normal_events": events, "false_alarms_per_hour": 3600 * rate}
        lines["false alarms"] = f"{describe_count(events, 'event')} in {describe_seconds(normal.duration)} of normal data: "
        if events:
            lines["false alarms"] += f"{_round(3600 * rate)} an hour, or {_round(86_400 * rate)} a day"
        else:  # a rate of 0 would promise too much
            lines["false alarms"] += f"they are too short to tell rates below {_round(86_400 / normal.duration)} a day"
    return "\n".join(f"{name + ':':{LABEL}}{text}" for name, text in lines.items()), values


def describe_count(number: int, noun: str) -> str:
    """Returns a number with its noun: `1 event`, `2,000 events`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _round(number: float) -> str:
    """Returns a number of three significant digits without an exponent."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _shorten(names: Any) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
