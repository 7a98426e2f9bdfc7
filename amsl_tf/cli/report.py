"""Writes a page about one recording: its scores and events over time, the channels that made them, and their health."""

import argparse
from pathlib import Path

from amsl_tf.cli.common import Parser, local_path
from amsl_tf.cli.recordings import (
    add_dead_channel,
    add_detector,
    add_events,
    add_recordings,
    add_scoring,
    check_extrapolate,
    find_recording,
    make_reading,
    make_rule,
    set_threshold,
)


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of the command."""
    add_detector(parser)
    parser.add_argument("--output", type=local_path, default=Path("report.html"), help="page to write, .html")
    add_recordings(parser, several=False)
    add_scoring(parser)
    add_events(parser)
    add_dead_channel(parser)


def run(arguments: argparse.Namespace, parser: Parser) -> None:
    """Runs the command."""
    from amsl_tf.data.outputs import check_output

    file = find_recording(arguments)
    check_output(arguments.output, file, (".html",))
    check_extrapolate(arguments)

    from amsl_tf.detector import AMSLDetector
    from amsl_tf.evaluation.report.recording import write_recording_report
    from amsl_tf.evaluation.summary import describe_count

    detector = AMSLDetector.load(arguments.detector)
    rule = make_rule(arguments, detector.preparation_.period)
    set_threshold(detector, arguments, rule)
    recording = detector.load_recording(file, reading=make_reading(arguments), resample=arguments.resample)
    scores = detector.score_recording(recording, stride=arguments.stride, resample=arguments.resample, rule=rule)
    write_recording_report(
        arguments.output, recording, scores, normal_range=detector.normal_range_, detector_name=str(arguments.detector)
    )
    counts = {"row": len(recording), "window": len(scores.first_row), "event": len(scores.events)}
    parser.print_result(
        f"{arguments.output}: {', '.join(describe_count(number, name) for name, number in counts.items())}",
        {"output": arguments.output, **{f"{name}s": number for name, number in counts.items()}},
    )
