"""What the machine computes on, and in which precision it should train."""

import os
import platform
from pathlib import Path

import tensorflow as tf

from amsl_tf.config import MixedPrecision, ScoringPrecision

_POLICIES = {"off": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
_FAST_BFLOAT16 = ("amx_bf16", "avx512_bf16")


def training_policy(choice: MixedPrecision) -> str:
    """The name of the Keras dtype policy that a choice stands for.

    `auto` is bfloat16 where the hardware multiplies it fast (CPUs with AMX or AVX-512 BF16, NVIDIA GPUs from compute
    capability 8.0), float16 on NVIDIA GPUs from 7.0, else float32.
    """
    if choice != "auto":
        return _POLICIES[choice]
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return _POLICIES["bfloat16" if capability >= (8, 0) else "float16" if capability >= (7, 0) else "off"]
    return _POLICIES["bfloat16" if fast_bfloat16() else "off"]


def scoring_policy(choice: ScoringPrecision) -> str:
    """The name of the Keras dtype policy that windows are scored in."""
    return {"float32": "float32", "bfloat16": "mixed_bfloat16"}[choice]


def device_name() -> str:
    """The device that TensorFlow computes on, in words."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return f"CPU ({os.cpu_count()} cores, {platform.machine()})"


def fast_bfloat16() -> list[str]:
    """The flags of the processor by which its bfloat16 products are faster than float32."""
    return [flag for flag in _FAST_BFLOAT16 if flag in _cpu_flags()]


def _cpu_flags() -> set[str]:
    """The processor's feature flags, as far as the system tells them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())
