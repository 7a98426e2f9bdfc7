"""A plain port of the official AMSL graph to Keras 3, written from the facts: the reference for speed, and for what the
original's faults are worth. Each fault is an argument, on by default; with all of them off, and the same weights, this computes
what `amsl_tf.models.amsl` computes.

It is what a first port looks like: seven unrolled branches, a layer for each part, losses from Keras by their names.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from amsl_tf.views import VIEW_NAMES

NUM_SLOTS = 500
ENTROPY_WEIGHT = 0.0002
BATCH = 16
SHARED = "means of 16"  # the scores that the original gives to all windows of a batch
FIRST_MEMORIES_IN = ("scaled", "smoothed")  # views whose decoders the original feeds with the memories of view 0


class Memory(layers.Layer):
    """Attention over slots; adds its entropy to the objective.

    Args:
        slot_mean_entropy: The original's mean over slots in place of the paper's sum.
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
    """Multiplies by the sigmoid of a free scalar; the original's constant through dense and batch norm comes to the same."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.gate = self.add_weight(name="gate", shape=(), initializer="zeros")

    def call(self, read: Any) -> Any:
        return ops.sigmoid(self.gate) * read


def build_upstream(
    window_shape: tuple[int, int] = (125, 45), *, first_memories: bool = True, slot_mean_entropy: bool = True
) -> keras.Model:
    """The network, compiled with the objective.

    Args:
        window_shape: (T, C).
        first_memories: Fault: the decoders of the scaled and the smoothed view get the reads of the raw view.
        slot_mean_entropy: Fault: the entropy of a read is a mean over slots, 500 times weaker than in the paper.

    Returns:
        A model with an input (B, T, C) for each view by name, and for each view the outputs `reconstruction_VIEW` (B, T, C)
        and `class_VIEW` (B, R).
        Its objective is the product's, but for classes that are given less than 1e-7: Keras finds the logits behind these
        outputs and computes cross-entropies from them, where the product's probabilities are cut off.
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
        layers.Dense(len(VIEW_NAMES), activation="softmax", name="classifier_3"),
    ]
    global_memory = Memory(slot_mean_entropy, name="global_memory")
    inputs, outputs = {}, {}
    global_reads, local_reads = {}, {}
    for name in VIEW_NAMES:
        inputs[name] = keras.Input(window_shape, name=name)
        latent = _through([layers.Reshape((*window_shape, 1)), pad, *encoder], inputs[name])
        outputs[f"class_{name}"] = layers.Identity(name=f"class_{name}")(_through(classifier, latent))
        global_reads[name] = global_memory(latent)
        local_reads[name] = Memory(slot_mean_entropy, name=f"local_memory_{name}")(latent)
        source = VIEW_NAMES[0] if first_memories and name in FIRST_MEMORIES_IN else name
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
    """What the outputs of the network should be, given its inputs."""
    classes = np.eye(len(VIEW_NAMES), dtype=np.float32)
    count = len(next(iter(views.values())))
    return {
        **{f"reconstruction_{name}": view for name, view in views.items()},
        **{f"class_{name}": np.tile(classes[index], (count, 1)) for index, name in enumerate(VIEW_NAMES)},
    }


def set_weights(upstream: keras.Model, network: keras.Model) -> None:
    """Gives the port the weights of the product's network (all views, both memories)."""
    for part, convolutions in (("encoder", 2), *((f"decoder_{name}", 4) for name in VIEW_NAMES)):
        weights = network.get_layer(part).get_weights()
        for index in range(convolutions):
            upstream.get_layer(f"{part}_{index + 1}").set_weights(weights[2 * index : 2 * index + 2])
    weights = network.get_layer("view_classifier").get_weights()
    for index in range(3):
        upstream.get_layer(f"classifier_{index + 1}").set_weights(weights[2 * index : 2 * index + 2])
    for memory in [layer for layer in upstream.layers if isinstance(layer, Memory)]:  # those that are read
        memory.set_weights(network.get_layer(memory.name).get_weights())
    (gates,) = network.get_layer("fusion").get_weights()
    for kind, of_kind in zip(("local", "global"), gates, strict=True):
        for name, gate in zip(VIEW_NAMES, of_kind, strict=True):
            upstream.get_layer(f"{kind}_gate_{name}").set_weights([gate])


def fit_scaling(train: np.ndarray, test: np.ndarray, *, leaky: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Minimum and span of each (time, channel) cell of a view, (T, C) each.

    Args:
        train: (N, T, C), normal training windows.
        test: (M, T, C), all others, normal and abnormal.
        leaky: Fault: fitted on the test windows too.
    """
    fitted_on = [train, test] if leaky else [train]
    minimum = np.min([part.min(axis=0) for part in fitted_on], axis=0)
    span = np.max([part.max(axis=0) for part in fitted_on], axis=0) - minimum
    return minimum, np.where(span > 0, span, 1.0)


def scores(reconstructions: dict[str, np.ndarray], views: dict[str, np.ndarray], *, batch_means: bool = True) -> np.ndarray:
    """The sum over views of the mean squared errors, (N,).

    Args:
        reconstructions: (N, T, C) by name of the view.
        views: The same, as they went in.
        batch_means: Fault: every window gets the mean of the 16 that it stands among.
    """
    errors = sum(((reconstructions[name] - views[name]) ** 2).mean(axis=(1, 2)) for name in views)
    if batch_means:
        starts = np.arange(0, len(errors), BATCH)
        counts = np.diff([*starts, len(errors)])
        errors = np.repeat(np.add.reduceat(errors, starts) / counts, counts)
    return errors


def train_and_score(train: np.ndarray, test: np.ndarray, *, epochs: int, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The original's experiment with all of its faults: the weights of the last epoch, the scaling of all windows.

    Args:
        train: Normal windows (N, T, C).
        test: (M, T, C), normal windows in any order, then abnormal ones as the files have them.
        epochs: Passes over the first 80 % of the training windows.
        seed: Of the views and of the weights.

    Returns:
        Scores of training and test windows, `window by window` and as `means of 16`.
    """
    keras.utils.set_random_seed(seed)
    parts = {"train": _views(train, seed), "test": _views(test, seed + 1)}
    for name in VIEW_NAMES:
        minimum, span = fit_scaling(parts["train"][name], parts["test"][name])
        for part in parts.values():
            part[name] = (part[name] - minimum) / span
    model = build_upstream(train.shape[1:])
    model.fit(parts["train"], targets(parts["train"]), batch_size=BATCH, epochs=epochs, validation_split=0.2, verbose=2)
    made = {part: model.predict(views, batch_size=BATCH, verbose=0) for part, views in parts.items()}
    reconstructions = {part: {name: made[part][f"reconstruction_{name}"] for name in VIEW_NAMES} for part in parts}
    by_batch = {"window by window": False, SHARED: True}
    return {
        title: (
            scores(reconstructions["train"], parts["train"], batch_means=batch_means),
            scores(reconstructions["test"], parts["test"], batch_means=batch_means),
        )
        for title, batch_means in by_batch.items()
    }


def _views(x: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The seven views of windows by name, each with a draw of its own."""
    from amsl_tf.data.pipeline import RawWindows, view_batches  # late: TensorFlow, which the graph does not need

    made = np.concatenate(list(view_batches(RawWindows(x, VIEW_NAMES, seed), np.arange(len(x)))))
    return {name: made[:, index] for index, name in enumerate(VIEW_NAMES)}


def _through(parts: list[Any], tensor: Any) -> Any:
    for part in parts:
        tensor = part(tensor)
    return tensor
