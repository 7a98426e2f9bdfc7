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
    cli.add_settings(parser, DetectorConfig, "score", "percentile")
    cli.add_settings(
        parser, TrainingConfig, "epochs", "batch_size", "learning_rate", "validation_share", "mixed_precision", "seed"
    )
    cli.add_settings(
        parser,
        ModelConfig,
        "views",
        "memory",
        "num_slots",
        "self_supervision",
        "skip",
        "classification_weight",
        "entropy_weight",
    )
    arguments = vars(parser.parse_args())
    paths = {name: arguments.pop(name) for name in ("source", "detector", "results", "log_dir", "checkpoint_seconds")}
    from amsl_tf.experiment import train_detector  # late: it starts TensorFlow, which takes seconds

    train_detector(DetectorConfig.from_settings(**arguments), **paths)
    print(f"detector: {paths['detector']}\nscores:   {paths['results']}\ncurves:   tensorboard --logdir {paths['log_dir']}")


if __name__ == "__main__":
    cli.run(main)
