"""Fits a detector to recordings of normal operation, and saves it."""

import argparse
from typing import Any, get_args

from amsl_tf.cli.common import Parser, add_settings, require_extra
from amsl_tf.cli.recordings import (
    add_detector,
    add_engine,
    add_events,
    add_length,
    add_recordings,
    check_engine,
    check_extrapolate,
    check_inputs,
    make_reading,
    make_rule,
    report_skipped,
    set_threshold,
)
from amsl_tf.config import DEFAULT_SCORE, PRESETS, DetectorConfig, TrainingConfig
from amsl_tf.data.choices import GroupBy, Missing, ResampleBy
from amsl_tf.networks import NETWORKS
from amsl_tf.scoring import SCORES


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of the command."""
    add_detector(parser, text="folder to save the detector in")
    add_recordings(parser)
    windows = parser.add_argument_group("windows", "A LENGTH is a number of rows such as 100, or a time such as 2s.")
    add_length(windows, "--window", "length of a window; by default two periods of the recording, if it has one")
    add_length(windows, "--stride", "rows or time between the starts of windows; by default a quarter of a window")
    windows.add_argument(
        "--groups",
        choices=get_args(GroupBy),
        default="file",
        help="recordings that are left out together to score normal windows that the detector has not seen",
    )
    windows.add_argument("--rate", type=float, metavar="HZ", help="sampling rate of recordings without times")
    windows.add_argument("--resample", metavar="TIME", help="time between rows after resampling, such as 20ms")
    windows.add_argument(
        "--resample-by", choices=get_args(ResampleBy), default="mean", help="the value of a row after resampling"
    )
    add_length(windows, "--max-gap", "longest time between two rows of a window; by default a quarter of a window")
    windows.add_argument("--missing", choices=get_args(Missing), default="interpolate", help="treatment of missing values")
    text = "longest run of missing values to interpolate; by default a tenth of a window"
    add_length(windows, "--max-fill", text, allow_zero=True)
    add_events(parser)
    add_engine(parser)
    settings = parser.add_argument_group("detector")
    settings.add_argument(
        "--score", choices=tuple(SCORES), default=argparse.SUPPRESS, help=f"decision score (default: {DEFAULT_SCORE})"
    )
    settings.add_argument("--axes", type=int, default=1, help="consecutive channels that are the axes of one sensor")
    add_settings(settings, DetectorConfig)
    training = parser.add_argument_group("network", "By default no network is trained.")
    training.add_argument("--network", choices=(*NETWORKS, "none"), default="none", help="network to train")
    training.add_argument("--preset", choices=tuple(PRESETS), default="compact", help="size and epochs of the network")
    epochs = "; ".join(f"{name}: {preset.epochs}" for name, preset in PRESETS.items())
    add_settings(training, TrainingConfig, defaults={"epochs": f"by preset, {epochs}"})


def run(arguments: argparse.Namespace, parser: Parser) -> None:
    """Runs the command."""
    from amsl_tf.data.files import check_replaceable, check_writable, resolve
    from amsl_tf.persistence import expected_entries

    target = resolve(arguments.detector)
    check_replaceable(target, expected_entries(target))
    check_writable(target)
    check_extrapolate(arguments)
    if not (is_ray := check_engine(arguments)):
        check_inputs(arguments.recordings)
    known = vars(arguments)
    shared = ("score", "network", "preset", "axes")
    names = [*shared, *(item for item in known if item in _SETTINGS)]
    config = DetectorConfig.from_settings(**{name: known[name] for name in names if name in known})
    reading = make_reading(arguments)

    from amsl_tf.detector import AMSLDetector
    from amsl_tf.evaluation.summary import summarise_detector
    from amsl_tf.training.distribution import read_cluster

    detector = AMSLDetector.from_config(config)
    skipped: list[Any] = []
    options = ("window", "stride", "groups", "rate", "resample", "resample_by", "max_gap", "missing", "max_fill")
    fitting = {name: known[name] for name in options} | {"reading": reading, "skipped": skipped if arguments.skip_bad else None}
    if is_ray:
        with require_extra("scale"):
            from amsl_tf.scale import fit_recordings

            fit_recordings(detector, arguments.recordings, address=arguments.address, workers=arguments.workers, **fitting)
    else:
        detector.fit_recordings(arguments.recordings, **fitting)
    rule = make_rule(arguments, detector.preparation_.period)
    set_threshold(detector, arguments, rule)
    text, values = summarise_detector(detector, rule)
    lines = [text]
    if is_chief := read_cluster().is_chief:
        detector.save(arguments.detector)
        lines.append(f"saved:        {arguments.detector}")
    values |= {"skipped": [recording._asdict() for recording in skipped], "detector": arguments.detector if is_chief else None}
    parser.print_result("\n".join(lines), values)
    report_skipped(skipped)


_SETTINGS = {name for config in (TrainingConfig, DetectorConfig) for name in config.__dataclass_fields__}
