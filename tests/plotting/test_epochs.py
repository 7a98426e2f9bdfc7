"""Figures of a training: curves over epochs."""

import numpy as np

from amsl_tf.plotting.epochs import over_epochs


def test_curves_start_at_epoch_1_and_are_distinguishable():
    curves = {f"curve {number}": [number, number + 0.5, number + 1] for number in range(9)}
    figure = over_epochs(curves, "title", "label")
    lines = figure.axes[0].lines
    for line, (name, values) in zip(lines, curves.items(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(line.get_ydata(), values)
        assert line.get_label() == name
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 9
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(curves)
