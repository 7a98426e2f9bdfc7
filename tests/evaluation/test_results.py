"""The folder of results: file names of the original code, metrics, and errors for missing and broken files."""

import json

import numpy as np
import pytest

from amsl_tf.config import DetectorConfig
from amsl_tf.data.store import PARTS, TEST_ABNORMAL, TEST_NORMAL, TRAIN
from amsl_tf.data.windows import Windows
from amsl_tf.errors import AMSLError
from amsl_tf.evaluation.results import evaluate_results, table, write_results
from amsl_tf.persistence import FORMAT, DetectorSummary

RUN = {"protocol": "window", "seed": 0, "input": "data", "fingerprint": "abc", "labels": {"a05": "ascending stairs"}}
DETECTOR = DetectorSummary(
    DetectorConfig(score="nearest_normal", extra_scores=["reconstruction"]),
    {"thresholds": {"reconstruction": 1.5, "nearest_normal": 2.5}, "history": {}},
    {"fingerprint": "abc"},
    {},
    FORMAT,
)


@pytest.fixture
def folder(tmp_path, rng):
    scored = {}
    for part, activity, shift in ((TRAIN, "a01", 0.0), (TEST_NORMAL, "a01", 0.0), (TEST_ABNORMAL, "a05", 4.0)):
        windows = Windows(np.ones((50, 16, 1)), np.full(50, activity), np.repeat(["p1", "p2"], 25), np.full(50, "s01"))
        names = ("reconstruction", "nearest_normal", "right_view", "entropy")
        scores = {name: rng.normal(shift, 1.0, 50).astype(np.float32) for name in names}
        scored[part] = (windows, {**scores, "view_error": rng.uniform(size=(50, 7)).astype(np.float32)})
    write_results(tmp_path / "results", RUN, scored)
    return tmp_path / "results"


def test_file_names(folder):
    kinds = ("loss_sum_mse", "loss_sparse", "loss_class", "score_nearest_normal", "view_error")
    expected = {f"{part.name}_{kind}.csv" for part in PARTS for kind in kinds} | {"index.csv", "run.json"}
    assert {item.name for item in folder.iterdir()} == expected
    assert (folder / "index.csv").read_text().splitlines()[50:52] == ["train_normal,a01,p2,s01", "normal,a01,p1,s01"]


def scores_of(folder, name):
    return np.loadtxt(folder / f"{name}_score_nearest_normal.csv")


def test_metrics_and_table(folder):
    metrics = evaluate_results(folder, DETECTOR)
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert metrics["protocol"] == "window"
    values = metrics["scores"]["nearest_normal"]
    assert values["threshold"] == 2.5
    assert values["accuracy"] == pytest.approx(
        np.mean([scores_of(folder, "normal") < 2.5, scores_of(folder, "abnormal") >= 2.5])
    )
    assert values["auroc"] > 0.95
    assert values["by_activity"]["a05"]["abnormal"]["windows"] == 50
    assert set(values["by_subject"]) == {"p1", "p2"}
    text = table(metrics)
    assert "nearest_normal (decides)" in text
    assert f"{values['f1']:.4f}" in text
    assert "a05 ascending stairs" in text
    assert len({len(line) for line in text.splitlines() if line.startswith(("p1", "p2"))}) == 1


def test_csv_keeps_float32_exactly(folder, rng):
    """Nine significant digits identify a float32."""
    scores = rng.normal(size=50).astype(np.float32)
    windows, errors = Windows(np.ones((50, 16, 1))), rng.normal(size=(50, 7)).astype(np.float32)
    write_results(folder, RUN, {TRAIN: (windows, {"reconstruction": scores, "view_error": errors})})
    stored = np.loadtxt(folder / "train_normal_view_error.csv", dtype=np.float32, delimiter=",")
    np.testing.assert_array_equal(stored, errors)
    np.testing.assert_array_equal(np.loadtxt(folder / "train_normal_loss_sum_mse.csv", dtype=np.float32), scores)


@pytest.mark.parametrize("name", ["run.json", "index.csv", "normal_loss_sum_mse.csv", "abnormal_score_nearest_normal.csv"])
def test_missing_files_are_errors(folder, name):
    (folder / name).unlink()
    with pytest.raises(AMSLError, match=f"{name}: not found. Run amsl train first"):
        evaluate_results(folder, DETECTOR)
    assert not (folder / "metrics.json").exists()


def test_broken_files_are_errors(folder):
    (folder / "run.json").write_text("[]")
    with pytest.raises(AMSLError, match=r"run.json: expected an object with the key protocol"):
        evaluate_results(folder, DETECTOR)
    (folder / "run.json").write_text(json.dumps(RUN))
    (folder / "normal_loss_sum_mse.csv").write_text("1.0\nabc\n")
    with pytest.raises(AMSLError, match=r"normal_loss_sum_mse.csv: expected rows of numbers, the same count in each"):
        evaluate_results(folder, DETECTOR)
    (folder / "normal_loss_sum_mse.csv").write_text("1.0\n2.0\n")
    with pytest.raises(AMSLError, match="expected 50 finite numbers"):
        evaluate_results(folder, DETECTOR)


def test_score_equal_to_the_threshold_is_abnormal(folder):
    """Compared in float32: half of the scores read as float64 would differ from the threshold that they equal."""
    score = np.loadtxt(folder / "abnormal_loss_sum_mse.csv", dtype=np.float32)[7]
    equal = DETECTOR._replace(metrics={"thresholds": {"reconstruction": float(score), "nearest_normal": 2.5}})
    above = DETECTOR._replace(metrics={"thresholds": {"reconstruction": float(np.nextafter(score, 9)), "nearest_normal": 2.5}})
    at, over = (evaluate_results(folder, of)["scores"]["reconstruction"]["recall_abnormal"] for of in (equal, above))
    assert at - over == pytest.approx(1 / 50)


def test_normal_windows_alone(folder, caplog):
    remove_part(folder, "abnormal")
    metrics = evaluate_results(folder, DETECTOR)
    assert "no abnormal test windows" in caplog.text
    values, scores = metrics["scores"]["nearest_normal"], scores_of(folder, "normal")
    flagged = np.mean(scores >= 2.5)
    assert {name: values[name] for name in values if not name.startswith("by_")} == {
        "false_positive_rate": pytest.approx(flagged),
        "threshold": 2.5,
    }
    assert values["by_activity"] == {"a01": {"normal": {"windows": 50, "flagged": pytest.approx(flagged)}}}
    assert "NaN" not in (folder / "metrics.json").read_text()
    lines = [line.split() for line in table(metrics).splitlines()]
    assert ["score", "false_positive_rate", "threshold"] in lines
    assert ["nearest_normal", "(decides)", f"{flagged:.4f}", "2.5000"] in lines
    assert ["p1", "normal", "25", f"{100 * np.mean(scores[:25] >= 2.5):.1f}"] in [line[:4] for line in lines]


def test_unknown_labels_in_the_table(folder):
    text = (folder / "index.csv").read_text().replace("a05,p1", ",").replace("a05,p2", ",").replace("a01", "")
    (folder / "index.csv").write_text(text)
    tables = table(evaluate_results(folder, DETECTOR)).split("\n\n")
    assert len(tables) == 3  # that of the activities is left out
    assert tables[2].splitlines()[1].split()[:3] == ["(unknown)", "abnormal", "50"]


def remove_part(folder, name):
    """Removes the scores of a part, as if it had never been there."""
    rows = (folder / "index.csv").read_text().splitlines(keepends=True)
    (folder / "index.csv").write_text("".join(row for row in rows if not row.startswith(f"{name},")))
    for file in folder.glob(f"{name}_*.csv"):
        file.unlink()


def test_missing_windows_and_missing_threshold_are_errors(folder):
    with pytest.raises(AMSLError, match="expected a threshold for nearest_normal"):
        evaluate_results(folder, DETECTOR._replace(metrics={"thresholds": {"reconstruction": 1.5}}))
    file = folder / "abnormal_score_nearest_normal.csv"
    scores = file.read_text()
    remove_part(folder, "abnormal")
    file.write_text(scores)
    with pytest.raises(AMSLError, match=r"abnormal_score_nearest_normal.csv: expected 0 finite numbers as in index.csv"):
        evaluate_results(folder, DETECTOR)
    remove_part(folder, "normal")
    with pytest.raises(AMSLError, match="expected normal test windows, found none"):
        evaluate_results(folder, DETECTOR)


def test_results_of_another_detector_are_an_error(folder):
    with pytest.raises(AMSLError, match="another detector"):
        evaluate_results(folder, DETECTOR._replace(data={"fingerprint": "other"}))


def test_files_of_an_earlier_run_are_removed(folder):
    """A run without a memory has no entropy."""
    windows = Windows(np.ones((50, 16, 1)))
    write_results(folder, RUN, {TRAIN: (windows, {"reconstruction": np.ones(50)})})
    assert {item.name for item in folder.iterdir()} == {"run.json", "index.csv", "train_normal_loss_sum_mse.csv"}
