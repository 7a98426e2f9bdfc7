"""Fixtures and helpers for the tests of figures."""

import numpy as np
import pytest
from matplotlib.text import Text

ABNORMAL = np.repeat([False, True], 50)


@pytest.fixture
def scores(rng):
    """Two scores of 50 normal and 50 abnormal windows, of which the first separates them better."""
    return {"one": rng.normal(2 * ABNORMAL), "other": rng.normal(0.5 * ABNORMAL)}


def text_of(figure):
    """Returns all text of the axes of a figure."""
    texts = (text for axis in figure.axes for text in axis.findobj(Text))
    return " ".join(text.get_text() for text in texts)
