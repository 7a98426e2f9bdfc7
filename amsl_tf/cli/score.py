"""Scores recordings with a detector or a server, and finds events: parts of a recording that are abnormal."""

import argparse
import sys
from pathlib import Path
from typing import Any

from amsl_tf.cli.common import Parser, require_extra
from amsl_tf.cli.recordings import (
    add_dead_channel,
    add_detector,
    add_engine,
    add_events,
    add_recordings,
    add_scoring,
    check_engine,
    check_extrapolate,
    check_inputs,
    describe_events,
    make_reading,
    make_rule,
    open_recordings,
    path_or_url,
    report_skipped,
    set_threshold,
)
from amsl_tf.errors import AMSLError

NO_SERVER = ("steps", "resample", "false_alarms", "on_dead_channel")  # options that need a detector
LENGTHS = ("stride", "min_length", "merge")  # those in time need a detector


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "--output", type=path_or_url, help="table to write with a row for each window, .csv or .parquet; replaced if it exists"
    )
    parser.add_argument("--steps", action="store_true", help="a row for each time step in --output")
    parser.add_argument("--events", type=path_or_url, help="table to write with a row for each event, likewise")
    parser.add_argument("--exit-code", action="store_true", help="exit with status 1 if there are events")
    source = parser.add_mutually_exclusive_group()
    add_detector(source)
    source.add_argument("--server", metavar="URL", help="http://HOST:PORT or grpc://HOST:PORT, in place of a detector")
    parser.add_argument("--model", default="amsl", help="name of the model on the server")
    add_recordings(parser)
    add_scoring(parser)
    add_events(parser)
    add_dead_channel(parser)
    add_engine(parser)


def run(arguments: argparse.Namespace, parser: Parser) -> None:
    """Runs the command."""
    outputs = [file for file in (arguments.output, arguments.events) if file is not None]
    is_ray = check_engine(arguments, *outputs)
    _check_outputs(arguments, outputs)
    check_extrapolate(arguments)
    if is_ray and arguments.server is not None:
        raise AMSLError("--engine ray needs a detector. Use --detector in place of --server.")
    if not is_ray:
        check_inputs(arguments.recordings, arguments.detector if arguments.server is None else None)
    found = (_score_on_cluster if is_ray else _score)(arguments)

    from amsl_tf.evaluation.summary import describe_count

    total = sum(map(len, found.events))
    lines = [
        f"{describe_count(len(found.names), 'recording')}, {describe_count(found.windows, 'window')}, {found.flagged:,} "
        f"flagged, {found.incomplete:,} with missing values: {describe_count(total, 'event')}"
    ]
    for name, events, zone in zip(found.names, found.events, found.time_zones, strict=True):
        lines += [name] if events else []
        lines += describe_events(events, zone)
    files = {"output": _shown(arguments.output), "events_file": _shown(arguments.events)}
    lines += [f"{kind}: {file}" for kind, file in zip(("table", "events"), files.values(), strict=True) if file is not None]
    described = [event.to_dict(zone) for own, zone in zip(found.events, found.time_zones, strict=True) for event in own]
    counts = {name: getattr(found, name) for name in ("windows", "flagged", "incomplete")}
    skipped = [recording._asdict() for recording in found.skipped]
    parser.print_result("\n".join(lines), {**files, **counts, "skipped": skipped, "events": described})
    report_skipped(found.skipped)
    if arguments.exit_code and total:
        sys.exit(1)


def _check_outputs(arguments: argparse.Namespace, outputs: list[Path | str]) -> None:
    """Raises AMSLError if the tables cannot be written, or would be read as recordings the next time."""
    from amsl_tf.data.outputs import check_output, check_table_name

    for file in outputs:
        if isinstance(file, str):
            check_table_name(_shown(file))
            inputs = [_shown(recording).rstrip("/") for recording in arguments.recordings if isinstance(recording, str)]
            if any(f"{_shown(file)}/".startswith(f"{place}/") for place in inputs):
                raise AMSLError(f"{_shown(file)}: is, or lies in, an input, which would be changed. Name another place.")
            continue
        for recording in arguments.recordings:
            if isinstance(recording, str):
                check_output(file)
                continue
            check_output(file, recording)
            if recording.is_dir() and file.resolve().is_relative_to(recording.resolve()):
                fault = f"lies in {recording}, where it would be read as a recording the next time"
                raise AMSLError(f"{file}: {fault}. Name a file in another folder.")
    if len({file if isinstance(file, str) else str(file.resolve()) for file in outputs}) < len(outputs):
        raise AMSLError(f"{_shown(arguments.output)}: is named twice, in --output and --events. Name two files.")
    if arguments.steps and arguments.output is None:
        raise AMSLError("--steps needs a table. Name it with --output.")


def _shown(place: Any) -> Any:
    """Returns a URL without its options and credentials, and anything else as it is."""
    from amsl_tf.data.urls import plain_url

    return plain_url(place) if isinstance(place, str) else place


def _load(arguments: argparse.Namespace) -> tuple[Any, Any, Any]:
    """Returns the detector with its threshold set, how recordings are cut, and the rule for events."""
    from amsl_tf.detector import AMSLDetector

    detector = AMSLDetector.load(arguments.detector)
    plan = detector.plan(arguments.stride, arguments.resample)
    rule = make_rule(arguments, plan.preparation.period)
    set_threshold(detector, arguments, rule)
    return detector, plan, rule


def _score(arguments: argparse.Namespace) -> Any:
    """Scores recordings one after the other, and returns a `ScoringResult`."""
    skipped: list[Any] | None = [] if arguments.skip_bad else None
    options: dict[str, Any] = {"output": arguments.output, "events_file": arguments.events, "skipped": skipped}
    if arguments.server is None:
        scorer, plan, options["rule"] = _load(arguments)
        recordings = scorer.open_recordings(arguments.recordings, make_reading(arguments), skipped=skipped)
        options["step_threshold"] = scorer.threshold_ if arguments.steps else None
    else:
        scorer, recordings, plan = _connect(arguments, skipped)
        options["rule"] = make_rule(arguments, None)

    from amsl_tf.stages.recordings import score_recordings

    return score_recordings(scorer, recordings, plan, **options)


def _score_on_cluster(arguments: argparse.Namespace) -> Any:
    """Scores recordings with Ray, and returns a `ScoringResult`. Finished parts are kept beside the first table meanwhile."""
    detector, _, rule = _load(arguments)
    with require_extra("scale"):
        from amsl_tf.scale import score_recordings
    target = arguments.output or arguments.events
    work_dir = None
    if target is not None:
        local = Path(_shown(target).rpartition("/")[2]) if isinstance(target, str) else target
        work_dir = local.with_name(f".{local.name}.parts")
    return score_recordings(
        detector,
        arguments.recordings,
        stride=arguments.stride,
        resample=arguments.resample,
        rule=rule,
        reading=make_reading(arguments),
        steps=arguments.steps,
        output=arguments.output,
        events_file=arguments.events,
        skipped=[] if arguments.skip_bad else None,
        address=arguments.address,
        workers=arguments.workers,
        work_dir=work_dir,
    )


def _connect(arguments: argparse.Namespace, skipped: list[Any] | None) -> tuple[Any, Any, Any]:
    """Returns the client of a server, the recordings, and how they are cut."""
    from amsl_tf.data.lengths import parse_length
    from amsl_tf.data.window_reader import WindowPlan

    for name in NO_SERVER:
        if getattr(arguments, name):
            raise AMSLError(f"{_option(name)} needs a detector. Use --detector in place of --server.")
    for name in LENGTHS:
        text = getattr(arguments, name)
        if text is not None and isinstance(parse_length(_option(name), text, allow_zero=True), float):
            raise AMSLError(
                f"{_option(name)} must be a number of rows with --server, which knows no sampling rate. Received: {text!r}."
            )
    with require_extra("serving"):
        from amsl_tf.serving import Client

        client = Client(arguments.server, arguments.model)
    steps, channels = client.window_shape
    recordings = open_recordings(arguments, skipped)
    if len(recordings.channel_names) != channels:
        raise AMSLError(
            f"{recordings[0].name}: expected the {channels} channels of the model {arguments.model}, found "
            f"{len(recordings.channel_names)}. Name them with --columns."
        )
    stride = steps if arguments.stride is None else int(arguments.stride)
    return client, recordings, WindowPlan(steps, stride)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
