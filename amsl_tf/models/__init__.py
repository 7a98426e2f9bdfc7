"""The network: parts in their own files, wired together in `amsl.py`. Keras only, for every Keras backend."""
