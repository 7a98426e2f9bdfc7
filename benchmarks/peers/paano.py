"""PaAno (Park and Kang, ICLR 2026): nearest neighbours of patches, embedded by a small CNN with a triplet loss.

A patch has 96 time steps, or those of a window if it is shorter, and each of its channels is standardised by itself. Four
convolutions (128, 256, 128 and 64 filters, lengths 7, 5, 3 and 3) with batch normalisation, and the mean over time, embed it in
64 numbers. In training two dense layers (256 units) project the embedding. The triplet loss (margin 0.5, cosine distances)
pulls a patch towards one that starts at most 2 steps apart, and away from the farthest of the batch. In the first tenth of the
iterations a dense layer also learns, as a pretext task, whether a patch immediately precedes another or is one of 5 random
ones; the weight of this loss falls from 1 to 0. AdamW runs for 200 iterations; its learning rate falls from 0.0001 to a tenth
along a cosine. A memory bank keeps a tenth of the training patches, at least 500, those nearest to centres of k-means. The
score of a patch is its mean cosine distance to the 3 nearest in the bank, that of a time step the mean over the patches that
cover it.

The full text of the paper was not available: the method follows its abstract, summaries of it and the authors' code, with
the settings of that code for multivariate series. Differences, for two processor cores: batches of 32 patches instead of
512, a bank from at most 10,000 patches, and a patch scored every 12 time steps instead of every step. The last weights are
kept, not those with the smallest loss of a batch.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from sklearn.cluster import MiniBatchKMeans
from sklearn.neighbors import NearestNeighbors

from benchmarks.peers.adaptors import MAX_ITEMS, OVERLAPS, SlidingWindows, score_steps
from benchmarks.peers.interface import ItemScore, Score

PATCH = 96  # time steps
FILTERS, KERNELS = (128, 256, 128, 64), (7, 5, 3, 3)
UNITS = 256  # of the projection
ITERATIONS = 200
PRETEXT_SHARE = 0.1  # of the iterations
BATCH_SIZE = 32
LEARNING_RATE, WEIGHT_DECAY = 1e-4, 1e-4
RADIUS = 2  # time steps between a patch and a similar one
MARGIN = 0.5
RANDOM_PAIRS = 5  # pairs of unrelated patches for each patch
BANK_SHARE, MIN_BANK = 0.1, 500
NEIGHBOURS = 3


def build(patch: int, channels: int) -> keras.Model:
    """Builds the encoder, patches (B, patch, C) to embeddings (B, 64)."""
    patches = keras.Input((patch, channels))
    x = patches - ops.mean(patches, axis=1, keepdims=True)
    x = x / ops.sqrt(ops.mean(ops.square(x), axis=1, keepdims=True) + 1e-5)
    for filters, kernel in zip(FILTERS, KERNELS, strict=True):
        x = layers.Conv1D(filters, kernel, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    return keras.Model(patches, layers.GlobalAveragePooling1D()(x))


def fit(recordings: Sequence[np.ndarray], window: int, seed: int) -> Score:
    """See `interface.Fit`."""
    patch = min(PATCH, window)
    patches = SlidingWindows(recordings, patch, 1)
    encoder = train(patches, patch, seed)
    score = fit_bank(encoder, patches.sample(MAX_ITEMS), seed)
    return lambda others: score_steps(score, others, patch, stride=max(1, patch // OVERLAPS), covered=patch)


def train(patches: SlidingWindows, patch: int, seed: int) -> keras.Model:
    """Trains an encoder on all patches of recordings, cut with a stride of 1."""
    keras.utils.set_random_seed(seed)
    generator = np.random.default_rng(seed)
    encoder = build(patch, patches[:1].shape[2])
    projection = keras.Sequential([keras.Input((FILTERS[-1],)), layers.Dense(UNITS, activation="relu"), layers.Dense(UNITS)])
    classifier = keras.Sequential([keras.Input((2 * FILTERS[-1],)), layers.Dense(1)])
    variables = [*encoder.trainable_variables, *projection.trainable_variables, *classifier.trainable_variables]
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, ITERATIONS, alpha=0.1)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY)
    optimizer.build(variables)

    @tf.function(autograph=False)
    def step(batch: Any, weight: Any, is_previous: Any, others: Any, pretext: bool) -> None:
        """Makes a training step; the batch is anchors, similar patches and, with the pretext task, previous patches."""
        with tf.GradientTape() as tape:
            parts = ops.split(encoder(batch, training=True), 3 if pretext else 2)
            loss = triplet_loss(projection(parts[0]), projection(parts[1]))
            if pretext:
                previous = classifier(ops.concatenate([parts[0], parts[2]], axis=1))[:, 0]
                anchors = ops.repeat(parts[0], RANDOM_PAIRS, axis=0)
                unrelated = classifier(ops.concatenate([anchors, ops.take(parts[0], others, axis=0)], axis=1))
                # cross-entropies; a patch at the start of a recording has no previous one
                previous_loss = ops.sum(is_previous * ops.softplus(-previous)) / ops.maximum(ops.sum(is_previous), 1.0)
                loss += weight * (previous_loss + ops.mean(ops.softplus(unrelated)))
        values = [variable.value for variable in variables]
        gradients = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        optimizer.apply(gradients, variables)

    for iteration in range(1, ITERATIONS + 1):
        weight = max(0.0, 1 - iteration / (PRETEXT_SHARE * ITERATIONS))
        anchors = generator.choice(len(patches), BATCH_SIZE, replace=len(patches) < BATCH_SIZE)
        places = [anchors, similar(patches.recording, anchors, generator)]
        previous = np.maximum(anchors - patch, 0)
        is_previous = (anchors >= patch) & (patches.recording[previous] == patches.recording[anchors])
        offsets = generator.integers(1, BATCH_SIZE, BATCH_SIZE * RANDOM_PAIRS)
        others = (np.repeat(np.arange(BATCH_SIZE), RANDOM_PAIRS) + offsets) % BATCH_SIZE
        if weight:
            places.append(previous)
        batch = patches[np.concatenate(places)]
        step(batch, np.float32(weight), is_previous.astype(np.float32), others, pretext=weight > 0)
    return encoder


def similar(recording: np.ndarray, anchors: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draws for each anchor a patch of the same recording that starts 1 or 2 steps apart; the anchor itself if there is none.

    Args:
        recording: int (N,), the recording of each patch.
        anchors: int (B,), places of patches.
        generator: The generator.
    """
    candidates = anchors[:, None] + [offset for offset in range(-RADIUS, RADIUS + 1) if offset]
    inside = np.clip(candidates, 0, len(recording) - 1)
    is_valid = (inside == candidates) & (recording[inside] == recording[anchors][:, None])
    drawn = np.where(is_valid, generator.random(candidates.shape), -1.0).argmax(axis=1)
    rows = np.arange(len(anchors))
    chosen: np.ndarray = np.where(is_valid[rows, drawn], inside[rows, drawn], anchors)
    return chosen


def triplet_loss(anchors: Any, positives: Any) -> Any:
    """Computes the loss of projected anchors and similar patches (B, 256); the farthest patch of the batch is the negative."""
    distances = 1 - ops.matmul(ops.normalize(anchors, axis=-1), ops.transpose(ops.normalize(positives, axis=-1)))
    others = distances - 10.0 * ops.eye(distances.shape[0])  # distances are at most 2
    return ops.mean(ops.relu(ops.diagonal(distances) - ops.max(others, axis=1) + MARGIN))


def fit_bank(encoder: keras.Model, normal: np.ndarray, seed: int) -> ItemScore:
    """Fits the score of patches (M, patch, C) to normal ones."""

    def embed(patches: np.ndarray) -> np.ndarray:
        embedded: np.ndarray = encoder.predict(patches, batch_size=500, verbose=0)
        return embedded / np.maximum(np.linalg.norm(embedded, axis=1, keepdims=True), 1e-12)

    embedded = embed(normal)
    count = max(MIN_BANK, round(BANK_SHARE * len(embedded)))
    if count < len(embedded):
        means = MiniBatchKMeans(count, batch_size=8192, max_iter=50, n_init=1, random_state=seed).fit(embedded)
        nearest = NearestNeighbors(n_neighbors=1).fit(embedded).kneighbors(means.cluster_centers_, return_distance=False)
        embedded = embedded[np.unique(nearest)]
    search = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(embedded)), algorithm="brute").fit(embedded)
    # of unit vectors the squared distance is twice the cosine distance
    return lambda patches: np.square(search.kneighbors(embed(patches))[0]).mean(axis=1) / 2
