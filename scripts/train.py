"""Trains a detector on the materialised views, saves it, and writes the scores of every window of the three parts.

Killed at any moment, the same command goes on where it was.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, nothing need be installed

from amsl_tf import cli
from amsl_tf.config import DetectorConfig, ModelConfig, TrainingConfig


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument(
        "--input", dest="source", type=Path, default=Path("data/transform_dataset"), help="folder that transformation.py wrote"
    )
    parser.add_argument("--detector", type=Path, default=Path("saved_models/amsl"), help="folder to save the detector in")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder for the scores")
    parser.add_argument("--log-dir", type=Path, default=Path("results/tensorboard"), help="folder for TensorBoard")
    parser.add_argument(
        "--checkpoint-seconds", type=float, default=60.0, help="at least so long between two states to go on from"
    )
    cli.add_settings(
        parser,
        TrainingConfig,
        epochs="passes over the training windows",
        batch_size="windows in a step",
        learning_rate="of Adam",
        validation_share="of the windows held back to choose the best epoch (protocol subject: one whole person)",
        mixed_precision="auto is what the device computes fast",
        seed="of weights, order and dropout",
    )
    cli.add_settings(
        parser,
        DetectorConfig,
        score="the score that decides",
        percentile="of the scores of normal training windows: the threshold",
    )
    cli.add_settings(
        parser,
        ModelConfig,
        views="a subset of them, in this order",
        memory="which memories are read",
        num_slots="of each memory",
        self_supervision="a classifier guesses the view",
        skip="decoders see the latent beside what the memories return",
        classification_weight="lambda 1 of the objective",
        entropy_weight="lambda 2 of the objective",
    )
    arguments = vars(parser.parse_args())
    paths = {name: arguments.pop(name) for name in ("source", "detector", "results", "log_dir", "checkpoint_seconds")}
    from amsl_tf.experiment import train_detector  # late: it starts TensorFlow, which takes seconds

    train_detector(DetectorConfig.from_settings(**arguments), **paths)
    print(f"detector: {paths['detector']}\nscores:   {paths['results']}\ncurves:   tensorboard --logdir {paths['log_dir']}")


if __name__ == "__main__":
    cli.run(main)
