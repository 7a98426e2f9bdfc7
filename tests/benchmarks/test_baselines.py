"""The baselines: their common interface, and the computations of each."""

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis, pdist
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import rbf_kernel

from amsl_tf.config import TrainingConfig
from amsl_tf.data.splits import PROTOCOLS, validation_split
from amsl_tf.errors import AMSLError
from benchmarks import accuracy, accuracy_table, baselines_table, features
from benchmarks.baselines import (
    cnn_lstm,
    convlstm_comp,
    copod,
    ecod,
    gdn,
    hmm,
    interface,
    kernel_pca,
    knn,
    lstm_ae,
    mscred,
    networks,
    on_features,
    tails,
)
from benchmarks.baselines.held_out import TrainedModel, fit_held_out
from benchmarks.baselines.interface import NormalData, load
from benchmarks.controls import nearest
from benchmarks.experiments import read_baselines
from tests.benchmarks.conftest import table_rows, write_page

FOLDER = Path(interface.__file__).parent
SHARED = {"__init__", "interface", "on_features", "held_out", "networks", "from_pyod", "tails"}
NAMES = [item.name for item in read_baselines()]
NETWORKS = {"cnn_lstm", "lstm_ae", "mscred", "convlstm_ae", "convlstm_comp", "beatgan", "mnad_p", "gdn", "uoda"}


@pytest.fixture
def normal():
    """48 windows (75, 6) of six activities and four subjects: sines with a frequency for each activity and random phases."""
    generator = np.random.default_rng(0)
    activity = np.array(["a09", "a10", "a11", "a13", "a14", "a17"])[np.arange(48) % 6]
    subject = np.array(["p1", "p2", "p3", "p4"])[np.arange(48) // 6 % 4]
    frequency = (1 + np.arange(48) % 6)[:, None, None]
    phase = generator.uniform(0, 2 * np.pi, (48, 1, 1))
    x = np.sin(2 * np.pi * frequency * np.arange(75)[:, None] / 75 + phase + np.arange(6)) + generator.normal(
        0, 0.05, (48, 75, 6)
    )
    return NormalData(x.astype(np.float32), activity, subject, "window", 0)


def test_every_module_is_an_experiment():
    assert {file.stem for file in FOLDER.glob("*.py")} - SHARED == set(NAMES)
    assert set(NAMES) > NETWORKS


# the networks share their way to hold windows out: in the protocol subject one of them is enough
CASES = [(name, protocol) for name in NAMES for protocol in PROTOCOLS if protocol == "window" or name not in NETWORKS - {"gdn"}]


@pytest.mark.parametrize(
    ("name", "protocol"), [pytest.param(*case, marks=[pytest.mark.slow] * (case[0] in NETWORKS | {"lunar"})) for case in CASES]
)
def test_interface_of_every_baseline(name, protocol, normal, monkeypatch):
    if name == "lunar":
        pytest.importorskip("torch")
    monkeypatch.setattr(networks, "MAX_EPOCHS", 2)
    monkeypatch.setattr(hmm, "STATES", (2,))
    monkeypatch.setattr(on_features, "ACTIVITIES", ("a09",))
    fitted = load(name)(replace(normal, protocol=protocol))
    assert np.isfinite(fitted.training_scores).all()
    assert (fitted.groups is None) == (protocol == "window")
    assert fitted.groups is None or len(fitted.groups) == len(fitted.training_scores)
    scores = fitted.score(5 * normal.x)
    assert scores.shape == (48,)
    assert roc_auc_score([False] * len(fitted.training_scores) + [True] * 48, [*fitted.training_scores, *scores]) > 0.9
    alone = np.concatenate([fitted.score(5 * normal.x[row : row + 1]) for row in range(5)])
    np.testing.assert_allclose(alone, scores[:5], rtol=1e-4)
    assert (fitted.parameters is not None) == (name in NETWORKS)
    json.dumps(fitted.selected)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_learns(name, monkeypatch):
    """The validation loss falls; windows with a large amplitude, as above, get high scores from untrained networks too."""
    monkeypatch.setattr(networks, "BATCH_SIZE", 4)
    cycles = (1 + np.arange(48) % 2)[:, None, None]
    x = np.sin(2 * np.pi * cycles * np.arange(75)[:, None] / 75 + np.arange(6)).astype(np.float32)
    losses = []
    for epochs in (1, 10):
        monkeypatch.setattr(networks, "MAX_EPOCHS", epochs)
        fitted = load(name)(NormalData(x, np.full(48, "a09"), np.full(48, "p1"), "window", 0))
        losses.append(fitted.selected["validation loss"])
    assert losses[1] < 0.7 * losses[0]


def test_features_are_selected_by_pseudo_anomalies(normal, rng):
    """An activity with a smaller amplitude is near the others in all features but the log spectra."""
    amplitude = 2.0 ** np.unique(normal.activity, return_inverse=True)[1]
    fitted = knn.fit(replace(normal, x=rng.normal(size=normal.x.shape) * amplitude[:, None, None]))
    auroc = fitted.selected["pseudo-anomalies"]
    assert fitted.selected["features"] == "log spectra"
    assert max(auroc, key=auroc.get).startswith("log spectra")
    assert len(auroc) == 6


@pytest.mark.parametrize("name", ["ecod", "copod"])
def test_tails_agree_with_pyod_for_single_windows(name, rng):
    pyod = pytest.importorskip(f"pyod.models.{name}")
    train, others = rng.exponential(size=(200, 5)) * [1, -1, 1, -1, 1], rng.normal(size=(20, 5))
    reference = getattr(pyod, name.upper())().fit(train)
    scores = tails.by_tails({"ecod": ecod.join, "copod": copod.join}[name], train)(others)
    np.testing.assert_allclose(scores, [reference.decision_function(row[None])[0] for row in others])


def test_kernel_pca_residual(rng):
    x = rng.normal(size=(30, 4))
    errors = kernel_pca.method(5)(x)(x)
    gamma = 1 / np.median(pdist(x)) ** 2
    centre = np.eye(30) - 1 / 30
    values, vectors = np.linalg.eigh(centre @ rbf_kernel(x, gamma=gamma) @ centre)
    np.testing.assert_allclose(errors, (values[:-5] * vectors[:, :-5] ** 2).sum(axis=1), atol=1e-6)


def test_number_of_states_is_selected(rng, monkeypatch):
    """Time steps alternate between three values."""
    states = rng.integers(0, 3, (40, 50))
    x = 5 * np.eye(3)[states] + rng.normal(0, 0.3, (40, 50, 3))
    monkeypatch.setattr(hmm, "STATES", (1, 3))
    model = hmm.train(x[:30], x[30:], seed=0)
    assert model.selected == {"states": 3}
    assert model.score(x[30:]).mean() < hmm.score(hmm._fit(x[:30], 1, seed=0), x[30:]).mean() - 50


def test_mahalanobis(rng):
    errors = rng.normal(size=(50, 6, 3)) * [1, 2, 3] + 1
    steps = errors.reshape(-1, 3)
    inverse = np.linalg.inv(np.cov(steps.T))
    expected = [np.mean([mahalanobis(step, steps.mean(axis=0), inverse) ** 2 for step in window]) for window in errors]
    np.testing.assert_allclose(lstm_ae.mahalanobis(errors)(errors), expected, rtol=1e-4)


def test_signatures():
    """Ones and twos in the last ten steps: products of 1, 2 and 4, which longer means dilute."""
    x = np.ones((2, 75, 2)) * [1, 2]
    x[:, :-10] = 0
    matrices = mscred.signatures(x)
    assert matrices.shape == (2, 5, 2, 2, 3)
    np.testing.assert_allclose(matrices[0, -1, :, :, 0], [[1, 2], [2, 4]])
    np.testing.assert_allclose(matrices[0, -1, :, :, 1], np.array([[1, 2], [2, 4]]) / 3)
    assert not matrices[:, :-1].any()  # the steps before the last ten are zero
    np.testing.assert_array_equal(mscred.signatures(x, 1), matrices[:, -1:])


def test_attention_weights():
    """The inner products with the last state are 0, 5 and 1, divided by 5."""
    states = np.zeros((1, 3, 1, 1, 2), "float32")
    states[0, :, 0, 0] = [[0, 7], [5, 0], [1, 0]]
    weights = np.exp([0, 1, 0.2])
    expected = (weights / weights.sum()) @ states[0, :, 0, 0]
    np.testing.assert_allclose(mscred.attend(states)[0, 0, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["cnn_lstm", "gdn"])
def test_predictions_are_causal(name, rng):
    """Changes from step 40 on do not affect the predictions up to step 40."""
    module = import_module(f"benchmarks.baselines.{name}")
    x = rng.normal(size=(2, 75, 4)).astype(np.float32)
    changed = x.copy()
    changed[:, 40:] += 1
    model = module.build((75, 4))
    length, first, gap = (75, gdn.PAST, gdn.GAP) if name == "gdn" else (74, cnn_lstm.FIRST, 1)
    one, other = (np.asarray(model(values[:, :length])) for values in (x, changed))
    count = (40 - first) // gap + 1
    np.testing.assert_allclose(one[:, :count], other[:, :count], atol=1e-6)
    assert np.abs(one[:, count:] - other[:, count:]).max(axis=(0, 2)).min() > 0


def test_composite_targets():
    window = np.arange(75.0).reshape(1, 75, 1)
    steps = convlstm_comp.targets(window)[0, :, 0, 0, 0]
    assert steps.tolist() == [30, 15, 0, 45, 60]


def test_held_out_windows_are_not_trained_on(normal):
    """In the protocol subject the windows of one subject are held out; the others standardise the channels."""
    received = {}

    def train(train, held_out, seed):
        received.update(train=train, held_out=held_out)
        return TrainedModel(lambda x: x.mean(axis=(1, 2)), None, {})

    _, positions = validation_split(len(normal.x), TrainingConfig().validation_share, normal.seed, normal.subject)
    (subject,) = set(normal.subject[positions])
    loud = replace(normal, x=np.where(normal.subject[:, None, None] == subject, 9, 1) * normal.x + 5, protocol="subject")
    fitted = fit_held_out(train, loud)
    assert set(fitted.groups) == {subject}
    assert len(received["train"]) == 36
    np.testing.assert_allclose(received["train"].mean(axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(received["train"].std(axis=(0, 1)), 1, atol=1e-5)
    assert received["held_out"].std() > 5
    np.testing.assert_allclose(fitted.training_scores, fitted.score(loud.x[loud.subject == subject]))


def test_training_scores_are_cross_validated(normal):
    """A window that is not left out is its own nearest neighbour."""
    training_scores, score, _ = on_features.fit(features.raw, nearest, normal.x, None)
    assert training_scores.min() > 1
    np.testing.assert_allclose(score(normal.x), 0, atol=1e-3)


def test_graph_deviation(rng):
    normal = rng.normal(size=(500, 4, 3)) * [1, 10, 100]
    score = gdn.deviation(normal)
    low, median, high = np.percentile(np.abs(normal), (25, 50, 75), axis=(0, 1))
    errors = [[0, 0, 500], [0, 0, -700], [30, 0, 0], [0, 90, 0]]
    largest = [(value - median[channel]) / (high - low)[channel] for value, channel in ((500, 2), (700, 2), (30, 0), (90, 1))]
    np.testing.assert_allclose(score(np.array([errors], float)), [np.mean(largest)], rtol=1e-5)


def test_graph_neighbours_include_the_channel():
    layer = gdn.GraphAttention()
    layer.build((None, 3, 40, gdn.PAST))
    neighbours = np.asarray(layer._neighbours())
    assert neighbours.diagonal().all()
    assert (neighbours.sum(axis=1) == gdn.NEIGHBOURS + 1).all()


@pytest.mark.parametrize(("missing", "expected"), [("pyod.models", r"'\.\[baselines\]'"), ("torch", "torch")])
def test_missing_package_is_an_error(missing, expected, monkeypatch):
    def refuse(name):
        raise ModuleNotFoundError(f"No module named {name}", name=missing)

    monkeypatch.setattr(interface, "import_module", refuse)
    package = missing.partition(".")[0]
    with pytest.raises(AMSLError, match=rf"knn needs {package}, which is not installed\. Run pip install {expected}\."):
        load("knn")


def test_table_is_ordered_and_the_best_method_is_named(generated):
    for page in (accuracy_table.README, accuracy_table.SUMMARY):
        write_page(generated / page, accuracy_table.SECTION)
    accuracy.run(generated, generated / "results", generated / "work", ["knn"], ["window"], generated)
    result = json.loads((generated / "results/knn.window.0.json").read_text())
    assert result["cost"]["windows_per_second"] > 0
    text = (generated / "RESULTS.md").read_text()
    assert text.split("Generated by")[0].strip().endswith(": k nearest neighbours.")
    head, *rows = table_rows(text.partition("### Table 3, protocol window")[2].partition("###")[0])
    assert head[0] == "method"
    assert rows[0][:2] == ["k nearest neighbours", ""]
    assert ["GDN", "0.8419", "not run"] in [row[:3] for row in rows]


def test_rank_of_amsl():
    found = {
        ("amsl", "window", 0): {"scores": {"nearest_normal": {"f1": 0.9}, "reconstruction": {"f1": 0.7}}},
        ("knn", "window", 0): {"scores": {"own": {"f1": 0.95}}},
        ("upstream", "window", 0): {"scores": {"means of 16": {"f1": 0.99}}},  # shared by a batch
        ("bank_500", "window", 0): {"scores": {"nearest_normal": {"f1": 0.96}}},  # not in the summary
    }
    assert accuracy_table.describe_best(found) == (
        "Protocol window, first run: the highest F1 of the summary and Table 3 is 0.950: k nearest neighbours; "
        "AMSL, with the nearest normal score, has 0.900 and ranks 2 of 3."
    )


def test_scores_are_of_the_first_run_and_costs_of_the_first_measured():
    costs = [{"seconds": None, "windows_per_second": 30.4, "parameters": 1234}, {"seconds": 61.5, "windows_per_second": 20.0}]
    f1, others = (0.9, 0.7), {"auroc": 0.8, "recall_normal": 0.75, "recall_abnormal": 0.6}
    found = {
        ("amsl", "window", number): {"cost": cost, "scores": {"reconstruction": {"f1": f1[number], **others}}}
        for number, cost in enumerate(costs)
    }
    metrics = ["0.9352", "0.900", "0.800", "0.250", "0.600", "", ""]
    assert ["AMSL, reconstruction", *metrics, "62", "30", "1,234", ""] in table_rows(baselines_table.tables(found))
