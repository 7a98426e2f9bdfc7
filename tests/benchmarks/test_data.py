"""The data benchmark: the loops compute the same as the package."""

import json

import numpy as np

from amsl_tf.datasets.dsads import find_recordings
from amsl_tf.datasets.synthetic import write_tree
from benchmarks import data


def test_loops_agree_with_the_package(tmp_path):
    write_tree(tmp_path / "DASADS", subjects=1, segments=2)
    recordings = find_recordings(tmp_path / "DASADS")[:3]
    x = data.load_with_package(recordings)
    np.testing.assert_array_equal(data.load_with_loop(recordings), x)
    by_loop, by_package = data.views_with_loop(x), data.views_with_package(x)
    for index in (0, 2, 3, 6):  # the deterministic views
        np.testing.assert_allclose(by_loop[:, index], by_package[:, index], atol=1e-4)
    for views in (by_loop, by_package):
        power, noise_power = (np.mean(part.astype(float) ** 2, axis=(1, 2)) for part in (x, views[:, 1] - x))
        np.testing.assert_allclose(10 * np.log10(power / noise_power), 5.0, rtol=1e-3)
    data.run(tmp_path / "DASADS", 4, tmp_path / "data.json", 1)
    report = json.loads((tmp_path / "data.json").read_text())
    assert report["files"] == 4
    assert {"preprocessing_speedup", "transformation_speedup"} <= report.keys()
