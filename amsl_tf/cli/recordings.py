"""The options of commands that read recordings, and the text in which they report events."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from amsl_tf.cli.common import Parser, local_path, number_between
from amsl_tf.config import OnDeadChannel
from amsl_tf.data.reading import UTF_8
from amsl_tf.errors import AMSLError

if TYPE_CHECKING:
    from amsl_tf.data.reading import Reading
    from amsl_tf.data.recordings import Recordings
    from amsl_tf.data.skipped import Skipped
    from amsl_tf.detector import AMSLDetector
    from amsl_tf.scoring.alert_budgets import AlertBudget
    from amsl_tf.scoring.events import Event, MergeRule

SHOWN_EVENTS, SHOWN_CHANNELS = 10, 3


def add_recordings(parser: Parser, *, several: bool = True) -> None:
    """Adds the argument `recordings` and how to read them: the attributes of `Reading`. Several may be at URLs."""
    # recordings come first: an option with several names would take them for names
    parser.usage = f"%(prog)s RECORDING{' ...' if several else ''} [OPTION ...]"
    kinds = ".csv (may be .gz, .bz2, .xz), .parquet, .npy, .npz"
    parser.add_argument(
        "recordings",
        type=path_or_url if several else local_path,
        nargs="+" if several else 1,
        metavar="RECORDING",
        help=f"{'files or folders' if several else 'a file'}: {kinds}" + "; with --engine ray also URLs" * several,
    )
    group = parser.add_argument_group("reading")
    names: dict[str, Any] = {"nargs": "+", "default": (), "metavar": "NAME"}
    group.add_argument(
        "--columns", **names, help="columns that are the channels; by default those of the detector, or all others"
    )
    group.add_argument("--drop", **names, help="columns to leave out")
    group.add_argument(
        "--time", default="", metavar="NAME", help="column of times; by default found by name or dates; none for no times"
    )
    group.add_argument(
        "--time-format",
        default="",
        metavar="FORMAT",
        help="format of times that are text, such as '%%d/%%m/%%Y %%H:%%M:%%S'; by default found",
    )
    group.add_argument("--label", default="", metavar="NAME", help="column of labels, 1 for abnormal rows")
    group.add_argument(
        "--delimiter", default="", metavar="CHARACTER", help="delimiter of a CSV, also tab or space; by default found"
    )
    group.add_argument(
        "--decimal", default="", choices=(".", ","), metavar="CHARACTER", help="decimal separator of a CSV; by default found"
    )
    group.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether the first line of a CSV names its columns",
    )
    group.add_argument(
        "--na", nargs="+", default=(), metavar="TEXT", help="further cells that stand for missing values, such as Bad"
    )
    group.add_argument("--encoding", default=UTF_8, help="encoding of a CSV, such as cp1252")


def path_or_url(text: str) -> Path | str:
    """Converts the text of an argument to a path, for argparse; a URL of another machine stays text."""
    from amsl_tf.data.urls import is_url, remove_file_scheme

    try:
        place = remove_file_scheme(text)
    except AMSLError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return str(place) if is_url(place) else local_path(str(place))


def add_engine(parser: Parser) -> None:
    """Adds `--skip-bad`, and the options of the engine that reads recordings."""
    group = parser.add_argument_group("engine", "For recordings in many files, on several CPUs or machines.")
    text = "leave out recordings that cannot be used, and list them on stderr; this does not change the exit status"
    group.add_argument("--skip-bad", action="store_true", help=text)
    text = "local, one recording after the other, or ray, several processes of this machine or a cluster (extra scale)"
    group.add_argument("--engine", choices=("local", "ray"), default="local", help=text)
    text = "Ray cluster, auto or HOST:PORT; by default that of RAY_ADDRESS, or else this machine"
    group.add_argument("--address", help=text)
    text = "workers of the cluster, each with one CPU; by default all of its CPUs"
    group.add_argument("--workers", type=number_between(int, 1, 100_000), metavar="COUNT", help=text)


def check_engine(arguments: argparse.Namespace, *places: Path | str | None) -> bool:
    """Returns whether the engine is Ray. Raises AMSLError for options and URLs, in arguments or other places, that need it."""
    if arguments.engine == "ray":
        return True
    for name in ("address", "workers"):
        if getattr(arguments, name) is not None:
            raise AMSLError(f"--{name} needs a cluster. Add --engine ray.")
    for place in (*arguments.recordings, *places):
        if isinstance(place, str):
            from amsl_tf.data.urls import plain_url

            raise AMSLError(f"{plain_url(place)}: URLs need --engine ray, also on one machine. Add it, or copy the data here.")
    return False


def report_skipped(skipped: "Sequence[Skipped]") -> None:
    """Prints the first recordings that were left out, and how many there are, on stderr, also with `--quiet`."""
    lines = [f"left out: {len(skipped):,} that cannot be used"] if skipped else []
    lines += [f"  {recording.reason}" for recording in skipped[:SHOWN_EVENTS]]
    lines += [f"  ... and {len(skipped) - SHOWN_EVENTS:,} more"] * (len(skipped) > SHOWN_EVENTS)
    for line in lines:
        print(line, file=sys.stderr)


def add_scoring(parser: Parser) -> None:
    """Adds the options of scoring recordings with a detector."""
    group = parser.add_argument_group("windows")
    add_length(group, "--stride", "rows or time between the starts of windows; by default as in fitting")
    group.add_argument(
        "--resample", action="store_true", help="resample recordings to the sampling rate of the training recordings"
    )


def add_events(parser: Parser) -> None:
    """Adds the options of events and of the threshold."""
    group = parser.add_argument_group("events and threshold")
    add_length(group, "--min-length", "rows or time that an event lasts at least")
    text = "rows or time between two flagged windows of an event, at most"
    add_length(group, "--merge", text, allow_zero=True, default="0")
    group.add_argument(
        "--false-alarms",
        type=_false_alarms,
        metavar="RATE",
        help="false alarms to expect: a share of normal windows such as 0.02 or 2%%, or a budget of events such as 1/day",
    )
    group.add_argument(
        "--extrapolate",
        action="store_true",
        help="for a budget below what the normal data resolve, fit a distribution to the tail of their scores",
    )


def add_dead_channel(parser: Parser) -> None:
    """Adds `--on-dead-channel`, of a detector that is fitted."""
    text = "whether a dead, stuck, saturated or missing channel makes a window abnormal; by default as in fitting"
    parser.add_argument("--on-dead-channel", choices=get_args(OnDeadChannel), help=text)


def add_length(parser: Any, option: str, text: str, *, allow_zero: bool = False, default: str | None = None) -> None:
    """Adds an option that is a length in rows or in time; `text` is its help."""
    parser.add_argument(option, type=partial(_length, allow_zero=allow_zero), default=default, metavar="LENGTH", help=text)


def _length(text: str, allow_zero: bool) -> str:
    """Checks a length, for argparse; its rows may depend on the recording."""
    from amsl_tf.data.lengths import parse_length

    try:
        parse_length("a length", text, allow_zero=allow_zero)
    except AMSLError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _false_alarms(text: str) -> "float | AlertBudget":
    """Converts a share of windows, or a budget of events, for argparse."""
    from amsl_tf.config import check_rate
    from amsl_tf.scoring.alert_budgets import AlertBudget

    try:
        if "/" in text:
            return AlertBudget.parse(text)
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        return check_rate("a share of normal windows", share)
    except AMSLError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a share such as 0.02, or a budget such as 1/day, not {text!r}") from error


def make_reading(arguments: argparse.Namespace) -> "Reading":
    """Makes the `Reading` of parsed arguments."""
    from amsl_tf.data.reading import Reading

    return Reading(
        columns=tuple(arguments.columns),
        drop=tuple(arguments.drop),
        time=arguments.time,
        label=arguments.label,
        header=arguments.header,
        delimiter=arguments.delimiter,
        decimal=arguments.decimal,
        time_format=arguments.time_format,
        na=tuple(arguments.na),
        encoding=arguments.encoding,
    )


def open_recordings(arguments: argparse.Namespace, skipped: "list[Skipped] | None" = None) -> "Recordings":
    """Opens the recordings of parsed arguments; those that cannot be opened are added to a list, if there is one."""
    from amsl_tf.data.recordings import Recordings

    return Recordings.of(arguments.recordings, make_reading(arguments), skipped=skipped)


def check_inputs(recordings: Sequence[Path], detector: Path | None = None) -> list[Path]:
    """Finds the files of recordings and checks the folder of a detector, before TensorFlow is imported, which takes seconds."""
    from amsl_tf.data.recording_files import find_files
    from amsl_tf.persistence import read_summary

    if detector is not None:
        read_summary(detector)
    return find_files(recordings)


def find_recording(arguments: argparse.Namespace) -> Path:
    """Returns the one recording of parsed arguments. Raises AMSLError if there are several, or no detector."""
    files = check_inputs(arguments.recordings, arguments.detector)
    if len(files) > 1:
        raise AMSLError(f"{arguments.recordings[0]}: expected one recording, found {len(files):,}. Name one of them.")
    return files[0]


def make_rule(arguments: argparse.Namespace, period: float | None) -> "MergeRule":
    """Makes the rule for events of parsed arguments; `period` is the time between rows in seconds, if known."""
    from amsl_tf.data.lengths import to_rows
    from amsl_tf.scoring.events import MergeRule

    min_rows = 1 if arguments.min_length is None else to_rows("--min-length", arguments.min_length, period)
    return MergeRule(min_rows=min_rows, merge_rows=to_rows("--merge", arguments.merge, period, allow_zero=True))


def check_extrapolate(arguments: argparse.Namespace) -> None:
    """Raises AMSLError if `--extrapolate` is given without a budget."""
    if arguments.extrapolate and (arguments.false_alarms is None or isinstance(arguments.false_alarms, float)):
        raise AMSLError("--extrapolate needs a budget of events. Add one, such as --false-alarms 1/day.")


def set_threshold(detector: "AMSLDetector", arguments: argparse.Namespace, rule: "MergeRule") -> None:
    """Sets the threshold of a fitted detector as `--false-alarms` says, and `--on-dead-channel`, as far as given."""
    if (dead := getattr(arguments, "on_dead_channel", None)) is not None:
        detector.set_on_dead_channel(dead)
    wanted = arguments.false_alarms
    if isinstance(wanted, float):
        detector.set_false_alarm_rate(wanted)
    elif wanted is not None:
        detector.set_alert_budget(wanted, rule=rule, extrapolate=arguments.extrapolate)


def describe_events(events: "Sequence[Event]", zone: str | None) -> list[str]:
    """Returns a line for each of the first events, and how many more there are."""
    from amsl_tf.data.lengths import describe_seconds
    from amsl_tf.data.time_zones import describe_time

    lines = []
    for event in events[:SHOWN_EVENTS]:
        place = f"rows {event.first_row:,} to {event.last_row:,}"
        if event.start is not None:
            start, end = (describe_time(time, zone) for time in (event.start, event.end))
            place = f"{start} to {end} ({describe_seconds(event.duration)})"
        faults = [f"{name} {state}" for name, state in event.health.items()]
        others = (name for name, value in event.channels.items() if value > 0 and name not in event.health)
        causes = [*faults, *others]
        p_value = "" if event.p_value != event.p_value else f", p {event.p_value:.2g}"
        score = "no score" if event.peak_score != event.peak_score else f"score {event.peak_score:.3g}"
        lines.append(f"  {place}: {score}{p_value}: {', '.join(causes[:SHOWN_CHANNELS])}")
    if len(events) > SHOWN_EVENTS:
        lines.append(f"  ... and {len(events) - SHOWN_EVENTS:,} more")
    return lines


def add_detector(parser: Any, default: Path = Path("saved_models/mine"), text: str = "folder of the detector") -> None:
    """Adds `--detector`."""
    parser.add_argument("--detector", type=local_path, default=default, help=text)
