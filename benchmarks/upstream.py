"""A plain port of the official AMSL graph to Keras 3: the reference for speed and for the effect of the faults of the original.

Each fault is an argument, on by default. Without the faults and with the same weights it computes the same as
`amsl_tf.networks.amsl`. It is a straightforward port: seven unrolled branches, a layer for each part, losses of Keras by name.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from amsl_tf.views import PAPER_VIEWS

NUM_SLOTS = 500
ENTROPY_WEIGHT = 0.0002
BATCH = 16
BATCH_MEANS = "means of 16"  # the score of the original, shared by all windows of a batch
FIRST_MEMORIES_IN = ("scaled", "smoothed")  # views whose decoders get the reads of the first view in the original


class Memory(layers.Layer):
    """Replaces queries (..., F) by softmax attention over slots, and adds the entropy of the attention to the loss.

    Args:
        slot_mean_entropy: Whether the entropy is the mean over slots, as in the original, instead of the sum of the paper.
    """

    def __init__(self, slot_mean_entropy: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.slot_mean_entropy = slot_mean_entropy

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        limit = NUM_SLOTS**-0.5
        self.slots = self.add_weight(
            name="slots", shape=(NUM_SLOTS, input_shape[-1]), initializer=keras.initializers.RandomUniform(-limit, limit)
        )

    def call(self, queries: Any) -> Any:
        weights = ops.softmax(ops.matmul(queries, ops.transpose(self.slots)))
        terms = -weights * ops.log(weights + 1e-30)
        reduce = ops.mean if self.slot_mean_entropy else ops.sum
        self.add_loss(ENTROPY_WEIGHT * ops.mean(reduce(terms, axis=-1)))
        return ops.matmul(weights, self.slots)


class Gate(layers.Layer):
    """Multiplies by the sigmoid of a learned scalar, like the constant, dense layer and batch normalisation of the original."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.gate = self.add_weight(name="gate", shape=(), initializer="zeros")

    def call(self, read: Any) -> Any:
        return ops.sigmoid(self.gate) * read


def build_upstream(
    window_shape: tuple[int, int] = (125, 45), *, first_memories: bool = True, slot_mean_entropy: bool = True
) -> keras.Model:
    """Builds the network and compiles it with the objective.

    Args:
        window_shape: (T, C) of the windows.
        first_memories: Fault: the decoders of the scaled and the smoothed view get the reads of the raw view.
        slot_mean_entropy: Fault: the entropy of a read is the mean over slots, 500 times smaller than in the paper.

    Returns:
        A model with an input (B, T, C) for each view by name, and for each view the outputs `reconstruction_VIEW` (B, T, C)
        and `class_VIEW` (B, R). Its objective is that of amsl_tf, except for class probabilities below 1e-7: here Keras
        computes cross-entropies from the logits of these outputs, while it clips the probabilities of amsl_tf.
    """
    rows, columns = -window_shape[0] % 4, -window_shape[1] % 4
    pad = layers.ZeroPadding2D(((rows, 0), (columns, 0)))
    encoder = [
        layers.Conv2D(32, 4, padding="same", activation="relu", name="encoder_1"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 4, padding="same", activation="relu", name="encoder_2"),
        layers.MaxPooling2D(2),
    ]
    classifier = [
        layers.Conv2D(1, 4, padding="same", activation="sigmoid", name="classifier_1"),
        layers.Flatten(),
        layers.Dense(128, activation="relu", name="classifier_2"),
        layers.Dropout(0.5),
        layers.Dense(len(PAPER_VIEWS), activation="softmax", name="classifier_3"),
    ]
    global_memory = Memory(slot_mean_entropy, name="global_memory")
    inputs, outputs = {}, {}
    global_reads, local_reads = {}, {}
    for name in PAPER_VIEWS:
        inputs[name] = keras.Input(window_shape, name=name)
        latent = _through([layers.Reshape((*window_shape, 1)), pad, *encoder], inputs[name])
        outputs[f"class_{name}"] = layers.Identity(name=f"class_{name}")(_through(classifier, latent))
        global_reads[name] = global_memory(latent)
        local_reads[name] = Memory(slot_mean_entropy, name=f"local_memory_{name}")(latent)
        source = PAPER_VIEWS[0] if first_memories and name in FIRST_MEMORIES_IN else name
        fused = layers.Add()(
            [
                Gate(name=f"local_gate_{name}")(local_reads[source]),
                Gate(name=f"global_gate_{name}")(global_reads[source]),
            ]
        )
        decoder = [
            layers.Conv2DTranspose(128, 4, padding="same", activation="relu", name=f"decoder_{name}_1"),
            layers.Conv2DTranspose(64, 4, 2, padding="same", activation="relu", name=f"decoder_{name}_2"),
            layers.Conv2DTranspose(32, 4, 2, padding="same", activation="relu", name=f"decoder_{name}_3"),
            layers.Conv2DTranspose(1, 4, padding="same", activation="sigmoid", name=f"decoder_{name}_4"),
            layers.Cropping2D(((rows, 0), (columns, 0))),
            layers.Reshape(window_shape, name=f"reconstruction_{name}"),
        ]
        outputs[f"reconstruction_{name}"] = _through(decoder, layers.Concatenate()([latent, fused]))
    model = keras.Model(inputs, outputs, name="upstream")
    model.compile(
        keras.optimizers.Adam(1e-3),
        loss={name: "mse" if name.startswith("reconstruction") else "categorical_crossentropy" for name in outputs},
    )
    return model


def targets(views: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the targets of the outputs of the network, given its inputs (N, T, C) by name."""
    classes = np.eye(len(PAPER_VIEWS), dtype=np.float32)
    count = len(next(iter(views.values())))
    return {
        **{f"reconstruction_{name}": view for name, view in views.items()},
        **{f"class_{name}": np.tile(classes[index], (count, 1)) for index, name in enumerate(PAPER_VIEWS)},
    }


def set_weights(upstream: keras.Model, network: keras.Model) -> None:
    """Copies the weights of a network of amsl_tf with all views and both memories to the port."""
    for part, convolutions in (("encoder", 2), *((f"decoder_{name}", 4) for name in PAPER_VIEWS)):
        weights = network.get_layer(part).get_weights()
        for index in range(convolutions):
            upstream.get_layer(f"{part}_{index + 1}").set_weights(weights[2 * index : 2 * index + 2])
    weights = network.get_layer("view_classifier").get_weights()
    for index in range(3):
        upstream.get_layer(f"classifier_{index + 1}").set_weights(weights[2 * index : 2 * index + 2])
    for memory in [layer for layer in upstream.layers if isinstance(layer, Memory)]:  # faults leave some unused
        memory.set_weights(network.get_layer(memory.name).get_weights())
    (gates,) = network.get_layer("fusion").get_weights()
    for kind, values in zip(("local", "global"), gates, strict=True):
        for name, gate in zip(PAPER_VIEWS, values, strict=True):
            upstream.get_layer(f"{kind}_gate_{name}").set_weights([gate])


def fit_scaling(train: np.ndarray, test: np.ndarray, *, leaky: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Fits the min-max scaling of a view; returns the minimum and the span of each (time, channel) cell, (T, C) each.

    Args:
        train: (N, T, C), normal training windows.
        test: (M, T, C), normal and abnormal test windows.
        leaky: Fault: the scaling is fitted to the test windows too.
    """
    fitted_on = [train, test] if leaky else [train]
    minimum = np.min([part.min(axis=0) for part in fitted_on], axis=0)
    span = np.max([part.max(axis=0) for part in fitted_on], axis=0) - minimum
    return minimum, np.where(span > 0, span, 1.0)


def scores(reconstructions: dict[str, np.ndarray], views: dict[str, np.ndarray], *, batch_means: bool = True) -> np.ndarray:
    """Computes the sum over views of the mean squared errors, (N,).

    Args:
        reconstructions: (N, T, C) by name of the view.
        views: The inputs, in the same form.
        batch_means: Fault: the score of a window is the mean over its batch of 16.
    """
    errors = sum(((reconstructions[name] - views[name]) ** 2).mean(axis=(1, 2)) for name in views)
    if batch_means:
        starts = np.arange(0, len(errors), BATCH)
        counts = np.diff([*starts, len(errors)])
        errors = np.repeat(np.add.reduceat(errors, starts) / counts, counts)
    return errors


def train_and_score(train: np.ndarray, test: np.ndarray, *, epochs: int, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Runs the experiment of the original with all of its faults, which include the weights of the last epoch.

    Args:
        train: (N, T, C), normal training windows.
        test: (M, T, C), normal test windows in any order, then abnormal ones in the order of the files.
        epochs: The number of passes over the first 80 % of the training windows.
        seed: The seed of the views and of the initial weights.

    Returns:
        The scores of training and test windows under the names `window by window` and `means of 16`.
    """
    keras.utils.set_random_seed(seed)
    parts = {"train": _views(train, seed), "test": _views(test, seed + 1)}
    for name in PAPER_VIEWS:
        minimum, span = fit_scaling(parts["train"][name], parts["test"][name])
        for part in parts.values():
            part[name] = (part[name] - minimum) / span
    model = build_upstream(train.shape[1:])
    model.fit(parts["train"], targets(parts["train"]), batch_size=BATCH, epochs=epochs, validation_split=0.2, verbose=2)
    outputs = {part: model.predict(views, batch_size=BATCH, verbose=0) for part, views in parts.items()}
    reconstructions = {part: {name: outputs[part][f"reconstruction_{name}"] for name in PAPER_VIEWS} for part in parts}
    variants = {"window by window": False, BATCH_MEANS: True}
    return {
        title: (
            scores(reconstructions["train"], parts["train"], batch_means=batch_means),
            scores(reconstructions["test"], parts["test"], batch_means=batch_means),
        )
        for title, batch_means in variants.items()
    }


def _views(x: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Makes the seven views of windows by name, with a random draw for each window."""
    from amsl_tf.views.sources import RawWindows, view_batches  # imports TensorFlow, which the graph does not need

    views = np.concatenate(list(view_batches(RawWindows(x, PAPER_VIEWS, seed), np.arange(len(x)))))
    return {name: views[:, index] for index, name in enumerate(PAPER_VIEWS)}


def _through(parts: list[Any], tensor: Any) -> Any:
    for part in parts:
        tensor = part(tensor)
    return tensor
