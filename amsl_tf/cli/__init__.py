"""The command line: `amsl COMMAND`, and the registry `COMMANDS` with one module for each command.

A module of a command has a docstring, which is its description, and two functions: `add_arguments(parser)`, and
`run(arguments, parser)`, which calls the package and reports with `parser.print_result`. TensorFlow is imported in `run`,
because module-level imports slow down `--help`.
"""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from amsl_tf._version import __version__
from amsl_tf.cli.common import Parser, call
from amsl_tf.registry import Registry, import_part


class Command(NamedTuple):
    """A command.

    Attributes:
        summary: The summary in `amsl --help`.
        module: The name of its module.
        if_interrupted: Advice to a user who interrupts it.
    """

    summary: str
    module: str
    if_interrupted: str = ""


COMMANDS: Registry[Command] = Registry(
    "command",
    {
        "preprocess": Command("stage 1: read a data set and write its windows as arrays", "amsl_tf.cli.preprocess"),
        "transform": Command("stage 2: split windows and write the views of each part", "amsl_tf.cli.transform"),
        "train": Command(
            "stage 3: train a detector, save it and score all windows",
            "amsl_tf.cli.train",
            if_interrupted="the same command resumes the training",
        ),
        "evaluate": Command("stage 4: print metrics, write a report", "amsl_tf.cli.evaluate"),
        "fit": Command("fit a detector to recordings of normal operation", "amsl_tf.cli.fit"),
        "score": Command(
            "score recordings with a detector or a server, find events",
            "amsl_tf.cli.score",
            if_interrupted="with --engine ray and a table, the same command resumes from the recordings that are finished",
        ),
        "report": Command("write a page about one recording and its events", "amsl_tf.cli.report"),
        "explain": Command("draw what makes up the score of one window", "amsl_tf.cli.explain"),
        "export": Command("export a detector as a SavedModel for TF Serving", "amsl_tf.cli.export"),
        "serve": Command("serve an exported model over REST and gRPC", "amsl_tf.cli.serve"),
    },
    attributes=("summary", "module"),
)


def main(arguments: Sequence[str] | None = None, *, command: str | None = None) -> None:
    """Runs a command and exits: with status 0, 2 for errors that users can fix, 130 after Ctrl-C.

    Args:
        arguments: The words of the command line; those of the process if None.
        command: The name of a command, for scripts that are one command; else it is the first word.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if command is None:
        parser = Parser("Anomaly detection in windows of multivariate sensor data.", prog="amsl", output=False)
        parser.add_argument("--version", action="version", version=f"amsl_tf {__version__}")
        plain: Any = partial(Parser, "", output=False, add_help=False)
        commands = parser.add_subparsers(metavar="COMMAND [OPTION]", title="commands", required=True, parser_class=plain)
        for name, item in COMMANDS.items():
            commands.add_parser(name, help=item.summary)
        if not words or words[0] not in COMMANDS:
            parser.parse_args(words)  # prints help, the version or an error, and exits
        command, prog, words = words[0], f"amsl {words[0]}", words[1:]
    else:
        prog = sys.argv[0].rsplit("/", 1)[-1]
    call(partial(_run, command, prog, words), prog, COMMANDS[command].if_interrupted)


def _run(command: str, prog: str, words: Sequence[str]) -> None:
    module = import_part(COMMANDS[command].module, f"the command {command!r}")
    parser = Parser(module.__doc__ or "", prog=prog)
    module.add_arguments(parser)
    module.run(parser.parse_args(words), parser)
