"""Public data sets: one module for each, and the registry `DATASETS`."""

from pathlib import Path
from typing import TYPE_CHECKING

from amsl_tf.errors import AMSLError
from amsl_tf.registry import Registry

if TYPE_CHECKING:
    from amsl_tf.data.windows import Windows
    from amsl_tf.datasets.base import Dataset
    from amsl_tf.datasets.series import Series

DATASETS: Registry[type["Dataset"]] = Registry(
    "dataset",
    {
        "dsads": "amsl_tf.datasets.dsads:DSADS",
        "pamap2": "amsl_tf.datasets.pamap2:PAMAP2",
        "wesad": "amsl_tf.datasets.wesad:WESAD",
        "cap": "amsl_tf.datasets.cap:CAP",
        "skab": "amsl_tf.datasets.skab:SKAB",
        "smd": "amsl_tf.datasets.smd:SMD",
        "smap": "amsl_tf.datasets.telemanom:SMAP",
        "msl": "amsl_tf.datasets.telemanom:MSL",
        "asd": "amsl_tf.datasets.asd:ASD",
        "tep": "amsl_tf.datasets.tep:TEP",
        "tsb_ad": "amsl_tf.datasets.tsb_ad:TSBAD",
    },
    ("load", "read", "index"),
)

__all__ = ["DATASETS", "load_dataset", "load_series", "usual_folder"]


def load_dataset(name: str, folder: str | Path) -> "Windows":
    """Reads the windows of a data set into memory.

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


def usual_folder(name: str, data: Path = Path("data")) -> Path:
    """Returns the folder in which commands look for a data set, below that of all data sets."""
    return data / (DATASETS[name].folder_name or name)


def load_series(name: str, folder: str | Path) -> dict[str, "Series"]:
    """Reads the series of a data set into memory: normal recordings to fit to, and labelled ones.

    Args:
        name: The name of the data set in `DATASETS`.
        folder: The folder that holds it.

    Returns:
        All series by name.

    Raises:
        AMSLError: The name is unknown, the data set consists of windows, or the folder does not hold it.

    Example:
        >>> series = load_series("skab", "data/SKAB")["valve1/0"]
        >>> series.train.x.shape, series.test.label.mean()
    """
    from amsl_tf.datasets.series import SeriesDataset

    dataset = DATASETS[name]
    if not issubclass(dataset, SeriesDataset):
        raise AMSLError(f"{name} consists of windows, not of series. Read it with load_dataset.")
    data = dataset(Path(folder))
    return {series: data.read_series(series) for series in data.names()}
