"""The study of training objectives: does the ensemble detect more with a member whose features come from a trained network?

Each objective is a module with a function `fit`; those but `amsl` train the encoder of `encoder.py`.
"""

from benchmarks.objectives.study import run

__all__ = ["run"]
