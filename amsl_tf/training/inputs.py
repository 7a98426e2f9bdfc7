"""The input of `AMSLDetector.fit`: its validation, and the selection of normal windows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import check_local, resolve
from amsl_tf.data.windows import Windows, check_binary, check_labels, check_views, check_windows, chunks
from amsl_tf.errors import AMSLError, DataError

SMALLEST = float(np.finfo(np.float32).tiny)  # TensorFlow takes smaller differences for 0


class FitInput(NamedTuple):
    """The validated input of a fit.

    Attributes:
        x: float32 (N, T, C), normal windows, at least 2.
        groups: The group of each window (N,), or None.
        views: Materialised views, float32 (N, T, C) by name, or None.
        abnormal: float32 (M, T, C), abnormal windows for TensorBoard, or None.
    """

    x: np.ndarray
    groups: np.ndarray | None
    views: dict[str, np.ndarray] | None
    abnormal: np.ndarray | None


def check_fit_input(
    config: DetectorConfig,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    views: Mapping[str, np.ndarray] | None = None,
    abnormal: Any = None,
) -> FitInput:
    """Validates the input of a fit and leaves out abnormal windows.

    Args:
        config: The settings of the detector.
        X: Windows, an array (N, T, C) or `Windows`.
        y: Labels (N,), 1 for abnormal and 0 for normal windows; if None, the labels of `Windows`, if any.
        groups: The group of each window (N,), or None.
        views: Materialised views (N, T, C) by name, or None.
        abnormal: Abnormal windows (M, T, C) for TensorBoard, or None.

    Returns:
        The input as arrays, of the normal windows alone.

    Raises:
        AMSLError: The input is invalid or does not fit the settings.
    """
    windows = Windows.of(X)
    x, y = windows.x, windows.label if y is None else y
    shape = (x.shape[1], x.shape[2])
    groups = None if groups is None else check_labels("groups", groups, len(x))
    views = None if views is None else check_views(views, config.views, x.shape)
    if y is not None:
        normal = np.flatnonzero(check_binary("y", y, len(x)) == 0)
        if len(normal) < 2:
            raise DataError(f"y must mark at least 2 windows as normal (0). Received: {len(normal)}.")
        if len(normal) < len(x):
            x = x[normal]
            groups = None if groups is None else groups[normal]
            views = None if views is None else {name: view[normal] for name, view in views.items()}
    if len(x) < 2:
        raise DataError("fit needs at least 2 normal windows. Received: n_samples=1. Give more windows.")
    if config.network is not None and not any((np.abs(part - x[0]) >= SMALLEST).any() for _, part in chunks(x[1:])):
        raise DataError(
            f"windows must differ. Received: {len(x)} windows that are equal in float32, or within {SMALLEST:.2g} of each "
            "other. Check the input; remove a large offset, use a smaller unit, or fit without a network."
        )
    if shape[1] % config.axes:
        raise AMSLError(f"axes must divide the number of channels. Received: axes={config.axes} and {shape[1]} channels.")
    if len(config.channel_names) not in (0, shape[1]):
        raise AMSLError(
            f"channel_names must name every channel. Received: {len(config.channel_names)} names, {shape[1]} channels."
        )
    if abnormal is not None:
        try:
            abnormal = check_windows(Windows.of(abnormal).x, shape)
        except DataError as error:
            raise DataError(f"abnormal: {error}") from error
    return FitInput(x, groups, views, abnormal)


def check_folders(work_dir: str | Path | None, log_dir: str | Path | None) -> None:
    """Checks the folders of a fit, before anything is computed.

    Args:
        work_dir: The folder for the state of the training run, or None.
        log_dir: The folder for TensorBoard, or None.

    Raises:
        AMSLError: A path is not that of a folder, the state of a training run cannot be kept in `work_dir`, or `log_dir` lies
            in it.
    """
    for name, folder in (("work_dir", work_dir), ("log_dir", log_dir)):
        if folder is not None and check_local(folder).exists() and not Path(folder).is_dir():
            raise AMSLError(f"{folder}: is not a folder. Choose another {name}.")
    if work_dir is None:
        return
    if set("[]") & set(str(Path(work_dir).absolute())):  # TensorFlow would treat the path as a pattern
        raise AMSLError(f"{work_dir}: the path of the training state must not contain [ or ]. Choose another folder.")
    if log_dir is not None:
        work, logs = resolve(work_dir), resolve(log_dir)
        if work in (logs, *logs.parents):
            raise AMSLError(f"{log_dir}: lies in work_dir, which is removed after the training. Choose another log_dir.")
