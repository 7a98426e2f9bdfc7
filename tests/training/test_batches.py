"""The batches of training: order, resuming, targets."""

import numpy as np
import pytest
import tensorflow as tf

from amsl_tf.networks.amsl import AMSLConfig
from amsl_tf.training.batches import split_replicas, training_batches, validation_batches
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


@pytest.mark.parametrize("pipelines", [1, 2, 4])
def test_parts_of_replicas_are_the_global_batch(source, pipelines):
    """4 replicas and batches of 8 and 5 windows: the second is divided as 2 + 2 + 1 + 0, with repeated windows of weight 0."""
    whole = batches_of(source, np.arange(13), [0], batch_size=8)
    parts = []
    for number in range(pipelines):
        part = tf.distribute.InputContext(pipelines, number, num_replicas_in_sync=4)
        dataset = training_batches(source, tf.identity, CONFIG, np.arange(13), batch_size=8, seed=0, epochs=[0], part=part)
        replicas = list(split_replicas(dataset, 4 // pipelines))
        assert len(replicas) == 2 * 4 // pipelines
        assert {len(weights) for _, _, weights in replicas} == {2}
        parts.append([replicas[: 4 // pipelines], replicas[4 // pipelines :]])
    for batch, (_, expected) in enumerate(whole):
        replicas = [replica for part in parts for replica in part[batch]]
        target = np.concatenate([targets["reconstruction"] for _, targets, _ in replicas])
        raw = np.concatenate([inputs["raw"] for inputs, _, _ in replicas])
        weights = np.concatenate([weights for _, _, weights in replicas])
        # views are computed with vector instructions of other lengths
        np.testing.assert_allclose(target, np.concatenate([expected, expected[: 8 - len(expected)]]), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(raw, target[:, 0])
        np.testing.assert_array_equal(weights, [8 / len(expected)] * len(expected) + [0.0] * (8 - len(expected)))


def test_batch_smaller_than_the_number_of_replicas(source):
    part = tf.distribute.InputContext(1, 0, num_replicas_in_sync=3)
    dataset = validation_batches(source, tf.identity, CONFIG, np.array([7]), batch_size=4, part=part)
    ((inputs, _, weights),) = dataset
    assert len(np.unique(inputs["raw"], axis=0)) == 1
    np.testing.assert_array_equal(weights, [3.0, 0.0, 0.0])
