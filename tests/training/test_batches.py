"""The batches of training: order, resuming, targets."""

import numpy as np
import pytest
import tensorflow as tf

from amsl_tf.networks.amsl import AMSLConfig
from amsl_tf.training.batches import training_batches, validation_batches
from amsl_tf.views import PAPER_VIEWS
from amsl_tf.views.sources import RawWindows

CONFIG = AMSLConfig()


@pytest.fixture
def source(waves):
    return RawWindows(waves, PAPER_VIEWS, seed=5)


def batches_of(source, positions, epochs, **settings):
    dataset = training_batches(
        source, tf.identity, CONFIG, positions, **{"batch_size": 4, "seed": 0, "epochs": epochs, **settings}
    )
    return [({name: x.numpy() for name, x in inputs.items()}, targets["reconstruction"].numpy()) for inputs, targets in dataset]


def test_each_epoch_has_all_windows_in_another_order(source, waves):
    positions = np.arange(3, 17)
    epochs = [np.concatenate([inputs["raw"] for inputs, _ in batches_of(source, positions, [epoch])]) for epoch in (0, 1)]
    for windows in epochs:
        np.testing.assert_array_equal(np.sort(windows.ravel()), np.sort(waves[positions].ravel()))
    assert not np.array_equal(*epochs)


def test_views_are_drawn_anew_in_each_epoch(source):
    first, second = (batches_of(source, np.array([4]), [epoch])[0][0] for epoch in (0, 1))
    np.testing.assert_array_equal(first["raw"], second["raw"])
    assert not np.allclose(first["noise"], second["noise"])


def test_skipping_batches_does_not_change_the_others(source):
    positions = np.arange(14)
    batches = batches_of(source, positions, [0, 1])
    assert [len(target) for _, target in batches] == [4, 4, 4, 2] * 2
    remaining = batches_of(source, positions, [0, 1], skip=3)
    for (inputs, target), (same_inputs, same_target) in zip(batches[3:], remaining, strict=True):
        np.testing.assert_array_equal(target, same_target)
        for name, values in inputs.items():
            np.testing.assert_array_equal(values, same_inputs[name])


def test_batch_size_is_not_static(source):
    """With a static batch size TensorFlow would sum gradients in an order that varies between trainings."""
    dataset = training_batches(source, tf.identity, CONFIG, np.arange(8), batch_size=4, seed=0, epochs=[0])
    assert {spec.shape[0] for spec in tf.nest.flatten(dataset.element_spec)} == {None}


def test_targets(source):
    inputs, targets = next(iter(validation_batches(source, lambda views: views / 2, CONFIG, np.arange(10), batch_size=6)))
    np.testing.assert_array_equal(targets["reconstruction"], np.stack([inputs[name] for name in PAPER_VIEWS], axis=1))
    np.testing.assert_array_equal(targets["view_probabilities"], np.tile(np.arange(7), (6, 1)))
    assert targets["memory_entropy"].shape == (6,)


def test_ablations_have_no_targets_of_removed_terms(source):
    config = AMSLConfig(memory="none", self_supervision=False)
    _, targets = next(iter(validation_batches(source, tf.identity, config, np.arange(4), batch_size=4)))
    assert list(targets) == ["reconstruction"]
