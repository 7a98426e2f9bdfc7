"""The one way from raw windows to what scores are made of: views, scaling and network in one graph."""

from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from amsl_tf.config import DetectorConfig
from amsl_tf.data.windows import chunks
from amsl_tf.layers import MinMaxScaling
from amsl_tf.scoring.signal import describe_signal
from amsl_tf.transforms import Draw, make_views
from amsl_tf.views import split_views

BATCH = 64
LIMIT = 1e15  # of scaled values: squares of it, and what the network makes of it, stay finite in float32


class ScoringPath:
    """Runs raw windows through the views with one fixed draw, the scaling and the network.

    Each window is computed alone: what stands beside it in a batch changes nothing but the last digits.

    Args:
        network: As `build_amsl` makes it.
        scaling: Fitted.
        draw: The fixed draw, with B = 1.
        config: Of the detector.
        window_shape: (T, C).
    """

    def __init__(
        self,
        network: keras.Model,
        scaling: MinMaxScaling,
        draw: Draw,
        config: DetectorConfig,
        window_shape: tuple[int, int],
    ) -> None:
        self.network, self.scaling, self.draw = network, scaling, draw
        self._views, self._axes = config.model.views, config.axes
        self._signature = [tf.TensorSpec((None, *window_shape), tf.float32)]
        self._compiled: dict[tuple[str, ...], Callable[[tf.Tensor], dict[str, tf.Tensor]]] = {}

    def run(self, x: np.ndarray, wanted: tuple[str, ...]) -> Iterator[dict[str, np.ndarray]]:
        """Yields what the network makes of windows (N, T, C), `BATCH` at a time, as float32 arrays by name.

        Memory does not grow with N, and what is not wanted is not computed.

        Args:
            x: The windows, possibly memory-mapped.
            wanted: Some of `error` (B, R, C): squared error averaged over time; `time_error` (B, R, T): averaged over channels;
                `latent` (B, R, F); `signal` (B, D), of the windows themselves; `reconstruction` (B, R, T, C), in the
                units of the views; `right_view` (B,): the summed probability of the right view; `entropy` (B,): the summed
                entropy of the reads. The last two come only from a network with self-supervision or with memory.
        """
        if wanted not in self._compiled:
            self._compiled[wanted] = tf.function(
                lambda windows: {name: value for name, value in self._graph(windows).items() if name in wanted},
                input_signature=self._signature,
                autograph=False,
            )
        compute = self._compiled[wanted]
        with tqdm(total=len(x), desc="scoring", unit=" windows", delay=2, disable=None) as bar:
            for _, batch in chunks(x, BATCH):
                yield {name: value.numpy() for name, value in compute(tf.convert_to_tensor(batch)).items()}
                bar.update(len(batch))

    def _graph(self, windows: tf.Tensor) -> dict[str, tf.Tensor]:
        """Everything; a compiled function keeps only the operations that its results depend on."""
        scaled = tf.clip_by_value(self.scaling(make_views(windows, self.draw, self._views)), -LIMIT, LIMIT)
        outputs = self.network(split_views(scaled, self._views), training=False)
        squared = tf.square(outputs["reconstruction"] - scaled)
        made = {
            "error": tf.reduce_mean(squared, axis=2),
            "time_error": tf.reduce_mean(squared, axis=3),
            "latent": outputs["latent"],
            "signal": describe_signal(windows, self._axes),
            "reconstruction": self.scaling.inverse(outputs["reconstruction"]),
        }
        if "view_probabilities" in outputs:
            made["right_view"] = tf.linalg.trace(outputs["view_probabilities"])
        if "memory_entropy" in outputs:
            made["entropy"] = outputs["memory_entropy"]
        return made
