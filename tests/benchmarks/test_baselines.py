"""The detectors that AMSL is compared with: each keeps to one interface, and computes what its paper says."""

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis, pdist
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import rbf_kernel

from amsl_tf.data.splits import PROTOCOLS
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
from benchmarks.baselines.held_back import Trained, fit_held_back
from benchmarks.baselines.interface import Normal, load
from benchmarks.controls import nearest
from benchmarks.experiments import read_baselines

FOLDER = Path(interface.__file__).parent
SHARED = {"__init__", "interface", "on_features", "held_back", "networks", "from_pyod", "tails"}
NAMES = [item.name for item in read_baselines()]
NETWORKS = {"cnn_lstm", "lstm_ae", "mscred", "convlstm_ae", "convlstm_comp", "beatgan", "mnad_p", "gdn", "uoda"}


@pytest.fixture
def normal():
    """48 windows (75, 6) of six activities and four people: sines of a frequency for each activity, at any phase."""
    generator = np.random.default_rng(0)
    activity = np.array(["a09", "a10", "a11", "a13", "a14", "a17"])[np.arange(48) % 6]
    subject = np.array(["p1", "p2", "p3", "p4"])[np.arange(48) // 6 % 4]
    frequency = (1 + np.arange(48) % 6)[:, None, None]
    phase = generator.uniform(0, 2 * np.pi, (48, 1, 1))
    x = np.sin(2 * np.pi * frequency * np.arange(75)[:, None] / 75 + phase + np.arange(6)) + generator.normal(
        0, 0.05, (48, 75, 6)
    )
    return Normal(x.astype(np.float32), activity, subject, "window", 0)


def test_every_file_is_an_experiment():
    assert {file.stem for file in FOLDER.glob("*.py")} - SHARED == set(NAMES)
    assert set(NAMES) > NETWORKS


# what trains on all but a part holds the part back alike whatever it is: one of them is enough in the protocol subject
CASES = [(name, protocol) for name in NAMES for protocol in PROTOCOLS if protocol == "window" or name not in NETWORKS - {"gdn"}]


@pytest.mark.parametrize(
    ("name", "protocol"), [pytest.param(*case, marks=[pytest.mark.slow] * (case[0] in NETWORKS | {"lunar"})) for case in CASES]
)
def test_every_baseline_keeps_to_the_interface(name, protocol, normal, monkeypatch):
    if name == "lunar":
        pytest.importorskip("torch")
    monkeypatch.setattr(networks, "MAX_EPOCHS", 2)
    monkeypatch.setattr(hmm, "STATES", (2,))
    monkeypatch.setattr(on_features, "ACTIVITIES", ("a09",))
    fitted = load(name)(replace(normal, protocol=protocol))
    assert np.isfinite(fitted.own).all()
    assert (fitted.groups is None) == (protocol == "window")
    assert fitted.groups is None or len(fitted.groups) == len(fitted.own)
    scores = fitted.score(5 * normal.x)
    assert scores.shape == (48,)
    assert roc_auc_score([False] * len(fitted.own) + [True] * 48, [*fitted.own, *scores]) > 0.9
    alone = np.concatenate([fitted.score(5 * normal.x[row : row + 1]) for row in range(5)])
    np.testing.assert_allclose(alone, scores[:5], rtol=1e-4)
    assert (fitted.parameters is not None) == (name in NETWORKS)
    json.dumps(fitted.about)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_learns(name, monkeypatch):
    """Windows of two kinds; loud windows, as above, get a high score from untrained networks too."""
    monkeypatch.setattr(networks, "BATCH_SIZE", 4)
    cycles = (1 + np.arange(48) % 2)[:, None, None]
    x = np.sin(2 * np.pi * cycles * np.arange(75)[:, None] / 75 + np.arange(6)).astype(np.float32)
    losses = []
    for epochs in (1, 10):
        monkeypatch.setattr(networks, "MAX_EPOCHS", epochs)
        fitted = load(name)(Normal(x, np.full(48, "a09"), np.full(48, "p1"), "window", 0))
        losses.append(fitted.about["validation loss"])
    assert losses[1] < 0.7 * losses[0]


def test_the_features_are_chosen_by_pseudo_anomalies(normal, rng):
    """An activity that is more quiet than the others is near to them, but for the logarithm of its spectrum."""
    loudness = 2.0 ** np.unique(normal.activity, return_inverse=True)[1]
    fitted = knn.fit(replace(normal, x=rng.normal(size=normal.x.shape) * loudness[:, None, None]))
    ratings = fitted.about["pseudo-anomalies"]
    assert fitted.about["features"] == "log spectra"
    assert max(ratings, key=ratings.get).startswith("log spectra")
    assert len(ratings) == 6


@pytest.mark.parametrize("name", ["ecod", "copod"])
def test_a_windows_tails_are_those_of_pyod_where_it_is_scored_alone(name, rng):
    pyod = pytest.importorskip(f"pyod.models.{name}")
    train, others = rng.exponential(size=(200, 5)) * [1, -1, 1, -1, 1], rng.normal(size=(20, 5))
    theirs = getattr(pyod, name.upper())().fit(train)
    scores = tails.by_tails({"ecod": ecod.join, "copod": copod.join}[name], train)(others)
    np.testing.assert_allclose(scores, [theirs.decision_function(row[None])[0] for row in others])


def test_kernel_pca_leaves_what_the_components_do_not_hold(rng):
    x = rng.normal(size=(30, 4))
    errors = kernel_pca.method(5)(x)(x)
    gamma = 1 / np.median(pdist(x)) ** 2
    centre = np.eye(30) - 1 / 30
    values, vectors = np.linalg.eigh(centre @ rbf_kernel(x, gamma=gamma) @ centre)
    np.testing.assert_allclose(errors, (values[:-5] * vectors[:, :-5] ** 2).sum(axis=1), atol=1e-6)


def test_the_number_of_states_is_that_of_the_data(rng, monkeypatch):
    """Steps that jump between three places."""
    places = rng.integers(0, 3, (40, 50))
    x = 5 * np.eye(3)[places] + rng.normal(0, 0.3, (40, 50, 3))
    monkeypatch.setattr(hmm, "STATES", (1, 3))
    trained = hmm.train(x[:30], x[30:], seed=0)
    assert trained.about == {"states": 3}
    assert trained.score(x[30:]).mean() < hmm.score(hmm._fit(x[:30], 1, seed=0), x[30:]).mean() - 50


def test_mahalanobis(rng):
    errors = rng.normal(size=(50, 6, 3)) * [1, 2, 3] + 1
    steps = errors.reshape(-1, 3)
    inverse = np.linalg.inv(np.cov(steps.T))
    expected = [np.mean([mahalanobis(step, steps.mean(axis=0), inverse) ** 2 for step in window]) for window in errors]
    np.testing.assert_allclose(lstm_ae.mahalanobis(errors)(errors), expected, rtol=1e-4)


def test_signatures():
    """Of a channel of ones and one of twos in the last ten steps: products 1, 2 and 4, which the longer means thin out."""
    x = np.ones((2, 75, 2)) * [1, 2]
    x[:, :-10] = 0
    found = mscred.signatures(x)
    assert found.shape == (2, 5, 2, 2, 3)
    np.testing.assert_allclose(found[0, -1, :, :, 0], [[1, 2], [2, 4]])
    np.testing.assert_allclose(found[0, -1, :, :, 1], np.array([[1, 2], [2, 4]]) / 3)
    assert not found[:, :-1].any()  # the steps before the last ten are still
    np.testing.assert_array_equal(mscred.signatures(x, 1), found[:, -1:])


def test_attention_weighs_moments_by_their_likeness_to_the_last():
    """Products with the last state 0, 5 and 1, divided by 5."""
    states = np.zeros((1, 3, 1, 1, 2), "float32")
    states[0, :, 0, 0] = [[0, 7], [5, 0], [1, 0]]
    weights = np.exp([0, 1, 0.2])
    expected = (weights / weights.sum()) @ states[0, :, 0, 0]
    np.testing.assert_allclose(mscred.attend(states)[0, 0, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["cnn_lstm", "gdn"])
def test_a_prediction_does_not_see_what_it_predicts(name, rng):
    """Changing the steps from 40 on changes nothing of what is predicted for those before, and for 40."""
    module = import_module(f"benchmarks.baselines.{name}")
    x = rng.normal(size=(2, 75, 4)).astype(np.float32)
    changed = x.copy()
    changed[:, 40:] += 1
    model = module.build((75, 4))
    shown, first, gap = (75, gdn.PAST, gdn.GAP) if name == "gdn" else (74, cnn_lstm.FIRST, 1)
    one, other = (np.asarray(model(values[:, :shown])) for values in (x, changed))
    count = (40 - first) // gap + 1
    np.testing.assert_allclose(one[:, :count], other[:, :count], atol=1e-6)
    assert np.abs(one[:, count:] - other[:, count:]).max(axis=(0, 2)).min() > 0


def test_a_composite_gives_back_in_reverse_and_goes_on():
    film = np.arange(75.0).reshape(1, 75, 1)
    steps = convlstm_comp.targets(film)[0, :, 0, 0, 0]
    assert steps.tolist() == [30, 15, 0, 45, 60]


def test_what_is_held_back_is_not_trained_on(normal):
    """In the protocol subject the last person; channels are scaled by the others."""
    given = {}

    def train(train, held_back, seed):
        given.update(train=train, held_back=held_back)
        return Trained(lambda x: x.mean(axis=(1, 2)), None, {})

    loud = replace(normal, x=np.where(normal.subject[:, None, None] == "p4", 9, 1) * normal.x + 5, protocol="subject")
    fitted = fit_held_back(train, loud)
    assert set(fitted.groups) == {"p4"}
    assert len(given["train"]) == 36
    np.testing.assert_allclose(given["train"].mean(axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(given["train"].std(axis=(0, 1)), 1, atol=1e-5)
    assert given["held_back"].std() > 5
    np.testing.assert_allclose(fitted.own, fitted.score(loud.x[loud.subject == "p4"]))


def test_own_scores_are_of_windows_left_out(normal):
    """Each window is its own nearest neighbour where it is not left out."""
    own, score, _ = on_features.fit(features.raw, nearest, normal.x, None)
    assert own.min() > 1
    np.testing.assert_allclose(score(normal.x), 0, atol=1e-3)


def test_the_deviation_of_a_graph_is_its_largest(rng):
    normal = rng.normal(size=(500, 4, 3)) * [1, 10, 100]
    score = gdn.deviation(normal)
    low, median, high = np.percentile(np.abs(normal), (25, 50, 75), axis=(0, 1))
    moments = [[0, 0, 500], [0, 0, -700], [30, 0, 0], [0, 90, 0]]
    worst = [(value - median[channel]) / (high - low)[channel] for value, channel in ((500, 2), (700, 2), (30, 0), (90, 1))]
    np.testing.assert_allclose(score(np.array([moments], float)), [np.mean(worst)], rtol=1e-5)


def test_a_channel_is_told_of_itself_and_its_neighbours():
    layer = gdn.GraphAttention()
    layer.build((None, 3, 40, gdn.PAST))
    neighbours = np.asarray(layer._neighbours())
    assert neighbours.diagonal().all()
    assert (neighbours.sum(axis=1) == gdn.NEIGHBOURS + 1).all()


@pytest.mark.parametrize(("missing", "expected"), [("pyod.models", "-r requirements-baselines"), ("torch", "torch")])
def test_a_missing_package_is_one_line(missing, expected, monkeypatch):
    def refuse(name):
        raise ModuleNotFoundError(f"No module named {name}", name=missing)

    monkeypatch.setattr(interface, "import_module", refuse)
    package = missing.partition(".")[0]
    with pytest.raises(AMSLError, match=rf"knn needs {package}, which is not installed\. Run: pip install {expected}"):
        load("knn")


def test_the_table_is_ordered_and_its_page_says_who_is_on_top(generated):
    (generated / "README.md").write_text(f"{accuracy_table.START}\n{accuracy_table.END}\n")
    accuracy.run(generated, generated / "results", generated / "work", ["knn"], ["window"], generated)
    about = json.loads((generated / "results/knn.window.0.json").read_text())
    assert about["cost"]["windows_per_second"] > 0
    text = (generated / "RESULTS.md").read_text()
    assert "is that of k nearest neighbours, own score." in text.split("Made by")[0]
    rows = [line for line in text.partition("### Table 3, protocol window")[2].splitlines() if line.startswith("| ")][1:]
    assert rows[0].startswith("| [k nearest neighbours](benchmarks/baselines/knn.py) |  | ")
    assert "| [GDN](benchmarks/baselines/gdn.py) | 0.8419 | not run |" in text


def test_where_another_is_on_top_the_place_of_amsl_is_said():
    found = {
        ("amsl", "window", 0): {"scores": {"nearest_normal": {"f1": 0.9}, "reconstruction": {"f1": 0.7}}},
        ("knn", "window", 0): {"scores": {"own": {"f1": 0.95}}},
        ("upstream", "window", 0): {"scores": {"means of 16": {"f1": 0.99}}},  # windows share it
        ("bank_500", "window", 0): {"scores": {"nearest_normal": {"f1": 0.96}}},  # the same network once more
    }
    expected = "is that of k nearest neighbours, own score; AMSL, nearest normal score, has 0.900, place 2 of 3 scores."
    assert (
        accuracy_table.first_lines(found)
        == f"Protocol window, first run: the highest F1 of the summary and Table 3, 0.950, {expected}"
    )


def test_scores_are_of_the_first_run_and_costs_of_the_first_that_has_them():
    costs = [{"seconds": None, "windows_per_second": 30.4, "parameters": 1234}, {"seconds": 61.5, "windows_per_second": 20.0}]
    f1, others = (0.9, 0.7), {"auroc": 0.8, "recall_normal": 0.75, "recall_abnormal": 0.6}
    found = {
        ("amsl", "window", number): {"cost": cost, "scores": {"reconstruction": {"f1": f1[number], **others}}}
        for number, cost in enumerate(costs)
    }
    text = baselines_table.tables(found)
    assert "| AMSL, reconstruction | 0.9352 | 0.900 | 0.800 | 0.250 | 0.600 |  |  | 62 | 30 | 1,234 |  |" in text
