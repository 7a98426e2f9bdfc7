"""Features of windows: functions from (N, T, C) to (N, D)."""

import numpy as np

from amsl_tf.datasets.dsads import AXES


def raw(x: np.ndarray) -> np.ndarray:
    """Flattens windows, (N, T, C) to (N, T C)."""
    return x.reshape(len(x), -1)


def channels_first(x: np.ndarray) -> np.ndarray:
    """Transposes windows (N, T, C) to (N, C, T), the order of aeon."""
    return np.ascontiguousarray(x.transpose(0, 2, 1))


def statistics(x: np.ndarray) -> np.ndarray:
    """Computes mean, standard deviation, minimum, maximum and magnitude spectrum of each channel."""
    parts = [x.mean(axis=1), x.std(axis=1), x.min(axis=1), x.max(axis=1), raw(_magnitudes(x))]
    return np.concatenate(parts, axis=1)


def spectra(x: np.ndarray) -> np.ndarray:
    """Computes mean, log standard deviation and log magnitude spectrum of each channel."""
    return np.concatenate([x.mean(axis=1), np.log(x.std(axis=1) + 1e-3), raw(np.log(_magnitudes(x) + 1e-2))], axis=1)


def norm_spectra(x: np.ndarray) -> np.ndarray:
    """Computes `spectra` of the norms of three-axis sensors, which do not depend on the orientation of a sensor."""
    return spectra(np.linalg.norm(x.reshape(*x.shape[:2], -1, AXES), axis=3))


def _magnitudes(x: np.ndarray) -> np.ndarray:
    """Computes the magnitude spectrum without the constant component, (N, T // 2, C)."""
    return np.abs(np.fft.rfft(x - x.mean(axis=1, keepdims=True), axis=1))[:, 1:]
