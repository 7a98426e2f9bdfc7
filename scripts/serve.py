"""Serves an exported model with TF Serving's interface, REST and gRPC: for a laptop and for tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, nothing need be installed

from amsl_tf import cli

PORTS = (0, 65535)
NUMBERS: list[tuple[str, type, float, tuple[float, float], str]] = [
    ("port", int, 8501, PORTS, "for REST; any free one if 0"),
    ("grpc-port", int, 8500, PORTS, "for gRPC; any free one if 0"),
    ("versions", int, 1, (1, 1000), "how many of the newest versions are served"),
    ("poll-seconds", float, 1.0, (0.01, 86400), "how often the folder is looked at for new versions"),
    ("max-megabytes", int, 16, (1, 1024), "of a request"),
    ("max-batch", int, 128, (1, 10**6), "windows in a request"),
    ("max-in-flight", int, 128, (1, 10**6), "requests that run or wait, of each interface"),
]


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("--model", type=Path, default=Path("saved_models/serving/amsl"), help="folder that export.py wrote")
    parser.add_argument("--name", help="what requests call the model; the folder's name if not given")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for every network")
    for name, kind, default, limits, text in NUMBERS:
        parser.add_argument(f"--{name}", type=cli.between(kind, *limits), default=default, help=text)
    arguments = parser.parse_args()
    name = arguments.name or arguments.model.absolute().name
    if not name or set(name) & set("/:"):
        parser.error(f"argument --name: must be a name without / and :, not {name!r}")

    with cli.extra("serving"):
        from amsl_tf.serving.models import Model
        from amsl_tf.serving.server import Limits, Server

    model = Model(name, arguments.model, arguments.versions)
    limits = Limits(arguments.max_megabytes * 2**20, arguments.max_batch, arguments.max_in_flight)
    server = Server(model, arguments.host, arguments.port, arguments.grpc_port, limits)
    model.watch(arguments.poll_seconds)
    rest, grpc = f"http://{arguments.host}:{server.port}/v1/models/{model.name}", f"{arguments.host}:{server.grpc_port}"
    parser.tell(f"REST: {rest}\ngRPC: {grpc}", {"rest": rest, "grpc": grpc})
    server.run()
    model.close()
    parser.tell("stopped", {"stopped": True})


if __name__ == "__main__":
    cli.run(main)
