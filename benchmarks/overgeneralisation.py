"""Over-generalisation: how well autoencoders rebuild what they should not, by the width of their bottleneck and by memory.

After Fig. 1 of the RFTM paper. Each network and width is a small JSON file; those that are finished are not run again.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from amsl_tf.data.files import write_json
from amsl_tf.data.splits import random_split
from benchmarks import overgeneralisation_page
from benchmarks.experiments import Run, read_experiments
from benchmarks.overgeneralisation_page import END, NETWORKS, PAGE, START, WIDTHS
from benchmarks.pages import parts_of
from benchmarks.parts import read_parts

EPOCHS = {"digits": 20, "dsads": 4}
LARGER = 2  # times that a pixel of a digit stands in each direction: windows have 16 time steps at least


class Task(NamedTuple):
    """Normal windows to train on, float32 (N, T, C), others to test on (M, T, C), and abnormal ones (K, T, C)."""

    train: np.ndarray
    normal: np.ndarray
    abnormal: np.ndarray


def digits(source: Path) -> Iterator[Task]:
    """Each of the ten digits in turn is the anomaly; of the pictures of the other nine 60 % train."""
    pictures, labels = load_digits(return_X_y=True)
    x = np.kron(pictures.reshape(-1, 8, 8), np.ones((LARGER, LARGER))).astype(np.float32)
    for digit in range(10):
        others = x[labels != digit]
        train, test = random_split(len(others), seed=digit)
        yield Task(others[train], others[test], x[labels == digit])


def dsads(source: Path) -> Iterator[Task]:
    """The first run of the protocol `window`."""
    (amsl,), people = read_experiments(["amsl"])
    parts = read_parts(source, Run(amsl, "window", 0), people)
    yield Task(parts.train, parts.test[~parts.is_abnormal], parts.test[parts.is_abnormal])


TASKS = {"digits": digits, "dsads": dsads}


def run(source: Path, results: Path, sets: list[str], tables: Path) -> None:
    """Runs what has no result yet, then writes tables and figure.

    Args:
        source: The folder that preprocessing wrote.
        results: Folder of the JSON files.
        sets: Which data sets.
        tables: The folder of method.md and overgeneralisation.png.

    Raises:
        AMSLError: The input is missing, or the page that gets the tables.
    """
    parts_of(tables / PAGE, START, END)  # what is wrong is told before hours of training
    tasks = {name: list(TASKS[name](source)) for name in sets}
    for name in sets:
        for network in NETWORKS:
            for width in WIDTHS:
                file = overgeneralisation_page.file(results, name, network, width)
                if file.exists():
                    continue
                print(f"{name}: {network}, {width} features", file=sys.stderr, flush=True)
                measured = [measure(task, network, width, EPOCHS[name]) for task in tasks[name]]
                write_json(file, {"data": name, "network": network, "width": width, "epochs": EPOCHS[name], "tasks": measured})
    for written in overgeneralisation_page.write(results, tables):
        print(written)


def measure(task: Task, network: str, width: int, epochs: int) -> dict[str, float]:
    """Trains a network on normal windows; the mean errors of new normal and of abnormal ones, and the AUROC between them."""
    import keras

    from amsl_tf.detector import AMSLDetector

    keras.backend.clear_session()  # or the graphs of all that was trained before stay in memory
    settings: dict[str, Any] = {**NETWORKS[network].settings, "latent_features": width, "epochs": epochs}
    detector = AMSLDetector(**settings, mixed_precision="off").fit(task.train)
    normal, abnormal = (detector.score_components(windows)["reconstruction"] for windows in (task.normal, task.abnormal))
    is_abnormal = np.repeat([0, 1], [len(normal), len(abnormal)])
    return {
        "normal_error": float(normal.mean()),
        "abnormal_error": float(abnormal.mean()),
        "auroc": float(roc_auc_score(is_abnormal, np.concatenate([normal, abnormal]))),
    }
