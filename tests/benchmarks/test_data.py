"""The loops that the data benchmark compares with compute what the product does."""

import json

import numpy as np

from amsl_tf.data.dsads import find_recordings
from amsl_tf.data.synthetic import write_tree
from benchmarks import data


def test_both_ways_give_the_same_and_a_report(tmp_path):
    write_tree(tmp_path / "DASADS", people=1, segments=2)
    recordings = find_recordings(tmp_path / "DASADS")[:3]
    x = data.load_together(recordings)
    np.testing.assert_array_equal(data.load_each(recordings), x)
    each, together = data.views_each(x), data.views_together(x)
    for index in (0, 2, 3, 6):  # the views without a draw
        np.testing.assert_allclose(each[:, index], together[:, index], atol=1e-4)
    for made in (each, together):
        power, of_noise = (np.mean(part.astype(float) ** 2, axis=(1, 2)) for part in (x, made[:, 1] - x))
        np.testing.assert_allclose(10 * np.log10(power / of_noise), 5.0, rtol=1e-3)
    data.run(tmp_path / "DASADS", 4, tmp_path / "data.json", 1)
    report = json.loads((tmp_path / "data.json").read_text())
    assert report["files"] == 4
    assert {"preprocessing_speedup", "transformation_speedup"} <= report.keys()
