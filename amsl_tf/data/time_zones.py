"""Converts times of recordings, dates in UTC or seconds, to the time zone in which they are shown."""

import re
from typing import Any

import numpy as np
import pandas as pd


def convert_time(time: Any, zone: str | None) -> Any:
    """Converts a date to a pandas.Timestamp, in a time zone if it is known; returns seconds and None as they are."""
    if not isinstance(time, np.datetime64):
        return time
    return pd.Timestamp(time) if zone is None else pd.Timestamp(time, tz="UTC").tz_convert(zone)


def convert_times(times: np.ndarray, zone: str | None) -> Any:
    """Converts dates (n,) to a time zone if it is known; returns seconds as they are."""
    if zone is None or times.dtype.kind != "M":
        return times
    return pd.DatetimeIndex(times, tz="UTC").tz_convert(zone)


def describe_time(time: Any, zone: str | None) -> str:
    """Returns a time of `Rows` as text, as the recording writes it: `2020-03-09 11:05:40`, or `12.5 s`."""
    if not isinstance(time, np.datetime64):
        return f"{time:.12g} s"
    return re.sub(r"\.(\d*?)0+(?!\d)", lambda found: f".{found[1]}".rstrip("."), str(convert_time(time, zone)))
