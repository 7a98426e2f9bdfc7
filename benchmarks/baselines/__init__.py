"""The baselines: the detectors of the paper's Table 3 and common alternatives, one module for each.

A module has the function `fit`, which takes the normal training windows (`interface.NormalData`) and returns a fitted baseline
(`interface.FittedBaseline`).
"""
