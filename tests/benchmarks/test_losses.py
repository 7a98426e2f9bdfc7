"""The losses benchmark: training, resuming, and the comparison of losses."""

import json
from functools import partial

import keras
import numpy as np
import pytest

from amsl_tf.errors import AMSLError
from amsl_tf.views import PAPER_VIEWS
from benchmarks import losses
from tests.benchmarks.conftest import table_rows, write_page
from tests.conftest import ROOT


@pytest.fixture
def page(tmp_path):
    page = tmp_path / losses.PAGE
    write_page(page, losses.SECTION)
    return page


@pytest.mark.slow
def test_losses_agree_and_a_difference_is_an_error(tmp_path, page, rng, monkeypatch):
    """In float64, where rounding is too small for trainings to diverge, the losses of every step agree."""
    views = {name: rng.normal(size=(48, 16, 6)).astype(np.float32) for name in PAPER_VIEWS}
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
    assert "1-3" in [row[0] for row in table_rows(page.read_text())]
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == ("float32", "float32")


def test_interrupted_run_resumes(tmp_path, page, monkeypatch):
    monkeypatch.setattr(losses, "open_views", lambda *_: dict.fromkeys(PAPER_VIEWS, np.zeros((16, 16, 6), np.float32)))
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
    """Returns losses of 60 steps, the last 50 of which have these means by round; in float64 all are equal."""
    means = {**means, "reference_float64": [1.0], "float64": [1.0]}
    return {name: [[9.0] * 10 + [mean] * 50 for mean in rounds] for name, rounds in means.items()}


def test_differences_of_means_over_rounds():
    """By hand: 1.1 times the reference; single rounds differ by 1 and -0.4 from it, 1/3 and -2/15 of its mean of 3."""
    report = losses.compare(curves_of(reference=[2.0, 4.0], float32=[3.0, 3.6], bfloat16=[3.0, 3.0]))
    assert report["means"]["float32"] == pytest.approx([3.0, 3.6])
    float32, bfloat16, float64 = report["comparison"].values()
    assert float32["difference"] == pytest.approx(0.1)
    assert float32["standard_error"] == pytest.approx((1 / 3 + 2 / 15) / 2)
    assert (bfloat16["difference"], bfloat16["standard_error"]) == pytest.approx((0.0, 1 / 3))
    assert (float64["difference"], float64["standard_error"]) == (0.0, None)
    assert [row["equal_steps"] for row in (float32, bfloat16)] == [10, 10]


@pytest.mark.parametrize(
    ("reference", "float32", "verdict"),
    [
        ([2.0, 2.0], [2.03, 2.03], "within"),
        ([2.0, 2.0], [1.95, 1.95], "beyond"),
        ([2.0, 2.1], [2.03, 2.03], "inconclusive"),
        ([2.0, 2.1], [1.9, 2.2], "inconclusive"),
        ([2.0, 2.0], [np.nan, 2.0], "beyond"),
        ([2.0], [2.05], "beyond"),
        ([2.0], [2.03], "within"),
    ],
)
def test_verdict_takes_the_standard_error_into_account(reference, float32, verdict):
    report = losses.compare(curves_of(reference=reference, float32=float32, bfloat16=reference))
    assert report["comparison"]["float32"]["verdict"] == verdict


def test_report_from_stored_losses(tmp_path, page, monkeypatch):
    monkeypatch.setattr(losses, "open_views", lambda *_: pytest.fail("the networks were trained"))
    report = tmp_path / "losses.json"
    report.write_text(json.dumps({"curves": curves_of(reference=[2.0], float32=[2.0], bfloat16=[2.0])}))
    losses.run(tmp_path, 1, 1, report, tmp_path, from_file=True)
    assert json.loads(report.read_text())["comparison"]["float32"]["equal_steps"] == 60
    assert "51-60" in [row[0] for row in table_rows(page.read_text())]


def test_committed_tables_are_up_to_date(tmp_path):
    committed = (ROOT / "benchmarks/NOTES.md").read_text()
    (tmp_path / "NOTES.md").write_text(committed)
    losses.write(json.loads((ROOT / "benchmarks/results/losses.json").read_text()), tmp_path)
    assert (tmp_path / "NOTES.md").read_text() == committed
