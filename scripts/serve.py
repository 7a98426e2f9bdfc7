"""Serves an exported model with TF Serving's interface, REST and gRPC: for a laptop and for tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, nothing need be installed

from amsl_tf import cli


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("--model", type=Path, default=Path("saved_models/serving/amsl"), help="folder that export.py wrote")
    parser.add_argument("--name", help="what requests call the model; the folder's name if not given")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for every network")
    parser.add_argument("--port", type=int, default=8501, help="for REST")
    parser.add_argument("--grpc-port", type=int, default=8500, help="for gRPC")
    parser.add_argument("--versions", type=int, default=1, help="how many of the newest versions are served")
    parser.add_argument("--poll-seconds", type=float, default=1.0, help="how often the folder is looked at for new versions")
    parser.add_argument("--max-megabytes", type=int, default=16, help="of a request")
    parser.add_argument("--max-batch", type=int, default=128, help="windows in a request")
    parser.add_argument("--max-in-flight", type=int, default=128, help="requests that run or wait, of each interface")
    arguments = parser.parse_args()
    for name in ("versions", "poll_seconds", "max_megabytes", "max_batch", "max_in_flight"):
        if getattr(arguments, name) <= 0:
            parser.error(f"argument --{name.replace('_', '-')}: must be above 0")

    with cli.extra("serving"):
        from amsl_tf.serving.models import Model
        from amsl_tf.serving.server import Limits, Server

    model = Model(arguments.name or arguments.model.absolute().name, arguments.model, arguments.versions)
    limits = Limits(arguments.max_megabytes * 2**20, arguments.max_batch, arguments.max_in_flight)
    server = Server(model, arguments.host, arguments.port, arguments.grpc_port, limits)
    model.watch(arguments.poll_seconds)
    print(
        f"REST: http://{arguments.host}:{server.port}/v1/models/{model.name}\ngRPC: {arguments.host}:{server.grpc_port}",
        flush=True,
    )
    server.run()
    model.close()
    print("stopped")


if __name__ == "__main__":
    cli.run(main)
