"""The base class of the configurations of networks. Configurations do not import Keras."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from amsl_tf.checks import convert_count, convert_json, setting
from amsl_tf.errors import AMSLError
from amsl_tf.views.base import PAPER_VIEWS, VIEWS

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class NetworkConfig(ABC):
    """The configuration of a network, which also builds it. Subclass it, as a frozen dataclass, for a network of your own.

    Attributes:
        views: The names of the views, a non-empty subset of `VIEWS` in that order.
        filters: The number of filters of the first convolution; the layers of a decoder have 4, 2 and 1 times as many.
        latent_features: The number of features F at each position of the latent: the width of the bottleneck.

    All settings are values of JSON, so that they can be saved; those of NumPy are converted, and lists become tuples.

    Class attributes:
        name: The name of the network in settings and files.
    """

    name: ClassVar[str]

    views: tuple[str, ...] = setting(PAPER_VIEWS, "views, in this order; exactly one, except for amsl")
    filters: int = setting(32, "filters of the first convolution; a decoder has 4, 2 and 1 times as many", is_size=True)
    latent_features: int = setting(64, "features at each position of the latent, the width of the bottleneck", is_size=True)

    def __post_init__(self) -> None:
        if isinstance(self.views, str) or not isinstance(self.views, Iterable):
            raise AMSLError(f"views must be a list of names, as in ['raw', 'noise']. Received: {self.views!r}.")
        object.__setattr__(self, "views", tuple(self.views))
        in_order = tuple(name for name in VIEWS if name in self.views)
        if not self.views or self.views != in_order:
            raise AMSLError(f"views must be one or more of {', '.join(VIEWS)}, in this order. Received: {list(self.views)}.")
        for item in fields(self):
            convert_json(self, item.name)
        convert_count(self, "filters")
        convert_count(self, "latent_features")

    @abstractmethod
    def build(self, window_shape: tuple[int, int], *, dtype: str, seed: int) -> "keras.Model":
        """Builds the network. Call it through `build_network`, which has defaults and checks the result.

        Args:
            window_shape: (T, C) of the windows.
            dtype: The name of a Keras dtype policy, such as `float32` or `mixed_bfloat16`.
            seed: The seed of the initial weights, the dropout and the forgetting of memories.

        Returns:
            A functional model with the inputs and outputs that `build_network` describes.
        """

    @property
    def loss_weights(self) -> dict[str, float]:
        """The weights of the terms of the objective, by the network output that each is computed from."""
        return {"reconstruction": 1.0}

    def check_size(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Checks that stored weights can be those of this network, before it is built: a wrong size could take all memory.

        Args:
            shapes: The shapes of the stored arrays by name.

        Raises:
            AMSLError: A setting is larger than the number of stored weights.
        """
        count = sum(map(math.prod, shapes.values()))
        for item in fields(self):
            if item.metadata.get("is_size") and getattr(self, item.name) > count:
                received = f"{item.name}={getattr(self, item.name)} and {count:,} weights"
                raise AMSLError(f"{item.name} must be at most the number of weights. Received: {received}.")

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings with the name of the network, ready for JSON."""
        return {"name": self.name, **asdict(self)}
