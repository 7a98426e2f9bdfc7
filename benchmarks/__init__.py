"""Benchmarks of accuracy and speed, run by `scripts/benchmark.py`: the figures in the documentation come from them."""
