"""Draws where the error of one window lies: its worst channels, the error over time, the views, the nearest normal window."""

import logging
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, nothing need be installed

from amsl_tf import cli
from amsl_tf.data.files import atomic_file
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.threshold import is_abnormal

log = logging.getLogger("amsl_tf")
FORMATS = (".png", ".svg", ".pdf")
TRAINING = Path("data/transform_dataset/train_dataset/data_raw_train.npy")


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("--detector", type=Path, default=Path("saved_models/amsl"), help="folder of the detector")
    cli.add_recording(parser)
    parser.add_argument("--window", type=cli.between(int, 0, 10**12), required=True, help="which window, counted from 0")
    parser.add_argument(
        "--training", type=Path, help=f"normal windows that the detector was trained on, .npy; {TRAINING} if it is there"
    )
    parser.add_argument("--output", type=Path, default=Path("explanation.png"), help=f"figure, {', '.join(FORMATS)}")
    arguments = parser.parse_args()
    if arguments.output.suffix not in FORMATS:
        parser.error(f"argument --output: must end in {', '.join(FORMATS)}, not {arguments.output}")

    if arguments.output.is_dir():
        parser.error(f"argument --output: {arguments.output} is a folder, name a file")

    from amsl_tf.detector import AMSLDetector
    from amsl_tf.recordings import check_input, read_window
    from amsl_tf.report.windows import explain_windows, open_training

    check_input(arguments.input)
    detector = AMSLDetector.load(arguments.detector)
    how = (arguments.stride, arguments.columns, arguments.header, detector.config.channel_names)
    row, window = read_window(arguments.input, arguments.window, detector.window_shape, *how)
    if not np.isfinite(window).all():
        raise DataError(f"{arguments.input}: window {arguments.window} holds NaN or infinity. Fill the gap first.")
    try:
        training = open_training(arguments.training or TRAINING, detector)
    except (AMSLError, OSError) as error:
        if arguments.training is not None:
            raise
        training = None
        log.info(f"the nearest normal window is not shown: {error}")
    (explained,) = explain_windows(detector, window[None], training)
    with atomic_file(arguments.output) as file:
        explained.figure.savefig(file, dpi=150)
    score, threshold = explained.score, detector.threshold_
    flagged = bool(is_abnormal(score, threshold))
    parser.tell(
        f"{arguments.output}: window {arguments.window}, from row {row}, is {'abnormal' if flagged else 'normal'}: "
        f"score {score:.4g}, threshold {threshold:.4g}\n"
        f"worst channels: {', '.join(explained.worst)}",
        {
            "output": arguments.output,
            "window": arguments.window,
            "first_row": row,
            "score": score,
            "threshold": threshold,
            "is_anomaly": flagged,
            "worst_channels": explained.worst,
            "nearest_normal": explained.nearest,
        },
    )


if __name__ == "__main__":
    cli.run(main)
