"""Draws what makes up the score of a window: channels with the nearest normal window or normal range, time steps, parts."""

import argparse
import logging
from pathlib import Path

from amsl_tf.cli.common import Parser, local_path, number_between
from amsl_tf.cli.recordings import add_detector, add_recordings, add_scoring, find_recording, make_reading

log = logging.getLogger(__name__)

FORMATS = (".png", ".svg", ".pdf")
TRAINING = Path("data/transform_dataset/train_dataset/data_raw_train.npy")


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of the command."""
    add_detector(parser)
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--window", type=number_between(int, 0, 10**12), help="number of the window, from 0")
    place.add_argument("--at", metavar="TIME", help="time in the middle of the window, as the recording writes times")
    parser.add_argument(
        "--training",
        type=local_path,
        help=f"training windows, .npy, to show the nearest one (default: {TRAINING}, for a detector of amsl train)",
    )
    parser.add_argument(
        "--output", type=local_path, default=Path("explanation.png"), help=f"figure to write, {', '.join(FORMATS)}"
    )
    add_recordings(parser, several=False)
    add_scoring(parser)


def run(arguments: argparse.Namespace, parser: Parser) -> None:
    """Runs the command."""
    from amsl_tf.data.outputs import check_output

    file = find_recording(arguments)
    check_output(arguments.output, file, FORMATS)

    from amsl_tf.data.channel_states import name_states
    from amsl_tf.data.files import atomic_file
    from amsl_tf.data.window_reader import read_windows
    from amsl_tf.data.window_search import describe_times, find_window
    from amsl_tf.detector import AMSLDetector
    from amsl_tf.errors import AMSLError
    from amsl_tf.evaluation.report.windows import explain_windows, open_training

    detector = AMSLDetector.load(arguments.detector)
    (recording,) = detector.open_recordings(file, make_reading(arguments))
    batches = read_windows(recording, detector.plan(arguments.stride, arguments.resample))
    number, window = find_window(batches, arguments.window, arguments.at, recording.time_zone)
    training, fault = None, ""
    try:
        if arguments.training is not None or detector.recordings_ is None:
            training = open_training(arguments.training or TRAINING, detector)
    except (AMSLError, OSError) as error:
        if arguments.training is not None:
            raise
        fault = str(error)
    (explained,) = explain_windows(detector, window.x, training)
    if training is not None and explained.nearest is None:
        fault = "the scores of the detector compare with no normal windows"
    if fault:
        log.info(f"the nearest normal window is not shown: {fault}")
    times = describe_times(window, recording.time_zone)
    if times:
        explained.figure.supxlabel(f"{times[0]} to {times[1]}", fontsize=9)
    with atomic_file(arguments.output) as temporary:
        explained.figure.savefig(temporary, dpi=150)
    found = detector.detect(window.x)
    flagged, (health,) = bool(found["is_anomaly"][0]), name_states(found["health"], recording.channel_names)
    place = f"from row {window.rows[0, 0]:,}" + (f", {times[0]} to {times[1]}" if times else "")
    parser.print_result(
        f"{arguments.output}: window {number:,}, {place}, is {'abnormal' if flagged else 'normal'}: "
        f"score {explained.score:.4g}, threshold {detector.threshold_:.4g}\n"
        f"largest contributions: {', '.join(explained.worst)}" + (f"\nchannels with a fault: {health}" if health else ""),
        {
            "output": arguments.output,
            "window": number,
            "first_row": int(window.rows[0, 0]),
            **(dict(zip(("start", "end"), times, strict=True)) if times else {}),
            "score": explained.score,
            "threshold": detector.threshold_,
            "is_anomaly": flagged,
            "worst_channels": explained.worst,
            "nearest_normal": explained.nearest,
            "health": health,
        },
    )
