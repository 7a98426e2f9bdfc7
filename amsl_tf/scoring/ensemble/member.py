"""The base class of members of the ensemble."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf


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

    def constants(self) -> dict[str, np.ndarray]:
        """Returns what `prepare` has set, as arrays of numbers by name; empty for most members."""
        return {}

    def restore(self, constants: Mapping[str, Any]) -> None:  # noqa: B027, see constants
        """Sets the result of `constants`, as arrays or TensorFlow variables by name."""
