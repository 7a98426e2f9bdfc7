"""Reads the files of views that transformation wrote. This module does not import TensorFlow."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from amsl_tf.data.store import Part, open_array
from amsl_tf.data.windows import check_windows
from amsl_tf.errors import DataError
from amsl_tf.views.base import VIEWS


def open_views(root: Path, part: Part, names: Iterable[str], advice: str) -> dict[str, np.ndarray]:
    """Opens the materialised views of a part.

    Args:
        root: The folder that transformation wrote.
        part: The part.
        names: The names of the views.
        advice: The advice to the user if a file is missing or broken, for the error message.

    Returns:
        float32 (N, T, C) by name, memory-mapped and not scaled.

    Raises:
        DataError: A file is missing or broken, or of another shape than the raw view.
    """
    shape = open_array(part.file(root, VIEWS["raw"].suffix), advice).shape
    views = {}
    for name in names:
        file = part.file(root, VIEWS[name].suffix)
        try:
            views[name] = check_windows(open_array(file, advice), shape[1:], shape[0])
        except DataError as error:
            raise DataError(f"{file}: {error} {advice}") from error
    return views
