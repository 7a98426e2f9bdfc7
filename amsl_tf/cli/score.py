"""Scores a recording, or windows, of any length with a detector or a server: a table with a row for each window."""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from amsl_tf.cli.common import Parser, add_recording, local_path, require_extra


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of the command."""
    add_recording(parser)
    parser.add_argument("--output", type=local_path, required=True, help="table of scores, .csv or .parquet")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--detector", type=local_path, default=Path("saved_models/amsl"), help="folder of the detector")
    source.add_argument("--server", metavar="URL", help="http://HOST:PORT or grpc://HOST:PORT, in place of a detector")
    parser.add_argument("--model", default="amsl", help="name of the model on the server")


def run(arguments: argparse.Namespace, parser: Parser) -> None:
    """Runs the command."""
    from amsl_tf import progress
    from amsl_tf.data.channel_states import name_states
    from amsl_tf.data.formats import check_input
    from amsl_tf.data.outputs import check_output, write_table
    from amsl_tf.data.window_reader import read_windows

    check_output(arguments.output, arguments.input)
    check_input(arguments.input)
    scorer, names = _open_scorer(arguments)
    windows = read_windows(arguments.input, scorer.window_shape, arguments.stride, arguments.columns, arguments.header, names)
    totals: Counter[str] = Counter()

    def parts() -> Iterator[dict[str, Any]]:
        with progress.bar(None, "scoring", "windows") as bar:
            for rows, batch in windows:
                found = scorer.detect(batch)
                for name in ("is_anomaly", "valid"):
                    totals[name] += int(found[name].sum())
                totals["windows"] += len(batch)
                bar.update(len(batch))
                yield {
                    "first_row": rows,
                    **{name: found[name] for name in ("score", "is_anomaly", "valid")},
                    "health": name_states(found["health"], names or arguments.columns),
                }

    write_table(arguments.output, parts())
    parser.print_result(
        f"{arguments.output}: {totals['windows']:,} windows, {totals['is_anomaly']:,} abnormal, "
        f"{totals['windows'] - totals['valid']:,} of them invalid (NaN, infinity, or beyond 1e30)",
        {"output": arguments.output, **{name: totals[name] for name in ("windows", "is_anomaly", "valid")}},
    )


def _open_scorer(arguments: argparse.Namespace) -> tuple[Any, Sequence[str]]:
    """Opens the server or the detector, which both have `window_shape` and `detect`; also returns the channel names."""
    if arguments.server is not None:
        with require_extra("serving"):
            from amsl_tf.serving import Client

            return Client(arguments.server, arguments.model), ()
    from amsl_tf.detector import AMSLDetector

    detector = AMSLDetector.load(arguments.detector)
    return detector, detector.config_.channel_names
