"""The comparison of what the plain port and the product learn."""

import json

import numpy as np
import pytest

from amsl_tf.errors import AMSLError
from amsl_tf.views import VIEW_NAMES
from benchmarks import losses


@pytest.mark.slow
def test_the_first_losses_are_the_same_and_a_difference_is_an_error(tmp_path, rng, monkeypatch):
    views = {name: rng.normal(size=(32, 16, 6)).astype(np.float32) for name in VIEW_NAMES}
    monkeypatch.setattr(losses, "open_views", lambda *_: views)
    monkeypatch.setitem(losses.LIMITS, "bfloat16", 0.0)
    report, page = tmp_path / "losses.json", tmp_path / "NOTES.md"
    page.write_text(f"{losses.START}\n{losses.END}\n")
    with pytest.raises(AMSLError, match="losses in bfloat16 differ"):
        losses.run(tmp_path, 2, 2, report, tmp_path)
    curves = {name: np.array(rounds) for name, rounds in json.loads(report.read_text())["curves"].items()}
    assert curves["reference"].shape == (2, 2)
    assert "| 1-2 |" in page.read_text()
    np.testing.assert_allclose(curves["float32"][:, 0], curves["reference"][:, 0], rtol=1e-4)
    np.testing.assert_allclose(curves["bfloat16"][:, 0], curves["reference"][:, 0], rtol=1e-2)


def test_differences_are_those_of_the_means_over_rounds():
    """By hand: rounds of 2 and 4 around 3 and of 3 and 3.6; errors 1 and .3 of the means, together sqrt(1.09) / 3."""
    flat = {"reference": [2.0, 4.0], "float32": [3.0, 3.6], "bfloat16": [3.0, 3.0]}
    before, last = [9.0] * 10, losses.COMPARED
    compared = losses._compared({name: [before + [value] * last for value in values] for name, values in flat.items()})
    assert compared["means"] == {name: pytest.approx(values) for name, values in flat.items()}
    assert compared["differences"] == pytest.approx({"float32": 0.1, "bfloat16": 0.0})
    assert compared["standard_errors"] == pytest.approx({"float32": np.sqrt(1.09) / 3, "bfloat16": 1 / 3})


def test_one_round_has_no_standard_error():
    compared = losses._compared({name: [[1.0] * losses.COMPARED] for name in ("reference", *losses.LIMITS)})
    assert compared["standard_errors"] == {"float32": None, "bfloat16": None}
