"""The training loop of several workers, in place of Keras' `fit`, which does not run under `MultiWorkerMirroredStrategy`."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from amsl_tf.networks.base import NetworkConfig
from amsl_tf.networks.losses import losses_for


def fit(
    trained: keras.Model,
    config: NetworkConfig,
    batches: tf.distribute.DistributedDataset,
    strategy: tf.distribute.Strategy,
    *,
    initial_epoch: int,
    epochs: int,
    steps_per_epoch: int,
    validation_data: tf.distribute.DistributedDataset,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Trains a model, as Keras' `fit` does with the same arguments.

    Every batch counts exactly: losses and gradients are those of the global batch, also where the replicas have different
    numbers of windows. Losses of an epoch are means over windows.

    Args:
        trained: The compiled model.
        config: The configuration of the network.
        batches: The batches of all epochs, with weights.
        strategy: The strategy in whose scope the model was built. It need not be active: what callbacks do on the chief alone,
            such as saving, must not be done under it, where all workers would have to do it together.
        initial_epoch: The first epoch.
        epochs: The last epoch plus 1.
        steps_per_epoch: The number of batches in an epoch.
        validation_data: The validation batches, with weights.
        callbacks: The callbacks, which get the losses under the names of Keras.
    """
    step, losses = _Step(trained, config, strategy), _Losses(config)
    called = keras.callbacks.CallbackList(list(callbacks), model=trained)
    iterator = iter(batches)
    called.on_train_begin()
    for epoch in range(initial_epoch, epochs):
        called.on_epoch_begin(epoch)
        losses.reset()
        for batch in range(steps_per_epoch):
            called.on_train_batch_begin(batch)
            losses.add(step.train(next(iterator)))
            called.on_train_batch_end(batch, losses.means())
        logs = losses.means()
        losses.reset()
        for example in validation_data:
            losses.add(step.validate(example))
        called.on_epoch_end(epoch, logs | losses.means("val_"))
    called.on_train_end()


class _Losses:
    """The means over windows of the objective and its terms, under the names of Keras, which does not name a single term."""

    def __init__(self, config: NetworkConfig) -> None:
        terms = list(config.loss_weights)
        self._names = ["loss", *(f"{name}_loss" for name in terms if len(terms) > 1)]

    def reset(self) -> None:
        self._totals, self._count = np.zeros(len(self._names)), 0.0

    def add(self, batch: tf.Tensor) -> None:
        """Adds a batch: its objective, the terms, and the number of windows."""
        *values, count = batch.numpy().astype(float).tolist()
        self._totals += np.array(values[: len(self._names)]) * count
        self._count += count

    def means(self, prefix: str = "") -> dict[str, float]:
        return {prefix + name: float(total / self._count) for name, total in zip(self._names, self._totals, strict=True)}


class _Step:
    """A step of training and one of validation, compiled, over all replicas."""

    def __init__(self, trained: keras.Model, config: NetworkConfig, strategy: tf.distribute.Strategy) -> None:
        self._trained, self._strategy = trained, strategy
        self._losses, self._weights = losses_for(config)
        self.train = tf.function(self._train, autograph=False, reduce_retracing=True)
        self.validate = tf.function(self._validate, autograph=False, reduce_retracing=True)

    def _train(self, example: Any) -> tf.Tensor:
        """Updates the weights; returns the objective, its terms and the number of windows of the global batch."""
        return self._sum(self._strategy.run(self._train_replica, args=example))

    def _validate(self, example: Any) -> tf.Tensor:
        """Returns the objective, its terms and the number of windows of the global batch."""
        return self._sum(self._strategy.run(self._evaluate, args=(*example, False)))

    def _sum(self, values: Any) -> tf.Tensor:
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)

    def _train_replica(self, inputs: Any, targets: Any, weights: tf.Tensor) -> tf.Tensor:
        variables = self._trained.trainable_variables
        with tf.GradientTape() as tape:
            values = self._evaluate(inputs, targets, weights, True)
            objective = values[0]
        self._trained.optimizer.apply(tape.gradient(objective, variables), variables)
        return values

    def _evaluate(self, inputs: Any, targets: Any, weights: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns what a replica contributes to the objective, its terms and the number of windows.

        Keras divides losses by the number of replicas, and the weights account for the number of windows of each.
        """
        outputs = self._trained(inputs, training=training)
        terms = {name: loss(targets[name], outputs[name], weights) for name, loss in self._losses.items()}
        total = sum(self._weights[name] * term for name, term in terms.items())
        return ops.stack([total, *terms.values(), ops.cast(ops.count_nonzero(weights), total.dtype)])
