"""The one way from raw windows to scores: views, scaling, network and scorers in one graph."""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, cast

import keras
import numpy as np
import tensorflow as tf

from amsl_tf import progress
from amsl_tf.config import DetectorConfig
from amsl_tf.data.windows import chunks
from amsl_tf.layers import MinMaxScaling
from amsl_tf.scoring.base import Outputs, Scorer
from amsl_tf.scoring.nearest_normal import NearestNormal
from amsl_tf.scoring.signal import describe_signal
from amsl_tf.transforms import Draw, make_views
from amsl_tf.views import split_views

BATCH = 64
SCORE = "score."  # before the name of a scorer
NEAREST = "nearest"
LIMIT = 1e15  # of scaled values: squares of it, and what the network makes of it, stay finite in float32


class Explanation(NamedTuple):
    """Where the error of N windows lies.

    Attributes:
        channel_error: float32 (N, C), squared error in scaled units, averaged over time, summed over views.
        view_error: float32 (N, R), averaged over time and channels.
        time_error: float32 (N, T), averaged over channels, summed over views.
        reconstruction: float32 (N, R, T, C), what the decoders made of each view, in the units of the windows.
    """

    channel_error: np.ndarray
    view_error: np.ndarray
    time_error: np.ndarray
    reconstruction: np.ndarray


class ScoringPath:
    """Runs raw windows through the views with one fixed draw, the scaling, the network and the scorers.

    Each window is computed alone: what stands beside it in a batch changes nothing but the last digits.

    Args:
        network: As `build_network` makes it.
        scaling: Fitted.
        draw: The fixed draw, with B = 1.
        config: Of the detector.
        window_shape: (T, C).
        scorers: Fitted, by name; none while there is nothing yet to fit them to.
    """

    def __init__(
        self,
        network: keras.Model,
        scaling: MinMaxScaling,
        draw: Draw,
        config: DetectorConfig,
        window_shape: tuple[int, int],
        scorers: Mapping[str, Scorer] | None = None,
    ) -> None:
        self.network, self.scaling, self.draw, self.scorers = network, scaling, draw, dict(scorers or {})
        self.config, self.shape = config, window_shape
        self.signature = tf.TensorSpec((None, *window_shape), tf.float32, name="windows")
        self._compiled: dict[tuple[str, ...], Callable[[tf.Tensor], dict[str, tf.Tensor]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_compiled": {}}  # graphs cannot be copied or pickled, and are made again

    def run(self, x: np.ndarray, wanted: tuple[str, ...]) -> Iterator[dict[str, np.ndarray]]:
        """Yields what is `wanted` of windows (N, T, C), `BATCH` at a time, as arrays by name.

        Memory does not grow with N.

        Args:
            x: The windows, possibly memory-mapped.
            wanted: Names that `compute` knows.
        """
        if wanted not in self._compiled:
            # a partial, as TensorFlow takes graphs of the same code for one that is traced over and over, and warns
            function = partial(self.compute, wanted=wanted)
            self._compiled[wanted] = tf.function(function, input_signature=[self.signature], autograph=False)
        compute = self._compiled[wanted]
        with progress.bar(len(x), "scoring", "windows") as bar:
            for _, batch in chunks(x, BATCH):
                yield {name: value.numpy() for name, value in compute(tf.convert_to_tensor(batch)).items()}
                bar.update(len(batch))

    def compute(self, windows: tf.Tensor, wanted: Collection[str]) -> dict[str, tf.Tensor]:
        """What is wanted of windows (B, T, C), float32 by name unless told. A compiled function computes nothing else.

        Args:
            windows: Finite, within `LARGEST` of 0.
            wanted: Some of `score.NAME` (B,), of the scorer of that name; what an `Explanation` and what `Outputs` have;
                `right_view` (B,): the summed probability of the right view; `entropy` (B,): the summed entropy of the reads.
                The last two come only from a network with self-supervision or with memory, and are left out otherwise;
                `nearest` (B,): the position of the nearest training window, int64.
        """
        scaled = tf.clip_by_value(self.scaling(make_views(windows, self.draw, self.config.model.views)), -LIMIT, LIMIT)
        outputs = self.network(split_views(scaled, self.config.model.views), training=False)
        squared = tf.square(outputs["reconstruction"] - scaled)
        seen = Outputs(tf.reduce_mean(squared, axis=2), outputs["latent"], describe_signal(windows, self.config.axes))
        made = {
            **seen._asdict(),
            "channel_error": tf.reduce_sum(seen.error, axis=1),
            "view_error": tf.reduce_mean(seen.error, axis=2),
            "time_error": tf.reduce_sum(tf.reduce_mean(squared, axis=3), axis=1),
            "reconstruction": self.scaling.inverse(outputs["reconstruction"]),
        }
        if "view_probabilities" in outputs:
            made["right_view"] = tf.linalg.trace(outputs["view_probabilities"])
        if "memory_entropy" in outputs:
            made["entropy"] = outputs["memory_entropy"]
        made |= {SCORE + name: scorer.score(seen) for name, scorer in self.scorers.items() if SCORE + name in wanted}
        if NEAREST in wanted:
            made[NEAREST] = cast(NearestNormal, self.scorers["nearest_normal"]).nearest(seen)
        return {name: value for name, value in made.items() if name in wanted}
