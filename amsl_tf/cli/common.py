"""The shared parts of all commands: the parser, options, one-line errors and exit statuses."""

import argparse
import io
import json
import logging
import math
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args, get_origin

from amsl_tf import progress
from amsl_tf.data.files import check_local
from amsl_tf.errors import AMSLError


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """A help formatter that shows defaults as a user would type them, and none where it is None, empty or False."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is False or action.default in (None, (), ""):
            return action.help
        if isinstance(action.default, tuple):
            return f"{action.help} (default: {' '.join(action.default)})"
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An argument parser that shows every default and reports errors in one line.

    Args:
        description: The description of the command.
        output: Whether to add `--quiet` and `--json`, which control `print_result`.
        settings: Further arguments of `ArgumentParser`.
    """

    def __init__(self, description: str, output: bool = True, **settings: Any) -> None:
        super().__init__(description=description, formatter_class=_Formatter, allow_abbrev=False, **settings)
        self._output = "text"
        if output:
            group = self.add_mutually_exclusive_group()
            for name, text in (("quiet", "print errors only"), ("json", "print the result as JSON")):
                group.add_argument(
                    f"--{name}", dest="output_form", action="store_const", const=name, default=argparse.SUPPRESS, help=text
                )

    def parse_args(self, *arguments: Any) -> argparse.Namespace:  # type: ignore[override]
        """Parses arguments; `--quiet` and `--json` are removed from the result and configure `print_result`."""
        parsed = super().parse_args(*arguments)
        self._output = vars(parsed).pop("output_form", "text")
        if self._output == "quiet":
            logging.getLogger("amsl_tf").setLevel(logging.ERROR)  # progress bars follow it
        return parsed

    def print_result(self, text: str, values: Mapping[str, Any]) -> None:
        """Prints the result of the command on stdout.

        Args:
            text: The text to print, unless `--json` or `--quiet` is given.
            values: The values to print with `--json`, as one line.
        """
        if self._output == "quiet":
            return
        try:
            print(json.dumps(_to_json(values), allow_nan=False) if self._output == "json" else text, flush=True)
        except BrokenPipeError:  # the reader has seen enough, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            raise AMSLError(f"the result cannot be printed ({error.strerror}). Write to another place.") from error

    def error(self, message: str) -> NoReturn:
        """Prints an error in one line and exits with status 2."""
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


def _to_json(value: Any) -> Any:
    """Converts a value to types of JSON: numbers that are not finite become null, other types text."""
    if isinstance(value, Mapping):
        return {str(name): _to_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if hasattr(value, "dtype"):  # a number of NumPy
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def add_transformed(parser: argparse.ArgumentParser) -> None:
    """Adds `--input`, the folder that transformation wrote, under the name `source`."""
    default = Path("data/transform_dataset")
    parser.add_argument(
        "--input",
        dest="source",
        metavar="INPUT",
        type=local_path,
        default=default,
        help="folder that transform wrote",
    )


def local_path(text: str) -> Path:
    """Converts the text of an argument to a path, for argparse. Raises ArgumentTypeError for a URL."""
    try:
        return check_local(text)
    except AMSLError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def number_between(kind: type, low: float, high: float) -> Callable[[str], float]:
    """Returns a type for argparse that accepts numbers in a range.

    Args:
        kind: int or float.
        low: The smallest number.
        high: The largest number.

    Returns:
        A function that converts the text of an argument and raises ArgumentTypeError outside of the range.
    """

    def convert(text: str) -> float:
        try:
            value = kind(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"must be a number, not {text!r}") from error
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be {low:,} to {high:,}, not {text}")
        return value

    return convert


def add_settings(parser: Any, *configs: Any, defaults: Mapping[str, str] | None = None) -> None:
    """Adds an option for each setting of config dataclasses that has a help text (see `setting`); they validate the values.

    Settings that are not given are absent from the parsed arguments. A bool becomes a pair of options (`--skip`, `--no-skip`),
    a tuple an option with several words.

    Args:
        parser: The parser, or a group of its arguments.
        configs: A dataclass, or several that share settings, each with a `name`.
        defaults: Text for the help in place of the default, by name of the setting.
    """
    found: dict[str, dict[Any, Any]] = {}  # the field of each config, by name of the setting
    for config in configs:
        for item in fields(config):
            if "help" in item.metadata:
                found.setdefault(item.name, {})[config] = item
    for name, items in found.items():
        first = next(iter(items.values()))
        option: dict[str, Any] = {"type": type(first.default)}
        if isinstance(first.default, bool):
            option = {"action": argparse.BooleanOptionalAction}
        elif isinstance(first.default, tuple):
            option = {"nargs": "+"}
        elif get_origin(first.type) is Literal:
            option = {"choices": get_args(first.type)}
        owners: dict[str, list[str]] = {}  # by default value
        for config, item in items.items():
            value = " ".join(item.default) if isinstance(item.default, tuple) else str(item.default)
            owners.setdefault(value, []).append(config.name if len(configs) > 1 else "default")
        shown = "; ".join(f"{', '.join(names)}: {value}" for value, names in owners.items())
        if defaults and name in defaults:
            shown = f"default: {defaults[name]}"
        option |= {"default": argparse.SUPPRESS, "help": f"{first.metadata['help']} ({shown})"}
        parser.add_argument(f"--{name.replace('_', '-')}", **option)


@contextmanager
def require_extra(name: str) -> Iterator[None]:
    """Converts an ImportError inside into the advice to install an extra of the package."""
    try:
        yield
    except ImportError as error:
        raise AMSLError(missing_extra(name, error)) from error


def missing_extra(name: str, error: ImportError) -> str:
    """Returns the message for a missing extra of the package."""
    return f"the extra {name!r} is needed ({error}). Run pip install 'amsl_tf[{name}]'."


def call(command: Callable[[], None], prog: str, if_interrupted: str = "") -> None:
    """Calls a command: exit status 2 and one line for errors that users can fix, 130 after Ctrl-C, tracebacks for bugs.

    Args:
        command: The command.
        prog: The name of the program in error messages.
        if_interrupted: Advice to a user who interrupts it.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"  # independent of the user's other projects
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a machine without a GPU is not an error
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("amsl_tf").setLevel(logging.INFO)
    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # names in other scripts: the HTML page has fonts for them
    # as exceptions, so that temporary files are removed
    signal.signal(signal.SIGTERM, lambda *_: progress.interrupt(SystemExit(143)))
    signal.signal(signal.SIGINT, lambda *_: progress.interrupt(KeyboardInterrupt()))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that the terminal cannot show
    try:
        command()
    except (AMSLError, OSError) as error:
        message = " ".join(str(error).split())
        print(f"{prog}: error: {message}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(": ".join(filter(None, (prog, "interrupted", if_interrupted))), file=sys.stderr)
        sys.exit(130)
