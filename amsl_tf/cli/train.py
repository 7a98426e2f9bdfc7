"""Trains a detector on the materialised views, saves it, and writes the scores of every window of the three parts.

After an interruption the same command resumes the training. On several machines, named in the variable TF_CONFIG of TensorFlow,
start the same command on each: the first one writes.
"""

import argparse
from pathlib import Path

from amsl_tf.cli.common import Parser, add_settings, add_transformed, local_path, number_between
from amsl_tf.config import DEFAULT_SCORE, PRESETS, DetectorConfig, TrainingConfig, to_contamination
from amsl_tf.networks import NETWORKS
from amsl_tf.scoring import SCORES


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of the command."""
    add_transformed(parser)
    parser.add_argument("--detector", type=local_path, help="folder to save the detector in; by default saved_models/NETWORK")
    parser.add_argument("--results", type=local_path, help="folder for the scores; default: results (amsl) or results/NETWORK")
    parser.add_argument("--log-dir", type=local_path, help="folder for TensorBoard; by default RESULTS/tensorboard")
    parser.add_argument(
        "--checkpoint-seconds",
        type=number_between(float, 0, 10**9),
        default=60.0,
        help="minimum time between two saved states within an epoch",
    )
    parser.add_argument("--weights", type=local_path, help="weights of a network trained elsewhere; nothing is trained then")
    compact = PRESETS["compact"]
    parser.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="paper",
        help="epochs and sizes of the network that are not given: those of the paper, the defaults below, or compact: sizes "
        f"divided by {compact.divisor}, {compact.epochs} epochs",
    )
    add_settings(parser, TrainingConfig)
    parser.add_argument(
        "--score", choices=tuple(SCORES), default=argparse.SUPPRESS, help=f"decision score (default: {DEFAULT_SCORE})"
    )
    parser.add_argument(
        "--percentile",
        type=float,
        default=argparse.SUPPRESS,
        help="percentile of the scores of normal training windows that is the threshold (default: 98.0)",
    )
    add_settings(parser, DetectorConfig)
    parser.add_argument(
        "--network",
        "--model",
        dest="network",
        choices=(*NETWORKS, "none"),
        default="amsl",
        help="network, with settings of its own; none trains nothing",
    )
    add_settings(parser, *NETWORKS.values())


def run(arguments: argparse.Namespace, parser: Parser) -> None:
    """Runs the command."""
    settings = vars(arguments)
    paths = {name: settings.pop(name) for name in ("source", "detector", "results", "log_dir", "checkpoint_seconds", "weights")}
    network = settings["network"]
    paths["detector"] = paths["detector"] or Path("saved_models") / network
    paths["results"] = paths["results"] or (Path("results") if network == "amsl" else Path("results") / network)
    paths["log_dir"] = paths["log_dir"] or paths["results"] / "tensorboard"
    if "percentile" in settings:
        settings["contamination"] = to_contamination(settings.pop("percentile"))
    config = DetectorConfig.from_settings(**settings)
    # start TensorFlow: an invalid setting is reported before
    from amsl_tf.stages.training import train_detector
    from amsl_tf.training.distribution import read_cluster

    cluster = read_cluster()
    fitted = train_detector(config, **paths)
    if not cluster.is_chief:
        text = f"worker {cluster.number} of {cluster.workers}: trained; worker 0, the chief, writes detector and scores"
        parser.print_result(text, {"worker": cluster.number, "thresholds": fitted.thresholds_})
        return
    curves = "" if config.network is None else f"\ncurves:   tensorboard --logdir {paths['log_dir']}"
    parser.print_result(
        f"detector: {paths['detector']}\nscores:   {paths['results']}{curves}",
        {
            **{name: paths[name] for name in ("detector", "results")},
            **({} if config.network is None else {"log_dir": paths["log_dir"]}),
            "thresholds": fitted.thresholds_,
        },
    )
