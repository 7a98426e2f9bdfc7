"""How tables are read: which columns are channels, times and labels, and how the cells of a CSV are written."""

from dataclasses import dataclass

from amsl_tf.checks import check_choice, check_flag, convert_names
from amsl_tf.errors import AMSLError

NO_TIME = "none"
DELIMITERS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'", " ": "spaces"}  # in words; the first of several wins
_WORDS = {"tab": "\t", "\\t": "\t", "space": " "}  # for command lines


@dataclass(frozen=True)
class Reading:
    """The way in which the user wants recordings to be read.

    Attributes:
        columns: The columns that are the channels, in order; if empty, those with the names that the detector knows, else all
            but `time`, `label` and `drop`.
        drop: Columns that are ignored.
        time: The column of times; "" to find it by name or type, "none" for a recording without times.
        label: The column of labels, 0 or 1; "" for a recording without labels.
        header: Whether the first line of a CSV names its columns; otherwise they are `channel 0`, `channel 1`, ..., and may be
            given by their numbers.
        delimiter: The character between the cells of a CSV, also "tab" or "space" (any number of spaces); "" to find it.
        decimal: The decimal separator of a CSV, "." or ","; "" to find it.

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

    def __post_init__(self) -> None:
        convert_names(self, "columns")
        convert_names(self, "drop")
        check_flag("header", self.header)
        for name in ("time", "label", "delimiter"):
            if not isinstance(getattr(self, name), str):
                raise AMSLError(f"{name} must be text. Received: {getattr(self, name)!r}.")
        check_choice("decimal", self.decimal, ("", ".", ","))
        delimiter = _WORDS.get(self.delimiter, self.delimiter)
        if delimiter and (len(delimiter) > 1 or delimiter.isalnum() or delimiter in "\"'\r\n.+-"):
            raise AMSLError(
                f"delimiter must be one character that is not part of numbers, or tab or space. Received: {self.delimiter!r}."
            )
        object.__setattr__(self, "delimiter", delimiter)
        roles = [*self.columns, *self.drop, *(name for name in (self.time, self.label) if name not in ("", NO_TIME))]
        if twice := sorted({name for name in roles if roles.count(name) > 1}):
            raise AMSLError(f"each column may have one of the roles columns, drop, time and label. Received twice: {twice[0]}.")
