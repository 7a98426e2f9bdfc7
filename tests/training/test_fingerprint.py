"""Fingerprints of data and trainings."""

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.data.windows import hash_windows
from amsl_tf.training.fingerprint import fingerprint

X = np.arange(2 * 16 * 3, dtype=np.float32).reshape(2, 16, 3)


def test_hashes_depend_on_values_and_shape(tmp_path):
    np.save(tmp_path / "x.npy", X)
    assert hash_windows(np.load(tmp_path / "x.npy", mmap_mode="r")) == hash_windows(X)
    assert len({hash_windows(x) for x in (X, X + 1, X.reshape(1, 32, 3), X[::-1])}) == 4


def test_fingerprint_depends_on_all_inputs_of_a_training(tmp_path):
    inputs = {
        "config": DetectorConfig(),
        "policy": "float32",
        "data": {"sha256": "abc"},
        "groups": None,
        "views": None,
        "weights": None,
    }
    groups, files = np.array(["p1", "p2"]), [tmp_path / "a.weights.h5", tmp_path / "b.weights.h5"]
    for file in files:
        file.write_text(file.name)
    changes = [
        {"config": DetectorConfig.from_settings(seed=1)},
        {"policy": "mixed_bfloat16"},
        {"data": {"sha256": "other"}},
        {"groups": groups},
        {"groups": groups[::-1]},
        {"views": {"noise": X}},
        {"views": {"noise": X + 1}},
        *({"weights": file} for file in files),
        {"replicas": 2},
    ]
    assert len({fingerprint(**{**inputs, **change}) for change in ({}, *changes)}) == 1 + len(changes)
    assert fingerprint(**inputs) == fingerprint(**inputs)
