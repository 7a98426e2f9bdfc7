"""Writes a trained detector as the next version of a model for TF Serving: views, network, score and threshold in one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, nothing need be installed

from amsl_tf import cli


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("--detector", type=Path, default=Path("saved_models/amsl"), help="folder of the detector")
    parser.add_argument(
        "--output", type=Path, default=Path("saved_models/serving/amsl"), help="folder of the model; its name is the model's"
    )
    arguments = parser.parse_args()

    with cli.extra("serving"):
        from amsl_tf.detector import AMSLDetector
        from amsl_tf.export import export_detector

    model = export_detector(AMSLDetector.load(arguments.detector), arguments.output)
    parser.tell(f"model: {model}", {"model": model})


if __name__ == "__main__":
    cli.run(main)
