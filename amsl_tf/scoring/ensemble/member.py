"""The base class of members of the ensemble."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from amsl_tf.scoring.attribution import ALL_SENSORS


class Member(ABC):
    """Features of windows, by which the ensemble finds the nearest normal windows. Subclass it and register it in `MEMBERS`.

    A member is made of TensorFlow operations, so that it becomes part of an exported model. Windows are those of
    `ChannelScaling`: mean 0 and standard deviation 1 in each sensor, over the normal windows.
    """

    @abstractmethod
    def describe(self, windows: tf.Tensor) -> tf.Tensor:
        """Computes the features of windows.

        Args:
            windows: float32 (B, T, S), scaled.

        Returns:
            float32 (B, D), D at least 1. The features of a window depend on it alone.
        """

    def prepare(self, windows: np.ndarray, seed: int) -> None:  # noqa: B027, most members have nothing to prepare
        """Sets what `describe` needs, from normal windows.

        Args:
            windows: float32 (N, T, S), scaled.
            seed: The seed of everything random.
        """

    def sensors(self, features: int, sensors: int) -> np.ndarray:
        """Returns which sensor each feature describes, for explanations and to leave out dead sensors.

        Args:
            features: D, the number of features.
            sensors: S, the number of sensors.

        Returns:
            int32 (D,), indices from 0, or `ALL_SENSORS`, the default: such features are never left out.
        """
        return np.full(features, ALL_SENSORS, np.int32)

    def divide_by_time(self, windows: tf.Tensor, parts: tf.Tensor, slopes: tf.Tensor) -> tf.Tensor:
        """Divides what the features add to squared distances among the time steps, for explanations; by default equally.

        Args:
            windows: float32 (B, T, S), scaled.
            parts: float32 (B, D), what each feature adds to the squared distance of a window to the nearest ones.
            slopes: float32 (B, D), the parts divided by the differences of the features to those of the nearest windows.

        Returns:
            float32 (B, T), with the same sum over each row as the parts.
        """
        steps = windows.shape[1]
        return tf.repeat(tf.reduce_sum(parts, axis=1, keepdims=True) / steps, steps, axis=1)

    def constants(self) -> dict[str, np.ndarray]:
        """Returns what `prepare` has set, as arrays of numbers by name; empty for most members."""
        return {}

    def restore(self, constants: Mapping[str, Any]) -> None:  # noqa: B027, see constants
        """Sets the result of `constants`, as arrays or TensorFlow variables by name."""
