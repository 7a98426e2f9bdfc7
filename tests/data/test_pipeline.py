"""The batches of training: order, resumption, targets, and that both sources give the same views."""

import numpy as np
import pytest
import tensorflow as tf

from amsl_tf.data.pipeline import MaterialisedViews, RawWindows, training_batches, validation_batches, view_batches
from amsl_tf.model_config import AMSLConfig
from amsl_tf.transforms import draw_for_windows, make_views
from amsl_tf.views import VIEW_NAMES

MODEL = AMSLConfig()


@pytest.fixture
def source(waves):
    return RawWindows(waves, VIEW_NAMES, seed=5)


def batches_of(source, positions, epochs, **settings):
    dataset = training_batches(
        source, tf.identity, MODEL, positions, **{"batch_size": 4, "seed": 0, "epochs": epochs, **settings}
    )
    return [({name: x.numpy() for name, x in inputs.items()}, targets["reconstruction"].numpy()) for inputs, targets in dataset]


def test_views_are_those_of_their_windows_and_positions(source, waves):
    made = np.concatenate(list(view_batches(source, np.array([7, 3, 30]))))
    draw = draw_for_windows(5, 0, tf.constant([7, 3, 30]), waves.shape[1:])
    np.testing.assert_allclose(made, make_views(waves[[7, 3, 30]], draw, VIEW_NAMES), atol=1e-5)


def test_materialised_views_are_the_views_of_epoch_0(source):
    everything = np.concatenate(list(view_batches(source, np.arange(40))))
    materialised = MaterialisedViews({name: everything[:, index] for index, name in enumerate(VIEW_NAMES)})
    np.testing.assert_array_equal(np.concatenate(list(view_batches(materialised, np.array([9, 2])))), everything[[9, 2]])


def test_an_epoch_has_every_window_once_in_an_order_of_its_own(source, waves):
    positions = np.arange(3, 17)
    epochs = [np.concatenate([inputs["raw"] for inputs, _ in batches_of(source, positions, [epoch])]) for epoch in (0, 1)]
    for seen in epochs:
        np.testing.assert_array_equal(np.sort(seen.ravel()), np.sort(waves[positions].ravel()))
    assert not np.array_equal(*epochs)


def test_draws_on_the_fly_are_new_in_every_epoch(source):
    first, second = (batches_of(source, np.array([4]), [epoch])[0][0] for epoch in (0, 1))
    np.testing.assert_array_equal(first["raw"], second["raw"])
    assert not np.allclose(first["noise"], second["noise"])


def test_skipping_batches_leaves_the_rest_as_it_was(source):
    positions = np.arange(14)
    whole = batches_of(source, positions, [0, 1])
    assert [len(target) for _, target in whole] == [4, 4, 4, 2] * 2
    rest = batches_of(source, positions, [0, 1], skip=3)
    for (inputs, target), (same_inputs, same_target) in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(target, same_target)
        for name, values in inputs.items():
            np.testing.assert_array_equal(values, same_inputs[name])


def test_tensorflow_is_not_told_the_size_of_a_batch(source):
    """Even where all are of one size: it would add up gradients in an order that differs from training to training."""
    dataset = training_batches(source, tf.identity, MODEL, np.arange(8), batch_size=4, seed=0, epochs=[0])
    assert {spec.shape[0] for spec in tf.nest.flatten(dataset.element_spec)} == {None}


def test_targets(source):
    inputs, targets = next(iter(validation_batches(source, lambda views: views / 2, MODEL, np.arange(10), batch_size=6)))
    np.testing.assert_array_equal(targets["reconstruction"], np.stack([inputs[name] for name in VIEW_NAMES], axis=1))
    np.testing.assert_array_equal(targets["view_probabilities"], np.tile(np.arange(7), (6, 1)))
    assert targets["memory_entropy"].shape == (6,)


def test_ablations_have_no_targets_for_what_they_lack(source):
    model = AMSLConfig(memory="none", self_supervision=False)
    _, targets = next(iter(validation_batches(source, tf.identity, model, np.arange(4), batch_size=4)))
    assert list(targets) == ["reconstruction"]
