"""The interface of recordings, in memory and in files."""

from collections.abc import Iterator
from typing import Protocol

from amsl_tf.data.rows import Rows


class Source(Protocol):
    """A recording, in memory or in a file.

    Attributes:
        name: Its origin, such as the file.
        channel_names: The names of its channels.
        time_name: The column of its times; None without times, or if they have no name.
        time_zone: The time zone in which times are shown, or None.
        window_steps: The length of windows that are cut already, whose rows are below each other; None for others.
    """

    @property
    def name(self) -> str: ...

    @property
    def channel_names(self) -> tuple[str, ...]: ...

    @property
    def time_name(self) -> str | None: ...

    @property
    def time_zone(self) -> str | None: ...

    @property
    def window_steps(self) -> int | None: ...

    def parts(self) -> Iterator[Rows]:
        """Yields the rows in consecutive parts."""
