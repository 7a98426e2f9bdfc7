"""Progress bars for everything that takes longer than two seconds."""

import logging
from typing import Any, NoReturn

from tqdm import tqdm

log = logging.getLogger(__name__)

_interruption: BaseException | None = None


def interrupt(error: BaseException) -> NoReturn:
    """Raises an error for a signal, and once more at the next update of a progress bar.

    Python loses an exception that a handler raises while a callback of a library runs, such as one of garbage collection.
    """
    global _interruption
    _interruption = error
    raise error


class _Bar(tqdm):
    def update(self, n: float | None = 1) -> bool | None:
        if _interruption is not None:
            raise _interruption
        return super().update(n)


def bar(total: int | None, what: str, unit: str, done: int = 0) -> Any:
    """Creates a progress bar with rate and remaining time: a context manager with `update(count)` and `set_postfix_str(text)`.

    Nothing is shown if stderr is not a terminal, or if the package's logger suppresses warnings (`--quiet`).

    Args:
        total: The total number of units, if known.
        what: The task, in a word or two.
        unit: The unit, such as "windows".
        done: The number of units done before.

    Returns:
        The progress bar, of tqdm.
    """
    disable = None if log.isEnabledFor(logging.WARNING) else True
    # smoothing=0.05: the rate of the last minutes predicts an hour better than that of the last second
    settings: dict[str, Any] = {"delay": 2, "leave": False, "smoothing": 0.05, "dynamic_ncols": True}
    return _Bar(total=total, desc=what, unit=f" {unit}", initial=done, disable=disable, **settings)
