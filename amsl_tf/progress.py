"""Progress on a terminal: one kind of bar for everything that takes longer than two seconds."""

import logging
from typing import Any

from tqdm import tqdm

log = logging.getLogger(__name__)


def bar(total: int | None, what: str, unit: str, done: int = 0) -> Any:
    """A bar with units/s and the time that is left, as a context manager with `update(count)` and `set_postfix_str(text)`.

    Nothing is shown where stderr is no terminal, or where the package's logger lets no warnings through (`--quiet`).

    Args:
        total: Units in all, if known.
        what: Is done, in a word or two.
        unit: Such as "windows".
        done: Units that were done before.
    """
    disable = None if log.isEnabledFor(logging.WARNING) else True
    # smoothing=0.05: an hour is better foretold by the last minutes than by the last second
    settings: dict[str, Any] = {"delay": 2, "leave": False, "smoothing": 0.05, "dynamic_ncols": True}
    return tqdm(total=total, desc=what, unit=f" {unit}", initial=done, disable=disable, **settings)
