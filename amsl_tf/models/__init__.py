"""The networks: parts in their own files, wired together in `amsl.py` and `autoencoder.py`; Keras only, for every backend."""

from amsl_tf.models.network import build_network

__all__ = ["build_network"]
