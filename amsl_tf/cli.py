"""What the scripts have in common: one-line errors, exit codes, messages on stderr."""

import argparse
import json
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args, get_origin

from amsl_tf.errors import AMSLError


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults as a user would type them, and none where there is none."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, ()):
            return action.help
        if isinstance(action.default, tuple):
            return f"{action.help} (default: {' '.join(action.default)})"
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An argument parser that shows every default and says what is wrong in one line.

    Args:
        description: Of the script.
        output: Whether there are `--quiet` and `--json`, for what the script says with `tell`.
        settings: Others of an ArgumentParser.
    """

    def __init__(self, description: str, output: bool = True, **settings: Any) -> None:
        super().__init__(description=description, formatter_class=_Formatter, allow_abbrev=False, **settings)
        self._say = "text"
        if output:
            said = self.add_mutually_exclusive_group()
            for how, text in (("quiet", "say nothing but errors"), ("json", "say what came of it as JSON")):
                said.add_argument(f"--{how}", dest="say", action="store_const", const=how, default=argparse.SUPPRESS, help=text)

    def parse_args(self, *arguments: Any) -> argparse.Namespace:  # type: ignore[override]
        """The options but for `--quiet` and `--json`, which decide from here on what is said."""
        parsed = super().parse_args(*arguments)
        self._say = vars(parsed).pop("say", "text")
        if self._say == "quiet":
            logging.getLogger("amsl_tf").setLevel(logging.ERROR)  # and so there are no bars either
        return parsed

    def tell(self, text: str, values: Mapping[str, Any]) -> None:
        """Says on stdout what came of it: the text, or the values as one line of JSON, or nothing."""
        if self._say == "json":
            print(json.dumps(values, default=str), flush=True)
        elif self._say == "text":
            print(text, flush=True)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


def add_transformed(parser: argparse.ArgumentParser) -> None:
    """Adds `--input`, the folder that transformation wrote, under the name `source`."""
    default = Path("data/transform_dataset")
    parser.add_argument(
        "--input", dest="source", metavar="INPUT", type=Path, default=default, help="folder that transformation.py wrote"
    )


def add_recording(parser: argparse.ArgumentParser) -> None:
    """Adds `--input`, a file of windows or to be cut into windows, and how to read it: the arguments of `read_windows`."""
    parser.add_argument("--input", type=Path, required=True, help="recording or windows, .npy, .csv or .parquet")
    parser.add_argument(
        "--stride",
        type=between(int, 1, 10**9),
        help="rows from one window to the next; a window's length if not given; last rows that fill no window are left out",
    )
    parser.add_argument(
        "--columns",
        nargs="+",
        default=(),
        metavar="NAME",
        help="columns of a table that are the channels, in order; if not given, those with the names that the detector has, "
        "but for a server, which tells none",
    )
    parser.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether the first line of a CSV names its columns",
    )


def between(kind: type, low: float, high: float) -> Callable[[str], float]:
    """What argparse makes a number of a text with, and says what is wrong with."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"must be a number, not {text!r}") from error
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be {low:,} to {high:,}, not {text}")
        return value

    return read


def add_settings(parser: argparse.ArgumentParser, *configs: Any, **settings: str) -> None:
    """Adds an option for each of these settings of config dataclasses, and says its default; the config validates the values.

    What is not given is left to the config: what is parsed does not have it. A setting that is on or off becomes a pair of
    options (`--skip`, `--no-skip`), one with several values takes several words.

    Args:
        parser: Which gets the options.
        configs: The dataclass, or several that share some settings, each with a `name`.
        settings: What each setting is, for `--help`, by its name.
    """
    for name, text in settings.items():
        found = {config: item for config in configs for item in fields(config) if item.name == name}
        default, kind = next((item.default, item.type) for item in found.values())
        option: dict[str, Any] = {"type": type(default)}
        if isinstance(default, bool):
            option = {"action": argparse.BooleanOptionalAction}
        elif isinstance(default, tuple):
            option = {"nargs": "+"}
        elif get_origin(kind) is Literal:
            option = {"choices": get_args(kind)}
        said: dict[str, list[str]] = {}
        for config, item in found.items():
            value = " ".join(item.default) if isinstance(item.default, tuple) else str(item.default)
            said.setdefault(value, []).append(config.name if len(configs) > 1 else "default")
        defaults = "; ".join(f"{', '.join(whose)}: {value}" for value, whose in said.items())
        option |= {"default": argparse.SUPPRESS, "help": f"{text} ({defaults})"}
        parser.add_argument(f"--{name.replace('_', '-')}", **option)


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Says what to install where an import inside fails: requirements-NAME.txt."""
    try:
        yield
    except ImportError as error:
        raise AMSLError(f"more packages are needed ({error}). Run pip install -r requirements-{name}.txt.") from error


def run(main: Callable[[], None], if_interrupted: str = "") -> None:
    """Runs a script: one line and exit status 2 for what a user can mend, 130 after Ctrl-C, a traceback for our own faults.

    Args:
        main: The script.
        if_interrupted: What to tell a user who interrupts it.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever the user's other projects run on
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a machine without a GPU is not an error to tell of
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("amsl_tf").setLevel(logging.INFO)
    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # names in other scripts: boxes in a PNG, words on the page
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is half-written is removed then, too
    try:
        main()
    except (AMSLError, OSError) as error:
        message = " ".join(str(error).split())
        sys.exit(_say(f"error: {message}", 2))
    except KeyboardInterrupt:
        sys.exit(_say(": ".join(filter(None, ("interrupted", if_interrupted))), 130))


def _say(message: str, status: int) -> int:
    print(f"{sys.argv[0].rsplit('/', 1)[-1]}: {message}", file=sys.stderr)
    return status
