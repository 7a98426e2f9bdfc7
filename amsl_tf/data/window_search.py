"""Finds a window of a recording by its number or its time, and describes its times."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from amsl_tf.data.time_zones import describe_time
from amsl_tf.data.window_reader import WindowBatch
from amsl_tf.errors import DataError


def find_window(
    batches: Iterable[WindowBatch], number: int | None = None, time: str | None = None, zone: str | None = None
) -> tuple[int, WindowBatch]:
    """Finds a window of a recording by its number, or of those that hold a time the one whose middle is closest to it.

    Args:
        batches: The windows.
        number: The number of the window, counted from 0.
        time: Without `number`, the time as text: a date in the time zone of the recording, or seconds.
        zone: The time zone of the recording.

    Returns:
        The number of the window, and the window alone.

    Raises:
        DataError: There is no such window, or the recording has no such times.
    """
    count, best, distance = 0, None, np.inf
    for batch in batches:
        if number is not None and count <= number < count + len(batch):
            return number, batch[[number - count]]
        if number is None and time is not None:
            distances = _distances(batch, time, zone)
            closest = int(distances.argmin())
            if distances[closest] < distance:
                best, distance = (count + closest, batch[[closest]]), distances[closest]
        count += len(batch)
    if best is None and number is None:
        raise DataError(f"no window holds the time {time}. Give a time within the recording, with its date if it has dates.")
    if best is None:
        raise DataError(f"there is no window {number}. There are {count}, counted from 0.")
    return best


def describe_times(window: WindowBatch, zone: str | None) -> tuple[str, str] | None:
    """Returns the times of the first and the last row of one window as text, or None if it has none."""
    if window.times is None:
        return None
    return describe_time(window.times[0, 0], zone), describe_time(window.times[0, -1], zone)


def _distances(batch: WindowBatch, time: str, zone: str | None) -> np.ndarray:
    """Returns the distances of the middles of windows to a time, in seconds; infinite for windows that do not hold it."""
    if batch.start is None or batch.end is None:
        raise DataError("the recording has no times. Give the number of a window, or the column of times.")
    try:
        stamp = float(time) if batch.start.dtype.kind != "M" else pd.Timestamp(time).as_unit("ns")
        if stamp != stamp:
            raise ValueError("no time")
        if not isinstance(stamp, float) and stamp.tzinfo is None and zone is not None:
            stamp = stamp.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")  # where clocks are changed
        if not isinstance(stamp, float):
            stamp = (stamp if stamp.tzinfo is None else stamp.tz_convert("UTC").tz_localize(None)).to_datetime64()
    except ValueError as error:
        raise DataError(f"expected a time such as those of the recording. Received: {time!r} ({error}).") from error
    half = (batch.end - batch.start) / 2
    distances = np.abs(batch.start + half - stamp)
    is_held = distances <= half
    return np.where(is_held, distances / (1.0 if isinstance(stamp, float) else np.timedelta64(1, "s")), np.inf)
