"""Names of data and trainings: the same for the same, others for others."""

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.fingerprint import fingerprint, hash_windows

X = np.arange(2 * 16 * 3, dtype=np.float32).reshape(2, 16, 3)


def test_windows_are_told_apart_by_values_and_shape(tmp_path):
    np.save(tmp_path / "x.npy", X)
    assert hash_windows(np.load(tmp_path / "x.npy", mmap_mode="r")) == hash_windows(X)
    assert len({hash_windows(x) for x in (X, X + 1, X.reshape(1, 32, 3), X[::-1])}) == 4


def test_whatever_a_training_depends_on_gives_it_another_name(tmp_path):
    one = {
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
    others = [
        {"config": DetectorConfig.from_settings(seed=1)},
        {"policy": "mixed_bfloat16"},
        {"data": {"sha256": "other"}},
        {"groups": groups},
        {"groups": groups[::-1]},
        {"views": {"noise": X}},
        {"views": {"noise": X + 1}},
        *({"weights": file} for file in files),
    ]
    assert len({fingerprint(**{**one, **other}) for other in ({}, *others)}) == 1 + len(others)
    assert fingerprint(**one) == fingerprint(**one)
