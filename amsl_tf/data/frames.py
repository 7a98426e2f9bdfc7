"""The conversion of tables in memory, or of their parts, to the rows of a recording."""

import difflib
import logging
from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np
import pandas as pd

from amsl_tf.data.cells import convert_labels, convert_numbers
from amsl_tf.data.conversion import parse_number
from amsl_tf.data.notes import list_names, note
from amsl_tf.data.reading import NO_TIME, Reading
from amsl_tf.data.rows import Rows
from amsl_tf.data.time_column import TimeColumn, is_date, is_time, resembles_time
from amsl_tf.errors import DataError

LABELS = {"label", "labels", "anomaly", "is_anomaly", "attack", "changepoint"}  # names of columns that may be labels
SAMPLE = 10  # cells that tell whether a column holds dates
_INDEX = "index"  # the name of an index without one


def convert_frame(
    frame: pd.DataFrame, reading: Reading, names: Sequence[str], place: str
) -> tuple[tuple[str, ...], Rows, str | None]:
    """Converts a table in memory.

    Args:
        frame: The table: its columns are channels, and times and labels where `reading` says so; an index of dates, or one with
            the name of a time, holds the times.
        reading: Which columns are channels, times and labels.
        names: The names of the channels, if known.
        place: The name of the recording, for messages.

    Returns:
        The names of the channels, the rows, and the time zone of the times if they have one.

    Raises:
        DataError: The table has no rows, lacks a column, or holds values that are not numbers, times or labels.
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{place}: expected a pandas DataFrame. Received: {type(frame).__name__}.")
    is_named = not isinstance(frame.columns, pd.RangeIndex)
    names_found = frame.columns.map(str) if is_named else [f"channel {column}" for column in frame.columns]
    frame = frame.set_axis(names_found, axis="columns")
    converter = FrameConverter(frame, reading, names, place, is_named=is_named)
    return converter.channel_names, converter.convert(frame, 0), converter.time_zone


class FrameConverter:
    """The conversion of a table part by part. Which columns are times, labels and channels follows from the first part.

    Args:
        frame: The first part.
        reading, names, place: As for `convert_frame`.
        is_named: Whether the columns have names of their own; otherwise `names` are assigned in order.
        decimal: The decimal separator of cells of text, in a CSV; "" if numbers must not be text.

    Attributes:
        channel_names: The names of the channels.
        time_name: The column of times, "index" for an index without a name; None without times.

    Raises:
        DataError: The part has no rows, lacks a column, or has times without a clear format.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        reading: Reading,
        names: Sequence[str],
        place: str,
        *,
        is_named: bool = True,
        decimal: str = "",
    ) -> None:
        self._place, self._decimal, self._is_named = place, decimal, is_named
        self._found = [str(name) for name in frame.columns]
        if frame.empty:
            reason = "; the file has a header, but no rows" if decimal and is_named else ""
            raise DataError(f"{place}: expected rows of numbers, found none{reason}. Record at least one window.")
        self._missing = [*reading.na, *(number for number in map(parse_number, reading.na) if number is not None)]
        frame = self._mark_missing(frame)
        self._drop = {self._position(name, "drop") for name in reading.drop if not self._lacks_dropped(name, names)}
        self._label = self._position(reading.label, "label") if reading.label else -1
        self._time = self._find_time(frame, reading, names)
        self.time_name, times = self._find_time_name(frame), self._times(frame)
        self._time_column = None
        if self.time_name is not None and times is not None:
            self._time_column = TimeColumn(self.time_name, place, times, reading.time_format)
        self._is_known = bool(names)
        self._channels, self.channel_names = self._find_channels(frame, reading, names)

    @property
    def time_zone(self) -> str | None:
        """The time zone of the times, if they have one."""
        return self._time_column.time_zone if self._time_column else None

    def convert(self, frame: pd.DataFrame, start: int) -> Rows:
        """Converts the next part.

        Args:
            frame: The part.
            start: The row of the recording with which it begins.

        Raises:
            DataError: It has other columns than the first part, or a value that is not a number, time or label.
        """
        if [str(name) for name in frame.columns] != self._found:
            fault = f"expected the same columns in all parts, found others from row {start} (from 0)"
            raise DataError(f"{self._place}: {fault}: {list_names([*map(str, frame.columns)])}. Score the files one by one.")
        frame = self._mark_missing(frame)
        x = np.empty((len(frame), len(self._channels)))
        for channel, position in enumerate(self._channels):
            x[:, channel] = convert_numbers(frame.iloc[:, position], self._place, start, self._decimal, self._text_advice())
        times, time = self._times(frame), None
        if times is not None and self._time_column:
            time = self._time_column.convert(times, start)
        label = None
        if self._label >= 0:
            is_blank = np.asarray(np.isnan(x).all(axis=1))
            label = convert_labels(frame.iloc[:, self._label], is_blank, self._place, start)
        return Rows(x, np.arange(start, start + len(frame)), time, label)

    def _mark_missing(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Replaces the cells that stand for missing values, which pandas has done already in a CSV."""
        return frame.mask(frame.isin(self._missing)) if self._missing and not self._decimal else frame

    def _lacks_dropped(self, name: str, names: Sequence[str]) -> bool:
        """Returns whether a column that is left out is absent, which is allowed in recordings after the first."""
        is_absent = bool(names) and self._is_named and name not in self._found
        if is_absent:
            note(self._place, f"there is no column {name} to leave out")
        return is_absent

    def _position(self, name: str, option: str) -> int:
        """Finds a column that the user named."""
        if not self._is_named and name.isdecimal():
            name = f"channel {int(name)}"
        count = self._found.count(name)
        if count > 1:
            raise DataError(f"{self._place}: column {name} occurs {count} times. Give each its own name.")
        if not count:
            near = difflib.get_close_matches(name, self._found, 1)
            advice = f"Did you mean {near[0]}?" if near else f"There are {list_names(self._found)}."
            raise DataError(f"{self._place}: there is no column {name}, named in --{option}. {advice}")
        return self._found.index(name)

    def _find_time(self, frame: pd.DataFrame, reading: Reading, names: Sequence[str]) -> int | None:
        """Finds the position of the column of times, -1 for the index; None without times."""
        if reading.time == NO_TIME:
            return None
        index = frame.index
        if reading.time:
            return -1 if reading.time == str(index.name) else self._position(reading.time, "time")
        taken, channels = {self._label, *self._drop}, {*reading.columns, *names}
        free = [position for position, name in enumerate(self._found) if position not in taken and name not in channels]
        for position in free:
            if reading.usual_time and self._found[position] == reading.usual_time:
                return position
        if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex) or is_time(str(index.name)):
            return -1
        if reading.usual_time and reading.usual_time == str(index.name):
            return -1
        columns = {position: frame.iloc[:, position] for position in free}
        by_name = (position for position in free if self._holds_times(columns[position], self._found[position], position))
        by_content = (position for position in free if _holds_dates(columns[position], reading.time_format))
        for position in chain(by_name, by_content):
            note(self._place, f"the times are in column {self._found[position] or f'{position + 1}, which has no name'}")
            return position
        return None

    def _holds_times(self, column: pd.Series, name: str, position: int) -> bool:
        if column.dtype.kind in "Mm":
            return True
        present = column.dropna()
        if column.dtype.kind in "fiu":  # numbers that often fall are a measurement, such as the temperature t
            steps = np.diff(present.to_numpy(np.float64))
            return self._is_named and is_time(name) and bool((steps < 0).sum() <= 0.1 * len(steps))
        if is_time(name) and self._is_named:
            return True
        # as pandas writes an index, or without names
        return (
            not present.empty and (not self._is_named or (not name and not position)) and resembles_time(str(present.iloc[0]))
        )

    def _find_time_name(self, frame: pd.DataFrame) -> str | None:
        if self._time is None:
            return None
        return str(frame.index.name or _INDEX) if self._time == -1 else self._found[self._time]

    def _times(self, frame: pd.DataFrame) -> pd.Series | None:
        if self._time is None:
            return None
        return frame.index.to_series() if self._time == -1 else frame.iloc[:, self._time]

    def _find_channels(self, frame: pd.DataFrame, reading: Reading, names: Sequence[str]) -> tuple[list[int], tuple[str, ...]]:
        """Finds the positions of the channels and their names: those that the user named, those of `names`, or all."""
        taken = {self._time, self._label, *self._drop}
        others = [position for position in range(len(self._found)) if position not in taken]
        if reading.columns:
            positions = self._select(reading.columns, names)
            return positions, tuple(self._found[position] for position in positions)
        if unnamed := [position for position in others if not self._found[position]]:
            note(self._place, f"columns without a name are ignored: number {', '.join(str(i + 1) for i in unnamed)}")
            others = [position for position in others if self._found[position]]
        rest = [self._found[position] for position in others]
        if names and not self._is_named and len(names) == len(rest):
            return others, tuple(names)
        selected = match_channels(rest, names, self._place, "--columns") if names else tuple(rest)
        self._check_repeated(selected)
        if not selected:
            raise DataError(f"{self._place}: expected channels, found only {list_names(self._found)}. Add columns of numbers.")
        if not names:
            for position in others:
                if self._found[position].lower() in LABELS and _is_binary(frame.iloc[:, position]):
                    found = f"column {self._found[position]} looks like a label, but is used as a channel"
                    note(self._place, f"{found}. Name it with --label or --drop if it is not one.", logging.WARNING)
        return [others[rest.index(name)] for name in selected], selected

    def _select(self, columns: Sequence[str], names: Sequence[str]) -> list[int]:
        if names and len(columns) != len(names):
            raise DataError(
                f"{self._place}: expected {len(names)} channels, found {len(columns)} in --columns: {list_names(columns)}. "
                f"Name the columns that are {list_names(names)}, in this order."
            )
        return [self._position(name, "columns") for name in (names if set(names) == set(columns) else columns)]

    def _check_repeated(self, selected: Sequence[str]) -> None:
        repeated = [name for name, number in Counter(self._found).items() if name and number > 1]
        for name in repeated:
            if name in selected:
                raise DataError(
                    f"{self._place}: column {name}, a channel, occurs {self._found.count(name)} times. Give each its own name."
                )
        if repeated:
            note(self._place, f"the names of some columns occur several times: {list_names(repeated)}.", logging.WARNING)

    def _text_advice(self) -> str:
        """Returns what to do about a channel with a cell that is not a number."""
        missing = "name it with --na if it stands for a missing value"
        advice = f"Correct it, or {missing}"
        if not self._is_known:  # else the detector, or the other recordings, need the channel
            advice = f"Correct it, {missing}, or leave the column out with --drop"
        if not self._decimal:
            return advice
        return advice + (
            "; use --no-header if the first line is data" if self._is_named else "; remove --no-header if it is a name"
        )


def match_channels(found: Sequence[str], names: Sequence[str], place: str, option: str) -> tuple[str, ...]:
    """Returns the known names of the channels if a recording has them all; logs those that it has besides.

    Args:
        found: The names in the recording.
        names: Those that are known, of a detector or of the recordings before.
        place: The recording, for messages.
        option: What to use to name others, for the error message.

    Raises:
        DataError: Channels are missing.
    """
    new = [name for name in found if name not in names]
    if missing := [name for name in names if name not in found]:
        others = f"; new: {list_names(new)}" if new else ""
        leave_out = f", or leave out {list_names(missing)} with --drop" if option == "--columns" else ""
        raise DataError(
            f"{place}: expected the {len(names)} channels {list_names(names)}, missing: {list_names(missing)}{others}. Name "
            f"the {len(names)} channels, in this order, with {option}; to fit without them, name those that all recordings "
            f"have{leave_out}."
        )
    if new:
        note(place, f"columns that are not among the channels are ignored: {list_names(new)}")
    return tuple(names)


def _holds_dates(column: pd.Series, time_format: str) -> bool:
    """Returns whether cells of text are dates, not all the same."""
    if column.dtype.kind in "fiubc":
        return False
    present = column.dropna().map(str)
    cells = {*present.iloc[:SAMPLE], *present.iloc[-1:]}
    is_varied = len(cells) > 1 or len(present) == 1
    return is_varied and all(is_date(cell, time_format) for cell in cells)


def _is_binary(column: pd.Series) -> bool:
    return bool(column.dropna().isin([0, 1]).all())
