"""Serves an exported model with the interfaces of TF Serving, REST and gRPC: for a laptop and for tests."""

import argparse
from pathlib import Path

from amsl_tf.cli.common import Parser, number_between, require_extra

PORTS = (0, 65535)
NUMBERS: list[tuple[str, type, float, tuple[float, float], str]] = [
    ("port", int, 8501, PORTS, "port for REST; 0 for any free one"),
    ("grpc-port", int, 8500, PORTS, "port for gRPC; 0 for any free one"),
    ("versions", int, 1, (1, 1000), "number of the newest versions that are served"),
    ("poll-seconds", float, 1.0, (0.01, 86400), "time between two checks of the folder for new versions"),
    ("max-megabytes", int, 16, (1, 1024), "largest request"),
    ("max-batch", int, 128, (1, 10**6), "most windows in a request"),
    ("max-in-flight", int, 128, (1, 10**6), "most requests that run or wait, of each interface"),
]


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("--model", type=Path, default=Path("saved_models/serving/amsl"), help="folder that amsl export wrote")
    parser.add_argument("--name", help="name of the model in requests; by default the name of the folder")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for every network")
    for name, kind, default, limits, text in NUMBERS:
        parser.add_argument(f"--{name}", type=number_between(kind, *limits), default=default, help=text)


def run(arguments: argparse.Namespace, parser: Parser) -> None:
    """Runs the command."""
    name = arguments.name or arguments.model.absolute().name
    if not name or set(name) & set("/:"):
        parser.error(f"argument --name: must be a name without / and :, not {name!r}")

    with require_extra("serving"):
        from amsl_tf.serving.models import Model
        from amsl_tf.serving.server import Limits, Server

    model = Model(name, arguments.model, arguments.versions)
    limits = Limits(arguments.max_megabytes * 2**20, arguments.max_batch, arguments.max_in_flight)
    server = Server(model, arguments.host, arguments.port, arguments.grpc_port, limits)
    model.watch(arguments.poll_seconds)
    rest, grpc = f"http://{arguments.host}:{server.port}/v1/models/{model.name}", f"{arguments.host}:{server.grpc_port}"
    parser.print_result(f"REST: {rest}\ngRPC: {grpc}", {"rest": rest, "grpc": grpc})
    server.run()
    model.close()
    parser.print_result("stopped", {"stopped": True})
