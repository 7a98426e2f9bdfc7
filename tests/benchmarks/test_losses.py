"""The comparison of what the plain port and the product learn."""

import json
from functools import partial

import keras
import numpy as np
import pytest

from amsl_tf.errors import AMSLError
from amsl_tf.views import VIEW_NAMES
from benchmarks import losses
from tests.conftest import ROOT


@pytest.fixture
def page(tmp_path):
    page = tmp_path / "NOTES.md"
    page.write_text(f"{losses.START}\n{losses.END}\n")
    return page


@pytest.mark.slow
def test_the_losses_are_the_same_and_a_difference_is_an_error(tmp_path, page, rng, monkeypatch):
    """In float64, where rounding is too small for two trainings to part, of every step."""
    views = {name: rng.normal(size=(48, 16, 6)).astype(np.float32) for name in VIEW_NAMES}
    monkeypatch.setattr(losses, "open_views", lambda *_: views)
    monkeypatch.setitem(losses.LIMITS, "bfloat16", -1.0)
    report = tmp_path / "losses.json"
    with pytest.raises(AMSLError, match="losses in bfloat16 differ"):
        losses.run(tmp_path, 3, 2, report, tmp_path)
    curves = {name: np.array(rounds) for name, rounds in json.loads(report.read_text())["curves"].items()}
    assert curves["reference"].shape == (2, 3)
    assert curves["reference"][0, 0] != curves["reference"][1, 0]
    np.testing.assert_allclose(curves["float32"][:, 0], curves["reference"][:, 0], rtol=1e-4)
    np.testing.assert_allclose(curves["bfloat16"][:, 0], curves["reference"][:, 0], rtol=1e-2)
    assert curves["float64"].shape == (1, 3)
    np.testing.assert_allclose(curves["float64"], curves["reference_float64"], rtol=1e-12)
    assert "| 1-3 |" in page.read_text()
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == ("float32", "float32")


def test_an_interrupted_run_goes_on(tmp_path, page, monkeypatch):
    monkeypatch.setattr(losses, "open_views", lambda *_: dict.fromkeys(VIEW_NAMES, np.zeros((16, 16, 6), np.float32)))
    trained, interruptions = [], iter([False, False, True])

    def train(name, *_):
        if next(interruptions, False):
            raise KeyboardInterrupt
        trained.append(name)
        return [1.0]

    for name, (floatx, _) in losses._TRAININGS.items():
        monkeypatch.setitem(losses._TRAININGS, name, (floatx, partial(train, name)))
    report = tmp_path / "losses.json"
    with pytest.raises(KeyboardInterrupt):
        losses.run(tmp_path, 1, 2, report, tmp_path)
    assert not report.exists()
    losses.run(tmp_path, 1, 2, report, tmp_path)
    assert trained == ["reference", "float32", "bfloat16", "reference_float64", "float64", "reference", "float32", "bfloat16"]
    assert {path.name for path in tmp_path.iterdir()} == {"losses.json", "NOTES.md"}


def curves_of(**means):
    """Of 60 steps, the last 50 of which have the means; in float64 all are alike."""
    means = {**means, "reference_float64": [1.0], "float64": [1.0]}
    return {name: [[9.0] * 10 + [mean] * 50 for mean in rounds] for name, rounds in means.items()}


def test_differences_are_those_of_the_means_over_rounds():
    """By hand: 1.1 times the reference; single rounds are 1 above and .4 below its mean of 3, so by 1/3 and -2/15 of it."""
    report = losses.compare(curves_of(reference=[2.0, 4.0], float32=[3.0, 3.6], bfloat16=[3.0, 3.0]))
    assert report["means"]["float32"] == pytest.approx([3.0, 3.6])
    float32, bfloat16, float64 = report["comparison"].values()
    assert float32["difference"] == pytest.approx(0.1)
    assert float32["standard_error"] == pytest.approx((1 / 3 + 2 / 15) / 2)
    assert (bfloat16["difference"], bfloat16["standard_error"]) == pytest.approx((0.0, 1 / 3))
    assert (float64["difference"], float64["standard_error"]) == (0.0, None)
    assert [found["steps_alike"] for found in (float32, bfloat16)] == [10, 10]


@pytest.mark.parametrize(
    ("reference", "float32", "verdict"),
    [
        ([2.0, 2.0], [2.03, 2.03], "within"),
        ([2.0, 2.0], [1.95, 1.95], "beyond"),
        ([2.0, 2.1], [2.03, 2.03], "open"),
        ([2.0, 2.1], [1.9, 2.2], "open"),
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
