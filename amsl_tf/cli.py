"""What the scripts have in common: one-line errors, exit codes, messages on stderr."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from typing import Any, Literal, NoReturn, get_args, get_origin

from amsl_tf.errors import AMSLError


class Parser(argparse.ArgumentParser):
    """An argument parser that shows every default and says what is wrong in one line."""

    def __init__(self, description: str) -> None:
        super().__init__(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


def add_settings(parser: argparse.ArgumentParser, config: type, **settings: str) -> None:
    """Adds an option for each of these settings of a config dataclass, with its default; the config validates the values.

    A setting that is on or off becomes a pair of options (`--skip`, `--no-skip`), one with several values takes several words.

    Args:
        parser: Which gets the options.
        config: The dataclass.
        settings: What each setting is, for `--help`, by its name.
    """
    defaults = config()
    for name, text in settings.items():
        default, kind = getattr(defaults, name), config.__annotations__[name]
        option: dict[str, Any] = {"type": type(default)}
        if isinstance(default, bool):
            option = {"action": argparse.BooleanOptionalAction}
        elif isinstance(default, tuple):
            option = {"nargs": "+"}
        elif get_origin(kind) is Literal:
            option = {"choices": get_args(kind)}
        parser.add_argument(f"--{name.replace('_', '-')}", default=default, help=text, **option)


def run(main: Callable[[], None]) -> None:
    """Runs a script: one line and exit status 2 for what a user can mend, 130 after Ctrl-C, a traceback for our own faults."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("amsl_tf").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is half-written is removed then, too
    try:
        main()
    except (AMSLError, OSError) as error:
        message = " ".join(str(error).split())
        sys.exit(_say(f"error: {message}", 2))
    except KeyboardInterrupt:
        sys.exit(_say("interrupted", 130))


def _say(message: str, status: int) -> int:
    print(f"{sys.argv[0].rsplit('/', 1)[-1]}: {message}", file=sys.stderr)
    return status
