"""The over-generalisation study: reconstruction errors of normal and abnormal windows, by bottleneck width and memory.

It follows Fig. 1 of the RFTM paper. The result of each network and width is stored in a small JSON file and is not repeated
once that exists.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import write_json
from amsl_tf.data.splits import random_split
from benchmarks import overgeneralisation_page
from benchmarks.experiments import Run, read_experiments
from benchmarks.overgeneralisation_page import NETWORKS, PAGE, SECTION, WIDTHS
from benchmarks.parts import read_parts

EPOCHS = {"digits": 20, "dsads": 4}
SCALE = 2  # repeats of a pixel in each direction, as windows need at least 16 time steps


class Task(NamedTuple):
    """A detection task.

    Attributes:
        train: float32 (N, T, C), normal training windows.
        normal: float32 (M, T, C), normal test windows.
        abnormal: float32 (K, T, C), abnormal test windows.
    """

    train: np.ndarray
    normal: np.ndarray
    abnormal: np.ndarray


def digits(source: Path) -> Iterator[Task]:
    """Yields ten tasks: each digit is the anomaly once, and 60 % of the images of the other nine are for training."""
    images, labels = load_digits(return_X_y=True)
    x = np.kron(images.reshape(-1, 8, 8), np.ones((SCALE, SCALE))).astype(np.float32)
    for digit in range(10):
        others = x[labels != digit]
        train, test = random_split(len(others), seed=digit)
        yield Task(others[train], others[test], x[labels == digit])


def dsads(source: Path) -> Iterator[Task]:
    """Yields one task: the first run of the protocol `window`."""
    (amsl,), test_subjects = read_experiments(["amsl"])
    parts = read_parts(source, Run(amsl, "window", 0), test_subjects)
    yield Task(parts.train, parts.test[~parts.is_abnormal], parts.test[parts.is_abnormal])


TASKS = {"digits": digits, "dsads": dsads}


def run(source: Path, results: Path, sets: list[str], tables: Path) -> None:
    """Trains the networks without a result, then writes the tables and their figure.

    Args:
        source: The output folder of `amsl preprocess`.
        results: The folder of the JSON files.
        sets: The names of the data sets.
        tables: The folder of method.md and overgeneralisation.png.

    Raises:
        AMSLError: The input is missing, or the page lacks the marker lines of the tables.
    """
    SECTION.split(tables / PAGE)  # before hours of training
    missing = {
        (name, network, width): file
        for name in sets
        for network in NETWORKS
        for width in WIDTHS
        if not (file := overgeneralisation_page.result_file(results, name, network, width)).exists()
    }
    tasks = {name: list(TASKS[name](source)) for name in dict.fromkeys(name for name, _, _ in missing)}
    for (name, network, width), file in missing.items():
        print(f"{name}: {network}, {width} features", file=sys.stderr, flush=True)
        measured = [measure(task, network, width, EPOCHS[name]) for task in tasks[name]]
        write_json(file, {"data": name, "network": network, "width": width, "epochs": EPOCHS[name], "tasks": measured})
    for file in overgeneralisation_page.write(results, tables):
        print(file)


def measure(task: Task, network: str, width: int, epochs: int) -> dict[str, float]:
    """Trains a network on normal windows; returns its mean error on normal and abnormal test windows, and the AUROC."""
    import keras

    from amsl_tf.detector import AMSLDetector

    keras.backend.clear_session()  # releases the graphs of earlier trainings
    settings: dict[str, Any] = {**NETWORKS[network].settings, "preset": "paper", "latent_features": width, "epochs": epochs}
    config = DetectorConfig.from_settings(**settings, mixed_precision="off", score="reconstruction")
    detector = AMSLDetector.from_config(config).fit(task.train)
    normal, abnormal = (detector.decision_function(windows) for windows in (task.normal, task.abnormal))
    is_abnormal = np.repeat([0, 1], [len(normal), len(abnormal)])
    return {
        "normal_error": float(normal.mean()),
        "abnormal_error": float(abnormal.mean()),
        "auroc": float(roc_auc_score(is_abnormal, np.concatenate([normal, abnormal]))),
    }
