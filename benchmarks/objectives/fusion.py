"""Ensembles with a further member, for which any features can be given."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from amsl_tf.config import ENSEMBLE, DetectorConfig
from amsl_tf.data.pieces import find_pieces
from amsl_tf.data.windows import chunks, number_windows
from amsl_tf.scoring.ensemble import MEMBERS
from amsl_tf.scoring.ensemble.ensemble import MIN_SPREAD, QUANTILE, Ensemble
from amsl_tf.scoring.ensemble.kernels import DILATIONS, KERNELS, LENGTH, Kernels
from amsl_tf.scoring.ensemble.member import Member
from amsl_tf.scoring.members.base import Evidence
from benchmarks.objectives.interface import Describe
from benchmarks.objectives.units import Training

ADDED = "added"
FIRST_SEED = 1_000  # of further kernels, which must differ from those of the member `kernels`


class Values(NamedTuple):
    """The values of a member: logarithms of distances.

    Attributes:
        left_out: (N,), of the training windows.
        tests: (M,), of the windows of each test.
    """

    left_out: np.ndarray
    tests: list[np.ndarray]

    def spread(self, rows: np.ndarray | slice) -> float:
        """Computes the spread of some of the left-out values, as the ensemble does."""
        values = self.left_out[rows]
        return float(max(np.quantile(values, QUANTILE) - np.median(values), MIN_SPREAD))


def base_values(training: Training, seed: int) -> list[Values]:
    """Computes the values of the members of the ensemble."""
    return [_values(training, name, seed) for name in ENSEMBLE]


def added_values(training: Training, describe: Describe, seed: int) -> Values:
    """Computes the values of a member with given features."""
    with _registered(describe):
        return _values(training, ADDED, seed)


def _values(training: Training, name: str, seed: int) -> Values:
    """Fits an ensemble of one member."""
    config = DetectorConfig.from_settings(None, score="ensemble", members=(name,), axes=training.axes, seed=seed)
    ensemble = Ensemble(config)
    pieces = find_pieces(training.x) if training.subjects is None else None
    evidence = Evidence(None, {}, training.x, number_windows(training.x), pieces)
    left_out = ensemble.fit(evidence, training.subjects)
    tests = []
    for test in training.tests:
        parts = [ensemble.score(Evidence(None, {}, tf.constant(part))).numpy() for _, part in chunks(test.windows)]
        tests.append(np.concatenate(parts))
    return Values(left_out, tests)


@contextmanager
def _registered(describe: Describe) -> Iterator[None]:
    """Registers a member with given features."""

    class Added(Member):
        """A member with given features."""

        def describe(self, windows: tf.Tensor) -> tf.Tensor:
            return describe(windows)

    MEMBERS.register(ADDED, Added)
    try:
        yield
    finally:
        MEMBERS.unregister(ADDED)


def fuse(base: Sequence[Values], added: Values | None, held_out: np.ndarray, grouped: bool) -> list[np.ndarray]:
    """Computes the scores of an ensemble, but for a constant.

    With groups, the ensemble weights a member by the inverse of the squared spread of its left-out values. A further member is
    calibrated on held-out windows alone. These are of few groups, so its spread is compared with that of the other members on
    the same windows; its weight is the mean of the weights that follow.

    Args:
        base: The values of the members of the ensemble.
        added: Those of the further member, or None.
        held_out: The positions of the windows that calibrate the further member.
        grouped: Whether there are groups; otherwise the weights are equal.

    Returns:
        (M,) for each test.
    """
    members = [*base] if added is None else [*base, added]
    weights = [values.spread(slice(None)) ** -2 if grouped else 1.0 for values in base]
    if added is not None:
        relative = [values.spread(held_out) / added.spread(held_out) if grouped else 1.0 for values in base]
        weights.append(float(np.mean([weight * ratio**2 for weight, ratio in zip(weights, relative, strict=True)])))
    tests = zip(*(values.tests for values in members), strict=True)
    return [np.average(np.stack(values), axis=0, weights=weights) for values in tests]


def kernel_flops(steps: int, sensors: int) -> float:
    """Counts the floating-point operations of the member `kernels` for a window (T, S), as it computes convolutions."""
    outputs = [steps - dilation * (LENGTH - 1) for dilation in DILATIONS if dilation * (LENGTH - 1) < steps]
    return 2.0 * LENGTH * sensors * (KERNELS // len(outputs)) * sum(outputs)


def more_kernels(windows: np.ndarray, parts: int, seed: int) -> Describe:
    """Returns the features of further random kernels, so many times as many as the member `kernels` has.

    Args:
        windows: float32 (N, T, S), scaled normal windows.
        parts: The multiple.
        seed: The seed.
    """
    kernels = [Kernels() for _ in range(parts)]
    for number, member in enumerate(kernels):
        member.prepare(windows, FIRST_SEED * (seed + 1) + number)
    return lambda others: tf.concat([member.describe(others) for member in kernels], axis=1)
