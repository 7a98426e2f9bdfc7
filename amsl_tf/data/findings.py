"""What was found in a recording while it was prepared, for the user."""

import logging
from dataclasses import dataclass

from amsl_tf.data.lengths import describe_seconds
from amsl_tf.data.windows import LARGEST

log = logging.getLogger(__name__)


@dataclass
class Findings:
    """What was found in a recording, and done to it.

    Attributes:
        name: The name of the recording.
        rows: The rows, after resampling.
        steps: The number of steps between times by kind: `gap`, longer than `max_gap`; `repeated`; `backwards`.
        places: The row after the first step of each kind, and its length in seconds.
        slower: The seconds between rows and those after resampling, if these are fewer.
        filled: The number of interpolated values.
        left: The number of missing values that are left.
        unusable: The number of values that are infinite or beyond `LARGEST`, which count as missing.
    """

    name: str
    rows: int = 0
    steps: dict[str, int] | None = None
    places: dict[str, tuple[int, float]] | None = None
    slower: tuple[float, float] | None = None
    filled: int = 0
    left: int = 0
    unusable: int = 0

    def describe(self) -> list[str]:
        """Returns a sentence for each kind of finding, without the name."""
        sentences = []
        titles = {
            "gap": ("gap in time", "longer than --max-gap: no window spans it"),
            "repeated": ("repeated time", ""),
            "backwards": ("step back in time", "no window spans it"),
        }
        for kind, (title, effect) in titles.items():
            if count := (self.steps or {}).get(kind, 0):
                row, seconds = (self.places or {})[kind]
                length = f"{describe_seconds(seconds)} " if seconds > 0 else ""
                place = f"{', the first: ' if count > 1 else ': '}{length}before row {row:,} (from 0)"
                sentences.append(f"{count:,} {title}{'s' * (count > 1)}{place}" + (f"; {effect}" if effect else ""))
        if self.slower:
            found, made = self.slower
            sentences.append(
                f"a row every {found:g} s, of which resampling makes one every {made:g} s: interpolation smooths the channels, "
                "which may be flagged"
            )
        if self.unusable:
            verb = "s that are infinite or beyond {} count" if self.unusable > 1 else " that is infinite or beyond {} counts"
            sentences.append(f"{self.unusable:,} value{verb.format(f'{LARGEST:g}')} as missing")
        if self.filled:
            sentences.append(f"{self.filled:,} missing value{'s were' if self.filled > 1 else ' was'} interpolated")
        if self.left:
            some = "s are" if self.left > 1 else " is"
            sentences.append(
                f"{self.left:,} missing value{some} left, as runs exceed --max-fill: the channels are missing in these windows"
            )
        return sentences

    def report(self) -> None:
        """Logs what was found."""
        for sentence in self.describe():
            log.info(f"{self.name}: {sentence}.")
