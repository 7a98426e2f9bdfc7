"""Scores recordings with a detector or a server, and finds events: parts of a recording that are abnormal."""

import argparse
import sys
from typing import Any

from amsl_tf.cli.common import Parser, local_path, require_extra
from amsl_tf.cli.recordings import (
    add_dead_channel,
    add_detector,
    add_events,
    add_recordings,
    add_scoring,
    check_extrapolate,
    check_inputs,
    describe_events,
    make_reading,
    make_rule,
    open_recordings,
    set_threshold,
)
from amsl_tf.errors import AMSLError

NO_SERVER = ("steps", "resample", "false_alarms", "on_dead_channel")  # options that need a detector
LENGTHS = ("stride", "min_length", "merge")  # those in time need a detector


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("--output", type=local_path, help="table to write with a row for each window, .csv or .parquet")
    parser.add_argument("--steps", action="store_true", help="a row for each time step in --output")
    parser.add_argument("--events", type=local_path, help="table to write with a row for each event, .csv or .parquet")
    parser.add_argument("--exit-code", action="store_true", help="exit with status 1 if there are events")
    source = parser.add_mutually_exclusive_group()
    add_detector(source)
    source.add_argument("--server", metavar="URL", help="http://HOST:PORT or grpc://HOST:PORT, in place of a detector")
    parser.add_argument("--model", default="amsl", help="name of the model on the server")
    add_recordings(parser)
    add_scoring(parser)
    add_events(parser)
    add_dead_channel(parser)


def run(arguments: argparse.Namespace, parser: Parser) -> None:
    """Runs the command."""
    from amsl_tf.data.outputs import check_output

    outputs = [file for file in (arguments.output, arguments.events) if file is not None]
    for file in outputs:
        for recording in arguments.recordings:
            check_output(file, recording)
            if recording.is_dir() and file.resolve().is_relative_to(recording.resolve()):
                fault = f"lies in {recording}, where it would be read as a recording the next time"
                raise AMSLError(f"{file}: {fault}. Name a file in another folder.")
    if len({file.resolve() for file in outputs}) < len(outputs):
        raise AMSLError(f"{arguments.output}: is named twice, in --output and --events. Name two files.")
    if arguments.steps and arguments.output is None:
        raise AMSLError("--steps needs a table. Name it with --output.")
    check_extrapolate(arguments)
    check_inputs(arguments.recordings, arguments.detector if arguments.server is None else None)
    scorer, recordings, plan, options = (_connect if arguments.server is not None else _load)(arguments)

    from amsl_tf.evaluation.summary import describe_count
    from amsl_tf.stages.recordings import score_recordings

    found = score_recordings(scorer, recordings, plan, output=arguments.output, events_file=arguments.events, **options)
    total = sum(map(len, found.events))
    lines = [
        f"{describe_count(len(recordings), 'recording')}, {describe_count(found.windows, 'window')}, {found.flagged:,} "
        f"flagged, {found.incomplete:,} with missing values: {describe_count(total, 'event')}"
    ]
    for recording, events, zone in zip(recordings, found.events, found.time_zones, strict=True):
        lines += [recording.name] if events else []
        lines += describe_events(events, zone)
    lines += [
        f"{kind}: {file}" for kind, file in (("table", arguments.output), ("events", arguments.events)) if file is not None
    ]
    described = [event.to_dict(zone) for own, zone in zip(found.events, found.time_zones, strict=True) for event in own]
    counts = {name: getattr(found, name) for name in ("windows", "flagged", "incomplete")}
    parser.print_result(
        "\n".join(lines),
        {"output": arguments.output, "events_file": arguments.events, **counts, "events": described},
    )
    if arguments.exit_code and total:
        sys.exit(1)


def _load(arguments: argparse.Namespace) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Returns the detector, the recordings, how they are cut, and further options."""
    from amsl_tf.detector import AMSLDetector

    detector = AMSLDetector.load(arguments.detector)
    plan = detector.plan(arguments.stride, arguments.resample)
    rule = make_rule(arguments, plan.preparation.period)
    set_threshold(detector, arguments, rule)
    recordings = detector.open_recordings(arguments.recordings, make_reading(arguments))
    threshold = detector.threshold_ if arguments.steps else None
    return detector, recordings, plan, {"rule": rule, "step_threshold": threshold}


def _connect(arguments: argparse.Namespace) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Returns the client of a server, the recordings, how they are cut, and further options."""
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
    recordings = open_recordings(arguments)
    if len(recordings.channel_names) != channels:
        raise AMSLError(
            f"{recordings[0].name}: expected the {channels} channels of the model {arguments.model}, found "
            f"{len(recordings.channel_names)}. Name them with --columns."
        )
    stride = steps if arguments.stride is None else int(arguments.stride)
    return client, recordings, WindowPlan(steps, stride), {"rule": make_rule(arguments, None)}


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
