"""The dtype policy of each setting, on several devices."""

import pytest
import tensorflow as tf

from amsl_tf.training import precision


@pytest.mark.parametrize(
    ("capability", "flags", "policy"),
    [
        (None, {"avx2"}, "float32"),
        (None, {"avx2", "amx_bf16"}, "mixed_bfloat16"),
        (None, {"avx512_bf16"}, "mixed_bfloat16"),
        ((6, 1), {"amx_bf16"}, "float32"),
        ((7, 5), set(), "mixed_float16"),
        ((9, 0), set(), "mixed_bfloat16"),
    ],
)
def test_auto_is_the_fastest_precision_of_the_device(monkeypatch, capability, flags, policy):
    monkeypatch.setattr(precision, "_cpu_flags", lambda: flags)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [] if capability is None else ["gpu"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"compute_capability": capability})
    assert precision.training_policy("auto") == policy


def test_explicit_settings():
    assert [precision.training_policy(setting) for setting in ("off", "bfloat16", "float16")] == [
        "float32",
        "mixed_bfloat16",
        "mixed_float16",
    ]
