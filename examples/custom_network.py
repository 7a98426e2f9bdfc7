"""A network of your own: an autoencoder with a narrow bottleneck, registered, fitted, saved and loaded.

python examples/custom_network.py
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from amsl_tf import NETWORKS, AMSLDetector, CAEConfig


@dataclass(frozen=True)
class BottleneckConfig(CAEConfig):
    """An autoencoder whose latent passes a few features on its way to the decoder.

    Attributes:
        width: The number of these features at each position.
    """

    name = "bottleneck"

    width: int = 4

    def bottleneck(self, latent: Any, *, dtype: str, seeds: Any) -> tuple[Any, dict[str, Any]]:
        """Adds the layers between encoder and decoder; they add no term to the objective."""
        import keras  # configurations do not need Keras, networks do

        for place, units in enumerate((self.width, self.latent_features)):
            (seed,) = seeds.take(1)
            initializer = keras.initializers.GlorotUniform(seed)
            latent = keras.layers.Dense(units, kernel_initializer=initializer, dtype=dtype, name=f"narrow_{place}")(latent)
        return latent, {}


NETWORKS.register(BottleneckConfig.name, BottleneckConfig)  # before a detector with it is loaded


def main() -> None:
    """Fits, saves and loads a detector with the network."""
    rng = np.random.default_rng(0)
    time = np.arange(40) / 5
    windows = np.sin(time[:, None] + rng.uniform(0, 6, (80, 1, 3))) + rng.normal(0, 0.05, (80, 40, 3))
    detector = AMSLDetector(BottleneckConfig(width=2), score="nearest_normal", epochs=2, seed=0).fit(windows[:60])
    with tempfile.TemporaryDirectory() as folder:
        detector.save(Path(folder) / "mine")
        loaded = AMSLDetector.load(Path(folder) / "mine")
    print(f"network: {loaded.config_.network.name}, width {loaded.config_.network.width}")
    print(f"new normal windows flagged: {loaded.predict(windows[60:]).mean():.0%}")
    print(f"the same windows with twice the amplitude: {loaded.predict(2 * windows[60:]).mean():.0%}")


if __name__ == "__main__":
    main()
