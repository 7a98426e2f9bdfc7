"""The comparison of what the plain port and the product learn."""

import json

import numpy as np
import pytest

from amsl_tf.errors import AMSLError
from amsl_tf.views import VIEW_NAMES
from benchmarks import losses
from tests.conftest import ROOT


@pytest.mark.slow
def test_the_first_losses_are_the_same_and_a_difference_is_an_error(tmp_path, rng, monkeypatch):
    views = {name: rng.normal(size=(32, 16, 6)).astype(np.float32) for name in VIEW_NAMES}
    monkeypatch.setattr(losses, "open_views", lambda *_: views)
    monkeypatch.setitem(losses.LIMITS, "bfloat16", -1.0)
    report, page = tmp_path / "losses.json", tmp_path / "NOTES.md"
    page.write_text(f"{losses.START}\n{losses.END}\n")
    with pytest.raises(AMSLError, match="losses in bfloat16 differ"):
        losses.run(tmp_path, 2, 2, report, tmp_path)
    curves = {name: np.array(rounds) for name, rounds in json.loads(report.read_text())["curves"].items()}
    assert curves["reference"].shape == (2, 2)
    np.testing.assert_allclose(curves["float32"][:, 0], curves["reference"][:, 0], rtol=1e-4)
    np.testing.assert_allclose(curves["bfloat16"][:, 0], curves["reference"][:, 0], rtol=1e-2)
    assert "| 1-2 |" in page.read_text()


def curves_of(**means):
    """Of 60 steps, the last 50 of which have the means."""
    return {name: [[9.0] * 10 + [mean] * 50 for mean in rounds] for name, rounds in means.items()}


def test_differences_are_those_of_the_means_over_rounds():
    """By hand: 1.1 times the reference; the means' standard errors are 1 of 3 and .3 of 3.3."""
    report = losses.compare(curves_of(reference=[2.0, 4.0], float32=[3.0, 3.6], bfloat16=[3.0, 3.0]))
    assert report["means"]["float32"] == pytest.approx([3.0, 3.6])
    float32, bfloat16 = report["comparison"].values()
    assert float32["difference"] == pytest.approx(0.1)
    assert float32["standard_error"] == pytest.approx(1.1 * np.sqrt(1 / 9 + 1 / 121))
    assert (bfloat16["difference"], bfloat16["standard_error"]) == pytest.approx((0.0, 1 / 3))


@pytest.mark.parametrize(
    ("reference", "float32", "verdict"),
    [
        ([2.0, 2.0], [2.03, 2.03], "within"),
        ([2.0, 2.0], [1.95, 1.95], "beyond"),
        ([2.0, 2.1], [2.03, 2.03], "open"),
        ([2.0, 2.1], [1.9, 2.0], "open"),
        ([2.0, 2.0], [np.nan, 2.0], "beyond"),
        ([2.0], [2.05], "beyond"),
        ([2.0], [2.03], "within"),
    ],
)
def test_a_difference_counts_if_it_is_more_than_rounds_scatter(reference, float32, verdict):
    report = losses.compare(curves_of(reference=reference, float32=float32, bfloat16=reference))
    assert report["comparison"]["float32"]["verdict"] == verdict


def test_what_is_committed_is_what_is_generated(tmp_path):
    committed = (ROOT / "benchmarks/NOTES.md").read_text()
    (tmp_path / "NOTES.md").write_text(committed)
    losses.write(json.loads((ROOT / "benchmarks/results/losses.json").read_text()), tmp_path)
    assert (tmp_path / "NOTES.md").read_text() == committed
