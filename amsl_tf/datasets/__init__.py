"""Public data sets: one module for each, and the registry `DATASETS`."""

from pathlib import Path
from typing import TYPE_CHECKING

from amsl_tf.registry import Registry

if TYPE_CHECKING:
    from amsl_tf.data.windows import Windows
    from amsl_tf.datasets.base import Dataset

DATASETS: Registry[type["Dataset"]] = Registry("dataset", {"dsads": "amsl_tf.datasets.dsads:DSADS"}, ("load", "read", "index"))

__all__ = ["DATASETS", "load_dataset"]


def load_dataset(name: str, folder: str | Path) -> "Windows":
    """Reads a data set into memory.

    Args:
        name: The name of the data set in `DATASETS`.
        folder: The folder that holds it.

    Returns:
        All windows with their labels and metadata.

    Raises:
        AMSLError: The name is unknown, or the folder does not hold the data set.

    Example:
        >>> windows = load_dataset("dsads", "data/DASADS")
        >>> normal = windows.x[windows.label == 0]
    """
    return DATASETS[name](Path(folder)).load()
