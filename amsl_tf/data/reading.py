"""How tables are read: which columns are channels, times and labels, and how the cells of a CSV are written."""

import codecs
from dataclasses import dataclass

from amsl_tf.checks import check_choice, check_flag, convert_names
from amsl_tf.errors import AMSLError

NO_TIME = "none"
UTF_8 = "utf-8"
DELIMITERS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'", " ": "spaces"}  # in words; the first of several wins
_WORDS = {"tab": "\t", "\\t": "\t", "space": " "}  # for command lines


@dataclass(frozen=True)
class Reading:
    """The way in which the user wants recordings to be read.

    Attributes:
        columns: The columns that are the channels, in order; if empty, those with the names that the detector knows, else all
            but `time`, `label` and `drop`.
        drop: Columns that are ignored.
        time: The column of times; "" to find it, by its name or type or else by cells that are dates; "none" for a recording
            without times.
        usual_time: The column of times if `time` is "" and the recording has it, "index" for an index without a name.
        time_format: The format of times that are text, such as "%d/%m/%Y %H:%M:%S"; "" to find it.
        label: The column of labels, 0 or 1; "" for a recording without labels.
        header: Whether the first line of a CSV names its columns; otherwise they are `channel 0`, `channel 1`, ..., and may be
            given by their numbers.
        delimiter: The character between the cells of a CSV, also "tab" or "space" (any number of spaces); "" to find it.
        decimal: The decimal separator of a CSV, "." or ","; "" to find it.
        na: Further cells that stand for missing values, such as "Bad".
        encoding: The encoding of a CSV, such as "cp1252".

    Raises:
        AMSLError: An attribute has another type or value, or a column is given twice.

    Example:
        >>> reading = Reading(time="datetime", drop=("changepoint",), label="anomaly", delimiter=";")
    """

    columns: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    time: str = ""
    label: str = ""
    header: bool = True
    delimiter: str = ""
    decimal: str = ""
    usual_time: str = ""
    time_format: str = ""
    na: tuple[str, ...] = ()
    encoding: str = UTF_8

    def __post_init__(self) -> None:
        convert_names(self, "columns")
        convert_names(self, "drop")
        convert_names(self, "na")
        check_flag("header", self.header)
        for name in ("time", "usual_time", "time_format", "label", "delimiter", "encoding"):
            if not isinstance(getattr(self, name), str):
                raise AMSLError(f"{name} must be text. Received: {getattr(self, name)!r}.")
        check_choice("decimal", self.decimal, ("", ".", ","))
        if self.time_format and "%" not in self.time_format:
            raise AMSLError(f"time_format must be as in %d/%m/%Y %H:%M:%S. Received: {self.time_format!r}.")
        try:
            "".encode(self.encoding)  # some codecs are not of text
            object.__setattr__(self, "encoding", codecs.lookup(self.encoding).name)
        except (LookupError, ValueError) as error:
            raise AMSLError(f"encoding must be one of Python, such as utf-8 or cp1252. Received: {self.encoding!r}.") from error
        delimiter = _WORDS.get(self.delimiter, self.delimiter)
        if delimiter and (len(delimiter) > 1 or delimiter.isalnum() or delimiter in "\"'\r\n.+-"):
            raise AMSLError(
                f"delimiter must be one character that is not part of numbers, or tab or space. Received: {self.delimiter!r}."
            )
        object.__setattr__(self, "delimiter", delimiter)
        roles = [*self.columns, *self.drop, *(name for name in (self.time, self.label) if name not in ("", NO_TIME))]
        if twice := sorted({name for name in roles if roles.count(name) > 1}):
            raise AMSLError(f"each column may have one of the roles columns, drop, time and label. Received twice: {twice[0]}.")
