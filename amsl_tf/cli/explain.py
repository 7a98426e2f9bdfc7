"""Draws what makes up the score of one window: channels beside the nearest normal window, time steps, parts of the score."""

import argparse
import logging
from pathlib import Path

from amsl_tf.cli.common import Parser, add_recording, local_path, number_between

log = logging.getLogger(__name__)

FORMATS = (".png", ".svg", ".pdf")
TRAINING = Path("data/transform_dataset/train_dataset/data_raw_train.npy")


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("--detector", type=local_path, default=Path("saved_models/amsl"), help="folder of the detector")
    add_recording(parser)
    parser.add_argument("--window", type=number_between(int, 0, 10**12), required=True, help="index of the window, from 0")
    parser.add_argument("--training", type=local_path, help=f"training windows, .npy (default: {TRAINING}, if it exists)")
    parser.add_argument("--output", type=local_path, default=Path("explanation.png"), help=f"figure, {', '.join(FORMATS)}")


def run(arguments: argparse.Namespace, parser: Parser) -> None:
    """Runs the command."""
    from amsl_tf.data.files import atomic_file
    from amsl_tf.data.formats import check_input
    from amsl_tf.data.outputs import check_output

    check_output(arguments.output, arguments.input, FORMATS)
    check_input(arguments.input)

    import numpy as np

    from amsl_tf.data.channel_states import name_states
    from amsl_tf.data.window_reader import read_window
    from amsl_tf.detector import AMSLDetector
    from amsl_tf.errors import AMSLError, DataError
    from amsl_tf.evaluation.report.windows import explain_windows, open_training

    detector = AMSLDetector.load(arguments.detector)
    reading = (arguments.stride, arguments.columns, arguments.header, detector.config_.channel_names)
    row, window = read_window(arguments.input, arguments.window, detector.window_shape, *reading)
    if not np.isfinite(window).all():
        raise DataError(f"{arguments.input}: window {arguments.window} holds NaN or infinity. Fill the missing values first.")
    training, fault = None, ""
    try:
        training = open_training(arguments.training or TRAINING, detector)
    except (AMSLError, OSError) as error:
        if arguments.training is not None:
            raise
        fault = str(error)
    (explained,) = explain_windows(detector, window[None], training)
    if explained.nearest is None:
        fault = "the scores of the detector compare with no normal windows"
    if fault:
        log.info(f"the nearest normal window is not shown: {fault}")
    with atomic_file(arguments.output) as file:
        explained.figure.savefig(file, dpi=150)
    found = detector.detect(window[None])
    flagged, (health,) = bool(found["is_anomaly"][0]), name_states(found["health"], detector.config_.channel_names)
    parser.print_result(
        f"{arguments.output}: window {arguments.window}, from row {row}, is {'abnormal' if flagged else 'normal'}: "
        f"score {explained.score:.4g}, threshold {detector.threshold_:.4g}\n"
        f"largest contributions: {', '.join(explained.worst)}" + (f"\nchannels with a fault: {health}" if health else ""),
        {
            "output": arguments.output,
            "window": arguments.window,
            "first_row": row,
            "score": explained.score,
            "threshold": detector.threshold_,
            "is_anomaly": flagged,
            "worst_channels": explained.worst,
            "nearest_normal": explained.nearest,
            "health": health,
        },
    )
