"""The device and the precision of training."""

import os
import platform
from pathlib import Path

import tensorflow as tf

from amsl_tf.config import MixedPrecision

_POLICIES = {"off": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
_FAST_BFLOAT16 = ("amx_bf16", "avx512_bf16")


def training_policy(choice: MixedPrecision) -> str:
    """Chooses the Keras dtype policy of training.

    `auto` is bfloat16 on hardware with fast bfloat16 matrix multiplication (CPUs with AMX or AVX-512 BF16, NVIDIA GPUs from
    compute capability 8.0), float16 on NVIDIA GPUs from 7.0, else float32.

    Args:
        choice: The setting `mixed_precision`.

    Returns:
        The name of the policy, `float32`, `mixed_bfloat16` or `mixed_float16`.
    """
    if choice != "auto":
        return _POLICIES[choice]
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return _POLICIES["bfloat16" if capability >= (8, 0) else "float16" if capability >= (7, 0) else "off"]
    return _POLICIES["bfloat16" if fast_bfloat16() else "off"]


def device_name() -> str:
    """Returns a description of the device that TensorFlow computes on."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return f"CPU ({os.cpu_count()} cores, {platform.machine()})"


def fast_bfloat16() -> list[str]:
    """Returns the CPU flags of fast bfloat16 matrix multiplication, none if there are none."""
    return [flag for flag in _FAST_BFLOAT16 if flag in _cpu_flags()]


def _cpu_flags() -> set[str]:
    """Returns the feature flags of the CPU; none if the system does not report them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())
