"""The four stages end to end, as scripts and as commands, and their error messages."""

import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from amsl_tf.cli import main
from amsl_tf.config import DetectorConfig
from amsl_tf.data.files import locked
from amsl_tf.datasets.synthetic import write_tree
from amsl_tf.errors import AMSLError
from amsl_tf.stages.training import train_detector
from tests.conftest import ROOT, kill_when, run_python

SETTINGS = ("--epochs", 1, "--batch-size", 4, "--num-slots", 20, "--mixed-precision", "off")


def script(name, *arguments):
    return run_python(ROOT / "scripts" / f"{name}.py", *arguments)


def command(name, *arguments):
    return run_python("-m", "amsl_tf", name, *arguments)


def assert_error(finished, *messages):
    """Asserts exit status 2 and a single error message on stderr, which may have start-up messages of TensorFlow."""
    assert finished.returncode == 2, finished.stderr
    lines = [line for line in finished.stderr.splitlines() if "error:" in line]
    assert len(lines) == 1, finished.stderr
    assert "Traceback" not in finished.stderr
    for message in messages:
        assert message in lines[0]


def run_stages(source, folder, *protocol, dataset="dsads"):
    """Runs all four stages and returns the metrics."""
    for name, arguments in (
        ("preprocessing", ("--dataset", dataset, "--source", source, "--output", folder / "generate")),
        ("transformation", ("--input", folder / "generate", "--output", folder / "transform", *protocol)),
        ("train", (*train_arguments(folder), *SETTINGS)),
        ("evaluate", ("--detector", folder / "models/amsl", "--results", folder / "results")),
    ):
        finished = script(name, *arguments)
        assert finished.returncode == 0, finished.stderr
    assert "ensemble (decides)" in finished.stdout
    assert (folder / "results/report.html").read_text().count("<svg") >= 15
    return json.loads((folder / "results/metrics.json").read_text())


def train_arguments(folder):
    options = {"input": "transform", "detector": "models/amsl", "results": "results", "log-dir": "logs"}
    return [argument for name, path in options.items() for argument in (f"--{name}", folder / path)]


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """The folder with the output of the four stages for a small synthetic data set."""
    folder = tmp_path_factory.mktemp("stages")
    write_tree(folder / "DASADS", subjects=2, segments=2)
    run_stages(folder / "DASADS", folder)
    return folder


@pytest.mark.slow
def test_folders_are_those_of_the_original(stages):
    for part, ending in (
        ("train_dataset", "train"),
        ("test_dataset/normal data", "test"),
        ("test_dataset/abnormal data", "abnormal"),
    ):
        expected = {f"data_{suffix}_{ending}.npy" for suffix in ("raw", "no", "ne", "op", "pe", "sc", "ti")} | {"index.csv"}
        assert {item.name for item in (stages / "transform" / part).iterdir()} == expected
    shapes = [
        np.load(stages / "transform" / name).shape
        for name in ("train_dataset/data_no_train.npy", "test_dataset/abnormal data/data_ti_abnormal.npy")
    ]
    assert shapes == [(33, 125, 45), (20, 125, 45)]
    assert [item.name for item in (stages / "models").iterdir()] == ["amsl"]
    # the first stage knows the axes and the channel names of DSADS and passes them on
    config = json.loads((stages / "models/amsl/config.json").read_text())["config"]
    assert config["axes"] == 3
    assert len(config["channel_names"]) == 45
    assert config["channel_names"][31] == "right leg gyroscope y"


@pytest.mark.slow
def test_metrics_have_all_scores_activities_and_subjects(stages):
    metrics = json.loads((stages / "results/metrics.json").read_text())
    assert metrics["protocol"] == "window"
    for values in metrics["scores"].values():
        assert {"f1", "accuracy", "precision", "recall", "auroc", "average_precision", "threshold"} <= values.keys()
        assert set(values["by_subject"]) == {"p1", "p2"}
        assert {"a05", "a06", "a12", "a18", "a19"} <= set(values["by_activity"])
    index = (stages / "results/index.csv").read_text().splitlines()
    assert len(index) == 1 + 33 + 23 + 20
    for name in ("train_normal_loss_sum_mse", "normal_loss_sparse", "abnormal_loss_class", "abnormal_score_nearest_normal"):
        assert np.isfinite(np.loadtxt(stages / f"results/{name}.csv")).all()


@pytest.mark.slow
def test_normal_windows_alone(waves, tmp_path, capsys, caplog):
    """Of normal.npy alone; a second run replaces the outputs of the first."""
    (tmp_path / "generate").mkdir()
    np.save(tmp_path / "generate/normal.npy", waves)
    network = ("--network", "cae", "--views", "raw", "--epochs", 1, "--mixed-precision", "off")
    results = tmp_path / "results"
    for seed in (0, 1):
        for arguments in (
            ("transform", "--input", tmp_path / "generate", "--output", tmp_path / "transform", "--seed", seed),
            ("train", *train_arguments(tmp_path), *network),
        ):
            main(list(map(str, arguments)))
        assert "24 train_normal, 16 normal, 0 abnormal" in capsys.readouterr().out
        assert json.loads((results / "run.json").read_text())["seed"] == seed
    main(["evaluate", "--detector", str(tmp_path / "models/amsl"), "--results", str(results)])
    assert "no abnormal test windows" in caplog.text
    metrics = json.loads((results / "metrics.json").read_text())["scores"]["ensemble"]
    threshold = metrics["threshold"]
    rate = np.mean(np.loadtxt(results / "normal_score_ensemble.csv", np.float32) >= np.float32(threshold))
    assert metrics["false_positive_rate"] == rate
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["ensemble", "(decides)", f"{rate:.4f}", f"{threshold:.4f}"] in rows
    assert "All test windows are normal" in (results / "report.html").read_text()
    for folder in (tmp_path / "transform", results):
        assert not list(folder.rglob("*abnormal*"))
    # a damaged folder of abnormal windows is not taken for none
    (tmp_path / "transform/test_dataset/abnormal data").mkdir()
    outputs = {"detector": tmp_path / "other", "results": results, "log_dir": tmp_path / "logs"}
    with pytest.raises(AMSLError, match=r"abnormal data/index.csv: not found. Run amsl transform first"):
        train_detector(DetectorConfig(), source=tmp_path / "transform", checkpoint_seconds=60, **outputs)


@pytest.mark.slow
def test_json_and_quiet_output(stages):
    arguments = ("--detector", stages / "models/amsl", "--results", stages / "results")
    finished = script("evaluate", *arguments, "--json")
    assert json.loads(finished.stdout) == json.loads((stages / "results/metrics.json").read_text())
    finished = script("evaluate", *arguments, "--quiet")
    assert (finished.returncode, finished.stdout) == (0, "")
    assert_error(script("evaluate", *arguments, "--quiet", "--json"), "not allowed with")
    assert_error(script("evaluate", "--quiet", "--detector", stages / "typo"), "typo")


@pytest.mark.slow
def test_nothing_fitted_sees_test_windows(stages, tmp_path):
    """Other test windows change the test scores, but detector and training scores are bit-for-bit identical."""
    for name in ("transform", "models"):
        shutil.copytree(stages / name, tmp_path / name)
    for part, ending in (("normal data", "test"), ("abnormal data", "abnormal")):
        for file in (tmp_path / "transform/test_dataset" / part).glob(f"data_*_{ending}.npy"):
            np.save(file, -3 * np.load(file) + 1)
    finished = script("train", *train_arguments(tmp_path), *SETTINGS)
    assert finished.returncode == 0, finished.stderr
    for name in ("config.json", "data.json", "metrics.json"):
        assert (tmp_path / "models/amsl" / name).read_text() == (stages / "models/amsl" / name).read_text()
    with np.load(stages / "models/amsl/state.npz") as before, np.load(tmp_path / "models/amsl/state.npz") as after:
        assert set(before.files) == set(after.files)
        for name in before.files:
            np.testing.assert_array_equal(before[name], after[name])
    for name in ("loss_sum_mse", "loss_class", "loss_sparse", "score_nearest_normal", "view_error"):
        same, other = f"train_normal_{name}.csv", f"normal_{name}.csv"
        assert (tmp_path / "results" / same).read_text() == (stages / "results" / same).read_text()
        assert (tmp_path / "results" / other).read_text() != (stages / "results" / other).read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("preprocessing", "--source", "expected a folder with the folders a01 to a19 of DSADS"),
        ("transformation", "--input", "Run amsl preprocess first"),
        ("train", "--input", "Run amsl transform first"),
        ("evaluate", "--detector", "Name the folder of a saved detector"),
    ],
)
def test_missing_paths_are_errors(name, option, message, tmp_path):
    assert_error(script(name, option, tmp_path / "typo"), f"{name}.py: error:", "typo", message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "--detector", "typo"], "amsl evaluate: error: typo/config.json: not found"),
        (["transform", "--protocol", "person"], "amsl transform: error: argument --protocol: invalid choice"),
        (["trian"], "invalid choice: 'trian'"),
        ([], "amsl: error: the following arguments are required: COMMAND"),
        (["train", "--percentile", "0.98"], "percentile must be a number from 50 to 99.9999"),
    ],
)
def test_invalid_arguments_of_commands_are_errors(arguments, message):
    assert_error(run_python("-m", "amsl_tf", *arguments), message)


@pytest.mark.slow
def test_command_and_script_have_equal_output(stages):
    arguments = ("--detector", stages / "models/amsl", "--results", stages / "results")
    finished = command("evaluate", *arguments)
    assert "ensemble (decides)" in finished.stdout
    assert finished.stdout == script("evaluate", *arguments).stdout


def test_invalid_options_are_errors():
    assert_error(script("train", "--epoch", 3), "unrecognized arguments", "see --help")
    assert_error(script("train", "--epochs", 0), "epochs must be an integer of at least 1. Received: 0.")
    assert_error(script("train", "--model", "memae", "--memory", "none"), "unexpected parameter 'memory' for network 'memae'")


def test_help_has_the_defaults_of_each_network():
    text = " ".join(script("train", "--help").stdout.split())
    assert "passes over the training windows (default: 100)" in text
    assert "compact: sizes divided by 8, 4 epochs (default: paper)" in text
    assert "slots of each memory (amsl, memae: 500; mnad: 10)" in text


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        ([], {}),
        (["--preset", "compact"], {"preset": "compact"}),
        (
            ["--preset", "compact", "--network", "memae", "--epochs", "2"],
            {"preset": "compact", "network": "memae", "epochs": 2},
        ),
    ],
)
def test_preset_of_train(monkeypatch, arguments, settings):
    trained = []
    monkeypatch.setattr(
        "amsl_tf.stages.training.train_detector",
        lambda config, **paths: trained.append(config) or SimpleNamespace(thresholds_={}),
    )
    main(["train", *arguments])
    assert trained == [DetectorConfig.from_settings(**settings)]


@pytest.mark.slow
def test_stages_with_another_network(stages, tmp_path):
    shutil.copytree(stages / "transform", tmp_path / "transform")
    options = ("--model", "rftm", "--epochs", 1, "--cortex-slots", 20, "--mixed-precision", "off")
    finished = script("train", *train_arguments(tmp_path), *options)
    assert finished.returncode == 0, finished.stderr
    arguments = ("--detector", tmp_path / "models/amsl", "--results", tmp_path / "results")
    finished = script("evaluate", *arguments)
    assert finished.returncode == 0, finished.stderr
    assert "hippocampus" in (tmp_path / "results/report.html").read_text()
    windows = tmp_path / "transform/test_dataset/abnormal data/data_raw_abnormal.npy"
    arguments = ("--detector", tmp_path / "models/amsl", "--window", 0, "--output", tmp_path / "one.png")
    finished = script("explain", windows, *arguments)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.slow
def test_stages_without_a_network(stages, tmp_path):
    shutil.copytree(stages / "transform", tmp_path / "transform")
    finished = script("train", *train_arguments(tmp_path), "--network", "none")
    assert finished.returncode == 0, finished.stderr
    assert "tensorboard" not in finished.stdout
    arguments = ("--detector", tmp_path / "models/amsl", "--results", tmp_path / "results")
    finished = script("evaluate", *arguments)
    assert finished.returncode == 0, finished.stderr
    assert "ensemble (decides)" in finished.stdout
    assert "nearest_normal" not in finished.stdout
    page = (tmp_path / "results/report.html").read_text()
    assert "Errors by view" not in page
    assert "Training</h2>" not in page
    assert_error(script("train", *train_arguments(tmp_path), "--network", "none", "--weights", "w.h5"), "nothing is trained")
    assert_error(
        script("train", *train_arguments(tmp_path), "--network", "none", "--score", "reconstruction"), "needs a network"
    )


@pytest.mark.slow
def test_damaged_recording_is_an_error_and_leaves_no_output(stages, tmp_path):
    shutil.copytree(stages / "DASADS", tmp_path / "DASADS")
    file = tmp_path / "DASADS/a12/p1/s02.txt"
    file.write_text(file.read_text().replace(",", ";", 1))
    finished = script("preprocessing", "--source", tmp_path / "DASADS", "--output", tmp_path / "out")
    assert_error(finished, "a12/p1/s02.txt, row 1: expected 45 numbers, found 44")
    assert [item.name for item in tmp_path.iterdir()] == ["DASADS"]


@pytest.mark.slow
def test_invalid_test_subjects_are_errors(stages, tmp_path):
    arguments = ("--input", stages / "generate", "--output", tmp_path / "out", "--protocol", "subject", "--test-subjects", 2, 9)
    assert_error(script("transformation", *arguments), "subject 9 does not occur; there are p1, p2")
    finished = script("transformation", "--input", stages / "generate", "--output", tmp_path / "out", "--test-subjects", 2)
    assert_error(finished, "test subjects need the protocol subject")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_detector_folder_is_checked_before_training(stages, tmp_path):
    (tmp_path / "thesis.txt").touch()
    finished = script("train", "--input", stages / "transform", "--detector", tmp_path, "--results", tmp_path / "results")
    assert_error(finished, "thesis.txt, which amsl_tf does not write")
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.slow
@pytest.mark.parametrize(("option", "folder"), [("--log-dir", "models/amsl/logs"), ("--results", "transform/train_dataset")])
def test_output_folders_are_checked_before_training(stages, tmp_path, option, folder):
    for name in ("models", "generate", "transform"):
        shutil.copytree(stages / name, tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    finished = script("train", *train_arguments(tmp_path), *SETTINGS, option, tmp_path / folder)
    assert_error(finished, str(tmp_path / folder), "Name another folder")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.parametrize("in_use", ["models/.amsl.training", "results"])
def test_outputs_in_use_are_an_error(stages, tmp_path, in_use):
    """A run with other settings would replace one output, and this one the other."""
    outputs = {"detector": tmp_path / "models/amsl", "results": tmp_path / "results", "log_dir": tmp_path / "logs"}
    with locked(tmp_path / in_use), pytest.raises(AMSLError, match=f"{in_use}: in use by another process"):
        train_detector(DetectorConfig(), source=stages / "transform", checkpoint_seconds=60, **outputs)
    assert [item for item in tmp_path.rglob("*") if item.is_file()] == []


@pytest.mark.slow
def test_truncated_and_missing_files_are_errors(stages, tmp_path):
    shutil.copytree(stages / "transform", tmp_path / "transform")
    file = tmp_path / "transform/train_dataset/data_pe_train.npy"
    file.write_bytes(file.read_bytes()[:5000])
    assert_error(script("train", *train_arguments(tmp_path)), "data_pe_train.npy: not a complete .npy file")
    file.unlink()
    assert_error(script("train", *train_arguments(tmp_path)), "data_pe_train.npy: not found")
    shutil.copytree(stages / "results", tmp_path / "results")
    (tmp_path / "results/normal_loss_sum_mse.csv").unlink()
    finished = script("evaluate", "--detector", stages / "models/amsl", "--results", tmp_path / "results")
    assert_error(finished, "normal_loss_sum_mse.csv: not found. Run amsl train first")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_train_resumes_after_sigkill(stages, tmp_path):
    """Run again after SIGKILL, the command has the scores of an uninterrupted training."""
    shutil.copytree(stages / "transform", tmp_path / "transform")
    arguments = [sys.executable, ROOT / "scripts/train.py", *train_arguments(tmp_path), *SETTINGS, "--checkpoint-seconds", 0]
    process = subprocess.Popen(list(map(str, arguments)), stderr=subprocess.DEVNULL)
    kill_when(process, tmp_path / "models/.amsl.training", steps=2)
    assert not (tmp_path / "models/amsl").exists()
    assert [item.name for item in (tmp_path / "results").iterdir()] == [".lock"]
    finished = script("train", *train_arguments(tmp_path), *SETTINGS)
    assert finished.returncode == 0, finished.stderr
    assert "resuming at epoch 1, step " in finished.stderr
    assert [item.name for item in (tmp_path / "models").iterdir()] == ["amsl"]
    for file in (stages / "results").glob("*.csv"):
        assert (tmp_path / "results" / file.name).read_text() == file.read_text()


@pytest.mark.real_data
def test_all_stages_on_real_data(dsads, tmp_path):
    """Two windows of each activity of four subjects."""
    for file in dsads.glob("a*/p[1-4]/s01.txt"):
        target = tmp_path / "DASADS" / file.relative_to(dsads)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(file)
    metrics = run_stages(tmp_path / "DASADS", tmp_path, "--protocol", "subject", "--test-subjects", "3", "p4")
    assert metrics["protocol"] == "subject"
    for values in metrics["scores"].values():
        assert set(values["by_subject"]) == {"p3", "p4"}


@pytest.mark.real_data
def test_all_stages_on_real_series(series_folder, tmp_path):
    metrics = run_stages(series_folder / "skab", tmp_path, dataset="skab")
    for values in metrics["scores"].values():
        assert set(values["by_subject"]) == {"valve1/0", "valve1/1", "valve1/2"}
        assert values["auroc"] > 0.5


@pytest.mark.real_data
def test_recordings_on_real_series(series_folder, tmp_path):
    """A detector from the rows of labelled recordings that are normal, the events of another one, and its page."""
    recordings = series_folder / "skab/valve1"
    options = ("--detector", tmp_path / "detector", "--label", "anomaly", "--drop", "changepoint")
    finished = command("fit", recordings / "0.csv", recordings / "1.csv", *options, "--window", "30s", "--json")
    assert finished.returncode == 0, finished.stderr
    values = json.loads(finished.stdout)
    assert (values["recordings"], values["window_rows"], len(values["channels"])) == (2, 30, 8)
    assert values["abnormal_windows"] > 0
    outputs = ("--output", tmp_path / "windows.csv", "--events", tmp_path / "events.csv")
    finished = command("score", recordings / "2.csv", *options, *outputs, "--json")
    assert finished.returncode == 0, finished.stderr
    windows, events = pd.read_csv(outputs[1]), pd.read_csv(outputs[3])
    assert windows["score"][windows["label"] == 1].mean() > windows["score"][windows["label"] == 0].mean()
    assert len(events) == len(json.loads(finished.stdout)["events"])
    finished = command("report", recordings / "2.csv", *options, "--output", tmp_path / "page.html")
    assert finished.returncode == 0, finished.stderr
    assert f"{len(events)} event" in finished.stdout
    assert "2020-03-09" in (tmp_path / "page.html").read_text()
