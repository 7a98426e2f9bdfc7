"""Batch normalization for several devices."""

from typing import Any

import keras


class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalization, whose moving statistics are averaged over the devices that train together.

    In Keras those of each device would drift apart. In training each device normalises with the statistics of its part of the
    batch. The class has the name of Keras', because files of weights hold it.
    """

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        return super().add_weight(*args, **{"aggregation": "mean", **kwargs})
