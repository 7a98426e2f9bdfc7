"""Detectors that AMSL is compared with: those of the paper's Table 3, and those that users would pick instead.

One file each. It has `fit`, which takes the normal training windows (`interface.Normal`) and returns what scores others, with
scores of normal windows that it, or one like it, was not fitted to, for the threshold (`interface.Fitted`).
"""
