"""The layers that Keras does not have. They use `keras.ops` only and run on every Keras backend."""

from amsl_tf.layers.bias import Bias
from amsl_tf.layers.forgetting_memory import ForgettingMemory
from amsl_tf.layers.fusion import AdaptiveFusion
from amsl_tf.layers.memory import Memory
from amsl_tf.layers.prototype_memory import PrototypeMemory
from amsl_tf.layers.scaling import MinMaxScaling
from amsl_tf.layers.shrinkage_memory import ShrinkageMemory
from amsl_tf.layers.softmax_memory import SoftmaxMemory
from amsl_tf.layers.twin_memory import TwinMemory

__all__ = [
    "AdaptiveFusion",
    "Bias",
    "ForgettingMemory",
    "Memory",
    "MinMaxScaling",
    "PrototypeMemory",
    "ShrinkageMemory",
    "SoftmaxMemory",
    "TwinMemory",
]
