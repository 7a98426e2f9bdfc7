"""The layers that Keras does not have. They use `keras.ops` only and run on every Keras backend."""

from amsl_tf.layers.fusion import AdaptiveFusion
from amsl_tf.layers.memory import Memory
from amsl_tf.layers.scaling import MinMaxScaling

__all__ = ["AdaptiveFusion", "Memory", "MinMaxScaling"]
