"""Serves an exported model with the interfaces of TF Serving, REST and gRPC: for a laptop and for tests."""

import argparse
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from amsl_tf.cli.common import Parser, local_path, number_between, require_extra

PORTS = (0, 65535)
NUMBERS: list[tuple[str, type, float | None, tuple[float, float], str]] = [
    ("port", int, 8501, PORTS, "port for REST; 0 for any free one"),
    ("grpc-port", int, 8500, PORTS, "port for gRPC; 0 for any free one"),
    ("versions", int, 1, (1, 1000), "number of the newest versions that are served"),
    ("poll-seconds", float, 1.0, (0.01, 86400), "time between two checks of the folder for new versions"),
    ("max-megabytes", int, None, (1, 1024), "largest request; by default as large as --max-batch windows can be in JSON"),
    ("max-batch", int, 128, (1, 10**6), "most windows in a request"),
    ("max-in-flight", int, 128, (1, 10**6), "most predictions that run or wait, of each interface"),
    ("max-connections", int, 512, (1, 10**6), "most open connections for REST, and most calls for gRPC"),
]


def add_arguments(parser: Parser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "--model", type=local_path, default=Path("saved_models/serving/amsl"), help="folder that amsl export wrote"
    )
    parser.add_argument("--name", help="name of the model in requests; by default the name of the folder")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on, IPv4 or IPv6; 0.0.0.0 for every IPv4 network, :: for all"
    )
    for name, kind, default, limits, text in NUMBERS:
        parser.add_argument(f"--{name}", type=number_between(kind, *limits), default=default, help=text)


def run(arguments: argparse.Namespace, parser: Parser) -> None:
    """Runs the command."""
    name = arguments.name or arguments.model.absolute().name
    if not name or set(name) & set("/:"):
        parser.error(f"argument --name: must be a name without / and :, not {name!r}")

    from amsl_tf.serving.ports import Ports

    ports = Ports(arguments.host, arguments.port, arguments.grpc_port)  # before TensorFlow and the model take seconds to load
    with _exit_on_signals(), require_extra("serving"):
        from amsl_tf.serving.limits import Limits
        from amsl_tf.serving.models import Model
        from amsl_tf.serving.server import Server

        model = Model(name, arguments.model, arguments.versions)
        limits = Limits(
            body_bytes=arguments.max_megabytes and arguments.max_megabytes * 2**20,
            batch=arguments.max_batch,
            in_flight=arguments.max_in_flight,
            connections=arguments.max_connections,
        )
        server = Server(model, ports, limits)
    model.watch(arguments.poll_seconds)
    rest, grpc = f"http://{ports.rest_address}/v1/models/{model.name}", ports.grpc_address
    parser.print_result(f"REST: {rest}\ngRPC: {grpc}", {"rest": rest, "grpc": grpc})
    server.run()
    model.close()
    parser.print_result("stopped", {"stopped": True})


@contextmanager
def _exit_on_signals() -> Iterator[None]:
    """Ends the process at once on SIGTERM and SIGINT.

    The exceptions that they raise otherwise are lost if they occur in a callback of a library while a model is loaded.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)
    handlers = [signal.signal(number, lambda received, _: os._exit(128 + received)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
