"""Prints how well the scores of the last training tell normal from abnormal windows; writes metrics.json and report.html."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, nothing need be installed

from amsl_tf import cli


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("--detector", type=Path, default=Path("saved_models/amsl"), help="folder of the detector")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder that train.py wrote its scores to")
    arguments = parser.parse_args()
    from amsl_tf.report import write_report  # late: what it draws with takes seconds to start
    from amsl_tf.results import METRICS, evaluate_results, table
    from amsl_tf.saved import read_summary

    metrics = evaluate_results(arguments.results, read_summary(arguments.detector))
    report = write_report(arguments.results, arguments.detector, metrics)
    parser.tell(f"{table(metrics)}\n\nwritten to {arguments.results / METRICS}\nreport:    {report}", metrics)


if __name__ == "__main__":
    cli.run(main)
