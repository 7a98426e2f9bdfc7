"""Scores a recording, or windows, of any length with a trained detector or a server: a table with a row for each window."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, nothing need be installed

from amsl_tf import cli, progress


def main() -> None:
    parser = cli.Parser(__doc__)
    cli.add_recording(parser)
    parser.add_argument("--output", type=Path, required=True, help="table of scores, .csv or .parquet")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--detector", type=Path, default=Path("saved_models/amsl"), help="folder of the detector")
    source.add_argument("--server", metavar="URL", help="http://HOST:PORT or grpc://HOST:PORT, in place of a detector")
    parser.add_argument("--model", default="amsl", help="what the server calls the model")
    arguments = parser.parse_args()

    from amsl_tf.recordings import check_input, check_output, read_windows, write_table

    check_output(arguments.output, arguments.input)
    check_input(arguments.input)
    scorer, names = open_scorer(arguments)
    how = (arguments.stride, arguments.columns, arguments.header, names)
    windows = read_windows(arguments.input, scorer.window_shape, *how)
    totals: Counter[str] = Counter()

    def parts() -> Iterator[dict[str, Any]]:
        with progress.bar(None, "scoring", "windows") as bar:
            for places, batch in windows:
                made = scorer.predict(batch)
                for name in ("is_anomaly", "valid"):
                    totals[name] += int(made[name].sum())
                totals["windows"] += len(batch)
                bar.update(len(batch))
                yield {"first_row": places, **{name: made[name] for name in ("score", "is_anomaly", "valid")}}

    write_table(arguments.output, parts())
    parser.tell(
        f"{arguments.output}: {totals['windows']:,} windows, {totals['is_anomaly']:,} abnormal, "
        f"{totals['windows'] - totals['valid']:,} of them not valid (NaN, infinity, or beyond 1e30)",
        {"output": arguments.output, **{name: totals[name] for name in ("windows", "is_anomaly", "valid")}},
    )


def open_scorer(arguments: argparse.Namespace) -> tuple[Any, Sequence[str]]:
    """A client of the server, or the detector: both have `window_shape` and `predict`. And the channels' names, if known."""
    if arguments.server is not None:
        with cli.extra("serving"):
            from amsl_tf.serving import Client

            return Client(arguments.server, arguments.model), ()
    from amsl_tf.detector import AMSLDetector
    from amsl_tf.served_model import ServedModel

    detector = AMSLDetector.load(arguments.detector)
    return ServedModel(detector), detector.config.channel_names


if __name__ == "__main__":
    cli.run(main)
