"""The four scripts end to end, and what they say when something is wrong."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from amsl_tf.data.synthetic import write_tree
from tests.conftest import ROOT, kill_when, run_python

SETTINGS = ("--epochs", 1, "--batch-size", 4, "--num-slots", 20, "--mixed-precision", "off")


def script(name, *arguments):
    return run_python(ROOT / "scripts" / f"{name}.py", *arguments)


def assert_refused(finished, *said):
    """Exit status 2, and besides TensorFlow's start-up lines one line on stderr, which says what was wrong."""
    assert finished.returncode == 2, finished.stderr
    lines = [line for line in finished.stderr.splitlines() if "error:" in line]
    assert len(lines) == 1, finished.stderr
    assert "Traceback" not in finished.stderr
    for words in said:
        assert words in lines[0]


def run_stages(source, folder, *protocol):
    """Runs all four stages and returns the metrics."""
    for name, arguments in (
        ("preprocessing", ("--source", source, "--output", folder / "generate")),
        ("transformation", ("--input", folder / "generate", "--output", folder / "transform", *protocol)),
        ("train", (*train_arguments(folder), *SETTINGS)),
        ("evaluate", ("--detector", folder / "models/amsl", "--results", folder / "results")),
    ):
        finished = script(name, *arguments)
        assert finished.returncode == 0, finished.stderr
    assert "nearest_normal (decides)" in finished.stdout
    assert (folder / "results/report.html").read_text().count("<svg") >= 15
    return json.loads((folder / "results/metrics.json").read_text())


def train_arguments(folder):
    options = {"input": "transform", "detector": "models/amsl", "results": "results", "log-dir": "logs"}
    return [word for name, path in options.items() for word in (f"--{name}", folder / path)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What the four stages make of a small synthetic tree."""
    folder = tmp_path_factory.mktemp("made")
    write_tree(folder / "DASADS", people=2, segments=2)
    run_stages(folder / "DASADS", folder)
    return folder


def test_the_tree_is_the_originals(made):
    for part, ending in (
        ("train_dataset", "train"),
        ("test_dataset/normal data", "test"),
        ("test_dataset/abnormal data", "abnormal"),
    ):
        expected = {f"data_{suffix}_{ending}.npy" for suffix in ("raw", "no", "ne", "op", "pe", "sc", "ti")} | {"index.csv"}
        assert {item.name for item in (made / "transform" / part).iterdir()} == expected
    shapes = [
        np.load(made / "transform" / name).shape
        for name in ("train_dataset/data_no_train.npy", "test_dataset/abnormal data/data_ti_abnormal.npy")
    ]
    assert shapes == [(33, 125, 45), (20, 125, 45)]
    assert [item.name for item in (made / "models").iterdir()] == ["amsl"]
    # DSADS' sensors have three axes, and names; nobody but the first stage has to know it
    config = json.loads((made / "models/amsl/config.json").read_text())["config"]
    assert config["axes"] == 3
    assert len(config["channel_names"]) == 45
    assert config["channel_names"][31] == "right leg gyroscope y"


def test_metrics_have_both_scores_and_every_activity_and_person(made):
    metrics = json.loads((made / "results/metrics.json").read_text())
    assert metrics["protocol"] == "window"
    for values in metrics["scores"].values():
        assert {"f1", "accuracy", "precision", "recall", "auroc", "average_precision", "threshold"} <= values.keys()
        assert set(values["by_subject"]) == {"p1", "p2"}
        assert {"a05", "a06", "a12", "a18", "a19"} <= set(values["by_activity"])
    index = (made / "results/index.csv").read_text().splitlines()
    assert len(index) == 1 + 33 + 23 + 20
    for name in ("train_normal_loss_sum_mse", "normal_loss_sparse", "abnormal_loss_class", "abnormal_score_nearest_normal"):
        assert np.isfinite(np.loadtxt(made / f"results/{name}.csv")).all()


@pytest.mark.slow
def test_json_is_all_that_is_said_and_quiet_is_nothing(made):
    arguments = ("--detector", made / "models/amsl", "--results", made / "results")
    finished = script("evaluate", *arguments, "--json")
    assert json.loads(finished.stdout) == json.loads((made / "results/metrics.json").read_text())
    assert script("evaluate", *arguments, "--quiet").stdout == ""
    assert_refused(script("evaluate", *arguments, "--quiet", "--json"), "not allowed with")
    assert_refused(script("evaluate", "--quiet", "--detector", made / "typo"), "typo")


@pytest.mark.slow
def test_nothing_fitted_sees_test_windows(made, tmp_path):
    """Other test windows, other test scores, but the same detector and the same training scores to the last digit."""
    for name in ("transform", "models"):
        shutil.copytree(made / name, tmp_path / name)
    for part, ending in (("normal data", "test"), ("abnormal data", "abnormal")):
        for file in (tmp_path / "transform/test_dataset" / part).glob(f"data_*_{ending}.npy"):
            np.save(file, -3 * np.load(file) + 1)
    finished = script("train", *train_arguments(tmp_path), *SETTINGS)
    assert finished.returncode == 0, finished.stderr
    for name in ("config.json", "data.json", "metrics.json"):
        assert (tmp_path / "models/amsl" / name).read_text() == (made / "models/amsl" / name).read_text()
    with np.load(made / "models/amsl/state.npz") as before, np.load(tmp_path / "models/amsl/state.npz") as after:
        assert set(before.files) == set(after.files)
        for name in before.files:
            np.testing.assert_array_equal(before[name], after[name])
    for kind in ("loss_sum_mse", "loss_class", "loss_sparse", "score_nearest_normal", "view_error"):
        same, other = f"train_normal_{kind}.csv", f"normal_{kind}.csv"
        assert (tmp_path / "results" / same).read_text() == (made / "results" / same).read_text()
        assert (tmp_path / "results" / other).read_text() != (made / "results" / other).read_text()


@pytest.mark.parametrize(
    ("name", "option", "said"),
    [
        ("preprocessing", "--source", "expected a folder with DSADS' folders"),
        ("transformation", "--input", "Run scripts/preprocessing.py first"),
        ("train", "--input", "Run scripts/transformation.py first"),
        ("evaluate", "--detector", "Name the folder of a saved detector"),
    ],
)
def test_a_typo_in_a_path_is_one_line(name, option, said, tmp_path):
    assert_refused(script(name, option, tmp_path / "typo"), f"{name}.py: error:", "typo", said)
    assert list(tmp_path.iterdir()) == []


def test_a_typo_in_an_option_is_one_line():
    assert_refused(script("train", "--epoch", 3), "unrecognized arguments", "see --help")
    assert_refused(script("train", "--epochs", 0), "epochs must be an integer of at least 1. Received: 0.")
    assert_refused(script("train", "--model", "memae", "--memory", "none"), "there is no setting 'memory' of memae")


def test_help_says_which_default_is_whose():
    said = " ".join(script("train", "--help").stdout.split())
    assert "passes over the training windows (default: 100)" in said
    assert "slots of each memory (amsl, memae: 500; mnad: 10)" in said


@pytest.mark.slow
def test_another_network_is_trained_evaluated_and_explained(made, tmp_path):
    shutil.copytree(made / "transform", tmp_path / "transform")
    options = ("--model", "rftm", "--epochs", 1, "--cortex-slots", 20, "--mixed-precision", "off")
    finished = script("train", *train_arguments(tmp_path), *options)
    assert finished.returncode == 0, finished.stderr
    arguments = ("--detector", tmp_path / "models/amsl", "--results", tmp_path / "results")
    finished = script("evaluate", *arguments)
    assert finished.returncode == 0, finished.stderr
    assert "hippocampus" in (tmp_path / "results/report.html").read_text()
    windows = tmp_path / "transform/test_dataset/abnormal data/data_raw_abnormal.npy"
    arguments = ("--detector", tmp_path / "models/amsl", "--input", windows, "--window", 0, "--output", tmp_path / "one.png")
    finished = script("explain", *arguments)
    assert finished.returncode == 0, finished.stderr


def test_a_bad_file_is_one_line_and_leaves_nothing(made, tmp_path):
    shutil.copytree(made / "DASADS", tmp_path / "DASADS")
    file = tmp_path / "DASADS/a12/p1/s02.txt"
    file.write_text(file.read_text().replace(",", ";", 1))
    finished = script("preprocessing", "--source", tmp_path / "DASADS", "--output", tmp_path / "out")
    assert_refused(finished, "a12/p1/s02.txt, row 1: expected 45 numbers, found 44")
    assert [item.name for item in tmp_path.iterdir()] == ["DASADS"]


def test_unknown_people_are_named(made, tmp_path):
    arguments = ("--input", made / "generate", "--output", tmp_path / "out", "--protocol", "subject", "--test-subjects", 2, 9)
    assert_refused(script("transformation", *arguments), "subject 9 does not occur; there are p1, p2")
    finished = script("transformation", "--input", made / "generate", "--output", tmp_path / "out", "--test-subjects", 2)
    assert_refused(finished, "test subjects are for the protocol subject")
    assert list(tmp_path.iterdir()) == []


def test_a_place_for_the_detector_is_looked_for_before_training(made, tmp_path):
    (tmp_path / "thesis.txt").touch()
    finished = script("train", "--input", made / "transform", "--detector", tmp_path, "--results", tmp_path / "results")
    assert_refused(finished, "thesis.txt, which this program does not write")
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(("option", "place"), [("--log-dir", "models/amsl/logs"), ("--results", "transform/train_dataset")])
def test_results_that_would_mix_with_other_files_are_refused_before_training(made, tmp_path, option, place):
    for name in ("models", "generate", "transform"):
        shutil.copytree(made / name, tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    finished = script("train", *train_arguments(tmp_path), *SETTINGS, option, tmp_path / place)
    assert_refused(finished, str(tmp_path / place), "Name another folder")
    assert sorted(tmp_path.rglob("*")) == before


def test_cut_and_missing_files_are_named(made, tmp_path):
    shutil.copytree(made / "transform", tmp_path / "transform")
    file = tmp_path / "transform/train_dataset/data_pe_train.npy"
    file.write_bytes(file.read_bytes()[:5000])
    assert_refused(script("train", *train_arguments(tmp_path)), "data_pe_train.npy: not a whole .npy file")
    file.unlink()
    assert_refused(script("train", *train_arguments(tmp_path)), "data_pe_train.npy: not found")
    shutil.copytree(made / "results", tmp_path / "results")
    (tmp_path / "results/normal_loss_sum_mse.csv").unlink()
    finished = script("evaluate", "--detector", made / "models/amsl", "--results", tmp_path / "results")
    assert_refused(finished, "normal_loss_sum_mse.csv: not found. Run scripts/train.py first")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_train_goes_on_after_kill_9(made, tmp_path):
    """Killed in the middle, the same command ends with the weights and the scores of a training that was not killed."""
    shutil.copytree(made / "transform", tmp_path / "transform")
    command = [sys.executable, ROOT / "scripts/train.py", *train_arguments(tmp_path), *SETTINGS, "--checkpoint-seconds", 0]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
    kill_when(process, tmp_path / "models/.amsl.training", steps=2)
    assert not (tmp_path / "models/amsl").exists()
    assert list((tmp_path / "results").iterdir()) == []
    finished = script("train", *train_arguments(tmp_path), *SETTINGS)
    assert finished.returncode == 0, finished.stderr
    assert "going on at epoch 1, step " in finished.stderr
    assert [item.name for item in (tmp_path / "models").iterdir()] == ["amsl"]
    for file in (made / "results").glob("*.csv"):
        assert (tmp_path / "results" / file.name).read_text() == file.read_text()


@pytest.mark.real_data
@pytest.mark.parametrize("protocol", ["window", "subject"])
def test_all_stages_on_real_windows(dsads, tmp_path, protocol):
    """A few windows of four people."""
    for file in dsads.glob("a*/p[1-4]/s0[12].txt"):
        target = tmp_path / "DASADS" / file.relative_to(dsads)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(file)
    people = ("--test-subjects", "3", "p4") if protocol == "subject" else ()
    metrics = run_stages(tmp_path / "DASADS", tmp_path, "--protocol", protocol, *people)
    assert metrics["protocol"] == protocol
    tested = {"window": {"p1", "p2", "p3", "p4"}, "subject": {"p3", "p4"}}[protocol]
    for values in metrics["scores"].values():
        assert set(values["by_subject"]) == tested
        assert 0.0 <= values["auroc"] <= 1.0
