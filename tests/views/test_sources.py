"""Sources of views: raw windows and materialised views."""

import numpy as np
import pytest
import tensorflow as tf

from amsl_tf.views import PAPER_VIEWS
from amsl_tf.views.operations import draw_for_windows, make_views
from amsl_tf.views.sources import MaterialisedViews, RawWindows, view_batches


@pytest.fixture
def source(waves):
    return RawWindows(waves, PAPER_VIEWS, seed=5)


def test_views_depend_on_window_and_position(source, waves):
    views = np.concatenate(list(view_batches(source, np.array([7, 3, 30]))))
    draws = draw_for_windows(5, 0, tf.constant([7, 3, 30]), waves.shape[1:], PAPER_VIEWS)
    np.testing.assert_allclose(views, make_views(waves[[7, 3, 30]], draws, PAPER_VIEWS), atol=1e-5)


def test_materialised_views_are_the_views_of_epoch_0(source):
    views = np.concatenate(list(view_batches(source, np.arange(40))))
    materialised = MaterialisedViews({name: views[:, index] for index, name in enumerate(PAPER_VIEWS)})
    np.testing.assert_array_equal(np.concatenate(list(view_batches(materialised, np.array([9, 2])))), views[[9, 2]])
