"""The member `kernels`: the shape of the signal of each sensor, by random convolutions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from amsl_tf.scoring.ensemble.member import Member

KERNELS = 250  # of all dilations together
LENGTH = 9  # the length of a kernel, the only one of MiniRocket
DILATIONS = (1, 2, 4, 8, 12)  # those whose kernels fit into a window are used
LEVELS = (0.25, 0.5, 0.75)  # quantiles of the outputs over normal windows: the biases
MARGIN = 1e-3  # added to biases: the output of a sensor at rest is often a bias, and rounding must not put it above
FLOOR = 1e-2  # added to the variances of outputs, whose kernels have norm 1: less is noise
SAMPLE = 300  # windows that the biases come from


class Kernels(Member):
    """Random kernels of one sensor each: how often their output is above biases, and the logarithm of its variance.

    Reference:
        Dempster et al., ROCKET: exceptionally fast and accurate time series classification using random convolutional kernels,
        DMKD 2020; MiniRocket, KDD 2021, of which the features are the shares of outputs above quantiles of outputs. Here the
        kernels are random, as those of ROCKET, and there is the variance besides.
    """

    def prepare(self, windows: np.ndarray, seed: int) -> None:
        """Draws the kernels and computes the biases; see `Member.prepare`."""
        random, (steps, sensors) = np.random.default_rng(seed), windows.shape[1:]
        used = [dilation for dilation in DILATIONS if dilation * (LENGTH - 1) < steps]
        count = KERNELS // len(used)
        self._weights = np.zeros((len(used), LENGTH, sensors, count), np.float32)
        for weights in self._weights:
            drawn = random.normal(size=(LENGTH, count))
            weights[:, random.integers(sensors, size=count), np.arange(count)] = drawn / np.linalg.norm(drawn, axis=0)
        sample = windows[np.linspace(0, len(windows) - 1, min(SAMPLE, len(windows))).astype(int)]
        outputs = [output.numpy().reshape(-1, count) for output in self._convolve(tf.convert_to_tensor(sample))]
        biases = np.stack([np.quantile(values, LEVELS, axis=0) for values in outputs])
        self._biases = (biases + MARGIN).astype(np.float32)

    def describe(self, windows: tf.Tensor) -> tf.Tensor:
        """Computes three shares and a logarithm for each kernel, float32 (B, 4 * K)."""
        shares, variances = [], []
        for place, output in enumerate(self._convolve(windows)):
            for level in range(len(LEVELS)):
                is_above = tf.cast(output > self._biases[place, level], tf.float32)
                shares.append(tf.reduce_mean(is_above, axis=1))
            variances.append(tf.math.reduce_variance(output, axis=1))
        return tf.concat([*shares, tf.math.log(tf.concat(variances, axis=1) + FLOOR)], axis=1)

    def sensors(self, features: int, sensors: int) -> np.ndarray:
        """Returns the sensor that each kernel reads, for its shares and its variance."""
        read = np.abs(self._weights).sum(axis=1).argmax(axis=1).astype(np.int32)  # (dilations, K)
        return np.concatenate([np.repeat(read, len(LEVELS), axis=0).ravel(), read.ravel()])

    def divide_by_time(self, windows: tf.Tensor, parts: tf.Tensor, slopes: tf.Tensor) -> tf.Tensor:
        """Divides the part of a share or a variance by the outputs at each time step; logarithms are linearised.

        A share is the mean over time of outputs above a bias, a variance that of squares. An output counts for the time step in
        the middle of its kernel.
        """
        steps, count = windows.shape[1], self._weights.shape[3]
        by_kernel = tf.reshape(slopes, (-1, slopes.shape[1] // count, count))
        of_shares, of_variances = by_kernel[:, : -self._weights.shape[0]], by_kernel[:, -self._weights.shape[0] :]
        total = super().divide_by_time(windows, parts, slopes)
        for place, output in enumerate(self._convolve(windows)):
            mean, variance = (values[:, None] for values in tf.nn.moments(output, axes=1))
            local = (tf.square(output - mean) - variance) / (variance + FLOOR) * of_variances[:, None, place]
            for level in range(len(LEVELS)):
                is_above = tf.cast(output > self._biases[place, level], tf.float32)
                difference = is_above - tf.reduce_mean(is_above, axis=1, keepdims=True)
                local += difference * of_shares[:, None, place * len(LEVELS) + level]
            length = output.shape[1]
            before = (steps - length) // 2
            total += tf.pad(tf.reduce_sum(local, axis=2) / length, [(0, 0), (before, steps - length - before)])
        return total

    def constants(self) -> dict[str, np.ndarray]:
        """Returns the weights, float32 (dilations, LENGTH, S, K), and the biases, float32 (dilations, 3, K)."""
        return {"weights": self._weights, "biases": self._biases}

    def restore(self, constants: Mapping[str, Any]) -> None:
        """Sets the weights and the biases."""
        self._weights, self._biases = constants["weights"], constants["biases"]

    def _convolve(self, windows: tf.Tensor) -> list[tf.Tensor]:
        """Returns the outputs (B, T - dilation * (LENGTH - 1), K) of each dilation, without padding."""
        places = range(self._weights.shape[0])
        return [tf.nn.convolution(windows, self._weights[place], dilations=[DILATIONS[place]]) for place in places]
