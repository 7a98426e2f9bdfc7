"""Names of data and trainings: the same for the same, others for others."""

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.fingerprint import fingerprint, hash_windows

X = np.arange(2 * 16 * 3, dtype=np.float32).reshape(2, 16, 3)
DATA = {"sha256": "abc"}


def test_windows_are_told_apart_by_values_and_shape(tmp_path):
    np.save(tmp_path / "x.npy", X)
    assert hash_windows(np.load(tmp_path / "x.npy", mmap_mode="r")) == hash_windows(X)
    assert len({hash_windows(x) for x in (X, X + 1, X.reshape(1, 32, 3), X[::-1])}) == 4


def test_whatever_a_training_depends_on_gives_it_another_name():
    config, groups = DetectorConfig(), np.array(["p1", "p2"])
    trainings = [
        (config, "float32", DATA, None, None),
        (DetectorConfig.from_settings(seed=1), "float32", DATA, None, None),
        (config, "mixed_bfloat16", DATA, None, None),
        (config, "float32", {"sha256": "other"}, None, None),
        (config, "float32", DATA, groups, None),
        (config, "float32", DATA, groups[::-1], None),
        (config, "float32", DATA, None, {"noise": X}),
        (config, "float32", DATA, None, {"noise": X + 1}),
    ]
    assert len({fingerprint(*training) for training in trainings}) == len(trainings)
    assert fingerprint(*trainings[-1]) == fingerprint(*trainings[-1])
