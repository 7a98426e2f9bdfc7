"""The conversion of a column of times to dates in UTC or to seconds."""

import re
import warnings

import numpy as np
import pandas as pd
from pandas.tseries.api import guess_datetime_format

from amsl_tf.data.notes import note
from amsl_tf.errors import DataError

UNITS = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}  # in seconds
EPOCHS = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"))  # numbers as large since 1970 are dates in these units
NAMES = {"t", "ts"}  # of columns of times, and words in such names
WORDS = {
    *("time", "timestamp", "datetime", "date", "clock"),
    *("zeit", "zeitstempel", "zeitpunkt", "uhrzeit", "datum", "datumzeit"),
    *("fecha", "hora", "tiempo", "heure", "horodatage", "tijd", "tijdstip", "ora", "orario"),
}
_UNIT = re.compile(rf"(?:^|[\W_])({'|'.join(UNITS)})\W*$")  # at the end of a name: `t_ms`, `Time [ms]`
_OFFSET = r"^(.*(?::\d\d|T\d{2,6})(?:[.,]\d+)?)\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)$"  # the local time and its offset
_ELAPSED = re.compile(r"\d+:\d\d:\d\d(\.\d+)?")  # also times of day
_DIGITS = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])(\d{6})?")  # year, month and day, and the time
_ISO = re.compile(r"\d{4}-\d\d-\d\d|\d{8}T\d")
_DATE = re.compile(r"\s*(\d+([-/])\w+\2\d+|\d+\.(\d\d?|[^\W\d]+)\.\d+|\d{8}T\d)")  # 1.234.567 is none
_TIME_OF_DAY = re.compile(r"\s*\d+:\d\d")
_ADVICE = "Correct it, name another column with --time, or use --time none."


def is_time(name: str) -> bool:
    """Returns whether a column has the name of a time, such as `t`, `Time [s]` or `utc_time`."""
    return name.strip().lower() in NAMES or not WORDS.isdisjoint(re.split("[^a-z]+", name.lower()))


def is_date(cell: str, time_format: str = "") -> bool:
    """Returns whether a cell of text is a date, or a time in the format that the user gives."""
    local, _ = _split_offset(_to_text(pd.Series([cell])))
    if time_format:
        return bool(_convert_dates(local, _clean_format(time_format)).notna().all())
    first = str(local.iloc[0])
    return _DATE.match(first) is not None and bool(_ISO.match(first) or _guess_formats(first))


def resembles_time(cell: str) -> bool:
    """Returns whether a cell of text begins like a date, perhaps of unknown format, or like a time of day such as 01:30."""
    return bool(_DATE.match(cell) or _TIME_OF_DAY.match(cell))


class TimeColumn:
    """The times of a recording, converted part by part; their format is that of the first part.

    Dates, also as text, become datetime64[ns], in UTC if they name a time zone or an offset. Text such as 01:30:00 and numbers
    become seconds. The unit of numbers is that at the end of the name (`time_ms`, `Time [ms]`), else s, or a smaller one if the
    numbers are as large as dates since 1970 in ms, us or ns.

    Args:
        name: The name of the column.
        place: The recording, for messages.
        times: The first part, (n,).
        time_format: The format of times that are text or digits, as `pandas.to_datetime` takes it; "" to find it.

    Attributes:
        time_zone: The time zone or the offset of the column, such as `UTC`, `Europe/Berlin` or `+02:00`; None without one.

    Raises:
        DataError: No time is given, or the format of the times is not clear.
    """

    def __init__(self, name: str, place: str, times: pd.Series, time_format: str = "") -> None:
        self.time_zone: str | None = None
        self._name, self._place = name, place
        self._given_format = self._format = _clean_format(time_format)
        self._offset_row = -1
        present = times.dropna()
        if present.empty:
            raise DataError(f"{place}: column {name}: expected times, found none in the first {len(times):,} rows. {_ADVICE}")
        self._is_number = times.dtype.kind in "fiu" and not time_format
        if self._is_number:
            self._scale = UNITS[self._find_unit(float(present.iloc[0]))]
        elif times.dtype.kind == "M":
            self.time_zone = None if present.dt.tz is None else str(present.dt.tz)
        elif times.dtype.kind != "m":
            text = _to_text(present)
            local, offsets = _split_offset(text)
            self._format = self._given_format or self._find_format(text, local)
            self._check_offsets(offsets[:1], np.flatnonzero(times.notna())[:1])

    def convert(self, times: pd.Series, start: int) -> np.ndarray:
        """Converts the next part.

        Args:
            times: (n,); missing ones become NaT or NaN.
            start: The row of the first, for messages.

        Returns:
            (n,), datetime64[ns] or float64.

        Raises:
            DataError: A cell is not a time, or has another offset than the first.
        """
        is_present = times.notna().to_numpy()
        rows, present = start + np.flatnonzero(is_present), times[is_present]
        try:
            if self._is_number:
                found = self._convert_numbers(present, rows)
            elif times.dtype.kind == "m":
                found = present.dt.total_seconds().to_numpy(np.float64)
            elif times.dtype.kind == "M":
                naive = present if present.dt.tz is None else present.dt.tz_convert("UTC").dt.tz_localize(None)
                found = naive.dt.as_unit("ns").to_numpy()
            else:
                found = self._convert_text(_to_text(present), rows)
        except (pd.errors.OutOfBoundsDatetime, pd.errors.OutOfBoundsTimedelta) as error:
            fault = f"expected years from 1678 to 2261 ({' '.join(str(error).split())})"
            raise DataError(f"{self._place}: column {self._name}: {fault}. {_ADVICE}") from error
        missing = np.nan if found.dtype.kind == "f" else np.datetime64("NaT")
        values = np.full(len(times), missing, found.dtype)
        values[is_present] = found
        return values

    def _find_unit(self, first: float) -> str:
        digits = f"{first:.0f}"
        if _DIGITS.fullmatch(digits) and (len(digits) == 14 or "date" in self._name.lower()):
            fault = f"expected times or seconds, found {digits}, which looks like a date. Name its format with --time-format"
            raise DataError(f"{self._place}: column {self._name}: {fault}, or use --time none.")
        named = _UNIT.search(self._name)
        unit = named[1] if named else next((unit for limit, unit in EPOCHS if abs(first) > limit), "s")
        if unit != "s":
            note(self._place, f"the times in column {self._name} are read in {unit} and converted to seconds")
        return unit

    def _convert_numbers(self, present: pd.Series, rows: np.ndarray) -> np.ndarray:
        numbers = pd.to_numeric(present, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        self._check(np.isfinite(numbers), present, rows, "a finite number, as in the rows before")
        return numbers * self._scale

    def _find_format(self, text: pd.Series, local: pd.Series) -> str:
        """Finds the format of the first cells; "" for elapsed times and times of day."""
        first = str(local.iloc[0])
        if _ELAPSED.fullmatch(first):
            return ""
        if _ISO.match(first):
            return "ISO8601"
        formats = _guess_formats(first)
        if len(formats) > 1 and re.match(r"\d\d?\.", first):  # dates with points have the day first
            formats = {found for found in formats if found.startswith("%d.")}
            note(self._place, f"the dates in column {self._name} are read as day.month.year")
        if len(formats) > 1:  # a later row may have a day that cannot be a month
            fitting = {found for found in formats if pd.to_datetime(local, format=found, errors="coerce").notna().all()}
            formats = fitting or formats
        if len(formats) == 1:
            return str(formats.pop())
        found = f"found {text.iloc[0][:40]!r}"
        if formats:
            shown = " or ".join(f"'{found}'" for found in sorted(formats))
            fault = f"day and month cannot be told apart, {found}. Name the format with --time-format {shown}"
        else:
            fault = f"expected a time, {found}. Name its format with --time-format, as in '%d/%m/%Y %H:%M:%S'"
        raise DataError(f"{self._place}: column {self._name}: {fault}, name another column with --time, or use --time none.")

    def _convert_text(self, text: pd.Series, rows: np.ndarray) -> np.ndarray:
        if not self._format:
            seconds = pd.to_timedelta(text.where(text.str.fullmatch(_ELAPSED)), errors="coerce")
            self._check(seconds.notna().to_numpy(), text, rows, "a time as in the rows before, such as 01:30:00")
            return seconds.dt.total_seconds().to_numpy(np.float64)
        local, offsets = _split_offset(text)
        dates = _convert_dates(local, self._format)
        expected = f"a time in the format {self._given_format!r}" if self._given_format else "a time as in the rows before"
        self._check(dates.notna().to_numpy(), text, rows, expected)
        self._check_offsets(offsets, rows)
        if self.time_zone not in (None, "UTC"):
            dates -= pd.Timedelta(f"{self.time_zone[0]}{self.time_zone[1:]}:00")  # +02:00 is two hours ahead of UTC
        return dates.dt.as_unit("ns").to_numpy()

    def _check_offsets(self, offsets: pd.Series, rows: np.ndarray) -> None:
        """Sets the time zone to the first offset; raises DataError if another follows."""
        zones = {offset: None if pd.isna(offset) else _name_offset(offset) for offset in offsets.unique()}
        for offset, zone in zones.items():
            same = offsets.isna() if zone is None else offsets == offset
            row = int(rows[same.to_numpy().argmax()])
            if self._offset_row < 0:
                self._offset_row, self.time_zone = row, zone
            elif zone != self.time_zone:
                found = f"{self.time_zone or 'none'} in row {self._offset_row} and {zone or 'none'} in row {row} (from 0)"
                fault = f"expected times with the same offset from UTC, found {found}"
                raise DataError(f"{self._place}: column {self._name}: {fault}. Write all times in UTC, or use --time none.")

    def _check(self, is_valid: np.ndarray, cells: pd.Series, rows: np.ndarray, expected: str) -> None:
        if not is_valid.all():
            first = int(is_valid.argmin())
            place = f"{self._place}: column {self._name}, row {rows[first]} (from 0)"
            raise DataError(f"{place}: expected {expected}, found {str(cells.iloc[first])[:40]!r}. {_ADVICE}")


def _guess_formats(time: str) -> set[str]:
    """Returns the formats that a date may have: none, or two if day and month may be swapped."""
    half = "".join(re.findall(r"\s?[AP]M$", time, re.IGNORECASE))  # of the day, which pandas does not guess
    time = time.removesuffix(half)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns of a day that cannot be a month
        found = {guess_datetime_format(time, dayfirst=day_first) for day_first in (False, not time[:4].isdigit())} - {None}
    return {guess.replace("%H", "%I") + half[:-2] + "%p" for guess in found} if half else found


def _clean_format(time_format: str) -> str:
    """Returns a format for times without an offset and with a decimal point, see `_to_text` and `_split_offset`."""
    return time_format.replace("%z", "").replace(",%f", ".%f").strip()


def _split_offset(text: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Splits times into local times and offsets from UTC, which are missing where there is none."""
    parts = text.str.extract(_OFFSET)
    return parts[0].fillna(text), parts[1]


def _convert_dates(local: pd.Series, time_format: str) -> pd.Series:
    """Converts local times; those of another format become NaT."""
    try:
        dates = pd.to_datetime(local, format=time_format, errors="coerce")
        dates.dt.tz_localize("UTC")
    except (ValueError, TypeError):  # an offset of unusual form, or a format that there is not
        return pd.Series(pd.NaT, local.index)
    return dates


def _to_text(cells: pd.Series) -> pd.Series:
    """Converts cells to text without spaces around it, with a decimal point in seconds."""
    if cells.dtype.kind == "f":  # digits such as 20240131, with missing values
        cells = cells.map("{:.15g}".format)
    return cells.map(str).astype(str).str.strip().str.replace(r"(:\d\d),(\d+)", r"\1.\2", regex=True)


def _name_offset(offset: str) -> str:
    """Returns `UTC`, or an offset as in +02:00."""
    if offset[0] not in "+-" or not offset[1:].strip("0:"):
        return "UTC"
    digits = offset[1:].replace(":", "").ljust(4, "0")
    return f"{offset[0]}{digits[:2]}:{digits[2:]}"
