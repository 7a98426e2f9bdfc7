"""Custom layers: memories, fusion, scaling and bias. They use `keras.ops` only and run on every Keras backend."""

from amsl_tf.networks.layers.bias import Bias
from amsl_tf.networks.layers.forgetting_memory import ForgettingMemory
from amsl_tf.networks.layers.fusion import AdaptiveFusion
from amsl_tf.networks.layers.memory import Memory
from amsl_tf.networks.layers.min_max_scaling import MinMaxScaling
from amsl_tf.networks.layers.prototype_memory import PrototypeMemory
from amsl_tf.networks.layers.shrinkage_memory import ShrinkageMemory
from amsl_tf.networks.layers.softmax_memory import SoftmaxMemory
from amsl_tf.networks.layers.twin_memory import TwinMemory

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
