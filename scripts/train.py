"""Trains a detector on the materialised views, saves it, and writes the scores of every window of the three parts.

Killed at any moment, the same command goes on where it was.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, nothing need be installed

from amsl_tf import cli
from amsl_tf.config import DetectorConfig, TrainingConfig
from amsl_tf.model_config import MODELS, AMSLConfig


def main() -> None:
    parser = cli.Parser(__doc__)
    cli.add_transformed(parser)
    parser.add_argument("--detector", type=Path, help="folder to save the detector in, saved_models/MODEL if not given")
    parser.add_argument("--results", type=Path, help="folder for the scores, results (amsl) or results/MODEL if not given")
    parser.add_argument("--log-dir", type=Path, help="folder for TensorBoard, RESULTS/tensorboard if not given")
    parser.add_argument(
        "--checkpoint-seconds", type=float, default=60.0, help="shortest time between two saved states of the training"
    )
    parser.add_argument("--weights", type=Path, help="weights of a network trained elsewhere: nothing is trained then")
    cli.add_settings(
        parser,
        TrainingConfig,
        epochs="passes over the training windows",
        batch_size="windows in a step",
        learning_rate="step size of the optimizer, Adam",
        validation_share="of the windows held back to choose the best epoch (protocol subject: one whole person)",
        mixed_precision="precision of the training; auto takes the one that the device is fast at",
        seed="fixes the initial weights, the order, the dropout and what a memory forgets",
    )
    cli.add_settings(
        parser,
        DetectorConfig,
        score="the score that decides",
        percentile="the threshold is this percentile of the scores of normal training windows",
        scoring_precision="precision in which windows are scored",
        bank_size="training windows that the nearest-normal score keeps, at most",
    )
    parser.add_argument("--model", choices=MODELS, default=AMSLConfig.name, help="the network; each has settings of its own")
    cli.add_settings(
        parser,
        *MODELS.values(),
        views="which views there are, in this order; one but for amsl",
        latent_features="numbers at each position of the latent, the width of the bottleneck",
        memory="which memories are read",
        num_slots="slots of each memory",
        self_supervision="whether a classifier guesses the view",
        skip="whether decoders see the latent beside what the memories return",
        classification_weight="weight of the view classification, lambda 1 of the objective",
        entropy_weight="weight of the attention's entropy in the objective",
        shrink_threshold="of the attention, times 1 / number of slots",
        hippocampus_slots="slots of the first memory",
        hippocampus_forgetting="share of them that is forgotten in a step of the training",
        hippocampus_top_k="of them, how many a query reads",
        cortex_slots="slots of the second memory",
        cortex_forgetting="share of them that is forgotten in a step of the training",
        cortex_top_k="of them, how many a query reads",
        reintegration="what the decoder sees: the read of the cortex, or of both memories",
        compactness_weight="weight in the objective of how near latents lie to their items",
        separateness_weight="weight in the objective of how far they lie from their second items",
    )
    arguments = vars(parser.parse_args())
    paths = {
        name: arguments.pop(name) for name in ("source", "detector", "results", "log_dir", "checkpoint_seconds", "weights")
    }
    model = arguments["model"]
    paths["detector"] = paths["detector"] or Path("saved_models") / model
    paths["results"] = paths["results"] or (Path("results") if model == AMSLConfig.name else Path("results") / model)
    paths["log_dir"] = paths["log_dir"] or paths["results"] / "tensorboard"
    config = DetectorConfig.from_settings(**arguments)
    from amsl_tf.experiment import train_detector  # late: it starts TensorFlow, which takes seconds

    fitted = train_detector(config, **paths)
    parser.tell(
        f"detector: {paths['detector']}\nscores:   {paths['results']}\ncurves:   tensorboard --logdir {paths['log_dir']}",
        {**{name: paths[name] for name in ("detector", "results", "log_dir")}, "thresholds": fitted.thresholds_},
    )


if __name__ == "__main__":
    cli.run(main, if_interrupted="the same command goes on where it was")
