"""Fixtures of the benchmarks: a small preprocessed data set, pages with empty sections, and helpers."""

import numpy as np
import pytest

from amsl_tf.data.store import write_index


@pytest.fixture
def generated(rng, tmp_path):
    """Preprocessed windows of two normal activities and an abnormal one, three subjects, 64 steps, 15 channels.

    Abnormal windows have three times the amplitude.
    """
    for kind, count, scale, activities in (("normal", 50, 1.0, ["a09", "a10"]), ("abnormal", 15, 3.0, ["a05"])):
        np.save(tmp_path / f"{kind}.npy", scale * rng.normal(size=(count, 64, 15)).astype(np.float32))
        subjects = np.resize(["p1", "p2", "p6"], count)
        write_index(tmp_path / f"{kind}.csv", {"activity": np.sort(np.resize(activities, count)), "subject": subjects})
    return tmp_path


def write_page(path, section, text=""):
    """Writes a page with a generated section between two lines."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"before\n{section.start}\n{text}{section.end}\nafter\n")


def table_rows(text):
    """Returns the cells of all rows of Markdown tables, the heads included."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith(("|:", "|-"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def with_biases(network):
    """Sets the biases of a network to random values, as zeros would hide errors."""
    rng = np.random.default_rng(3)
    for weight in network.trainable_weights:
        if weight.name == "bias":
            weight.assign(rng.normal(scale=0.1, size=weight.shape))
    return network
