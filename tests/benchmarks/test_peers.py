"""The peers: their contract, and the computations of the adaptors and of the detectors."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from amsl_tf.errors import AMSLError, DataError
from benchmarks import packages
from benchmarks.peers import PEERS, adaptors, fit_peer
from benchmarks.peers.adaptors import SlidingWindows, on_time_steps, on_windows, score_steps, spaced, training_windows
from benchmarks.peers.scaling import fit_scaling
from tests.test_imports import modules_after

WINDOW = 24
BURST = slice(150, 180)
NETWORKS = ("cnn", "autoencoder", "paano")
ON_TIME_STEPS = {"z_score", "pca_steps", "knn", "lof", "isolation_forest", "ocsvm", "ecod", "hbos", "autoencoder"}


def recording(rows, start, rng):
    """Sines with noise, their sum, a constant channel, and one that is constant in training."""
    time = start + np.arange(rows)[:, None]
    sines = np.sin(2 * np.pi * time / [12, 20] + [0, 1])
    signals = np.concatenate([sines, sines.sum(axis=1, keepdims=True)], axis=1) + rng.normal(0, 0.05, (rows, 3))
    return np.concatenate([10 * signals, np.full((rows, 2), 0.1)], axis=1)


@pytest.fixture(scope="module")
def data():
    """Two training recordings, a normal test recording, and the same with a burst of noise for 30 rows."""
    rng = np.random.default_rng(0)
    train, normal = [recording(400, 0, rng), recording(200, 77, rng)], recording(300, 1234, rng)
    normal[:, 4] += 0.2
    abnormal = normal.copy()
    abnormal[BURST, :3] = rng.normal(0, 30, (30, 3))
    return train, normal, abnormal


@pytest.fixture
def short_training(monkeypatch):
    def shorten(name):
        if name in ("cnn", "autoencoder"):
            from benchmarks.peers import networks

            monkeypatch.setattr(networks, "EPOCHS", 2)
        if name == "paano":
            from benchmarks.peers import paano

            for setting, value in {"FILTERS": (16, 16, 16, 16), "ITERATIONS": 11, "BATCH_SIZE": 16, "MIN_BANK": 50}.items():
                monkeypatch.setattr(paano, setting, value)

    return shorten


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in NETWORKS else ()) for name in PEERS if name != "random"]
)
def test_contract(name, data, short_training):
    train, normal, abnormal = data
    short_training(name)
    score = fit_peer(name, train, WINDOW, seed=1)
    scores, normal_scores = score([abnormal, normal])
    for values in (scores, normal_scores):
        assert values.shape == (300,)
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
    is_abnormal = np.zeros(300, bool)
    is_abnormal[BURST] = True
    assert roc_auc_score(is_abnormal, scores) > 0.9
    assert scores[BURST].mean() > 1.2 * normal_scores[BURST].mean()
    # the scores of other time steps, of this recording and of the other, do not depend on the burst
    distant = np.r_[: 150 - WINDOW, 180 + WINDOW : 300]
    np.testing.assert_allclose(scores[distant], normal_scores[distant], rtol=1e-3, atol=1e-5)
    [alone] = score([normal])
    np.testing.assert_allclose(alone, normal_scores, rtol=1e-4, atol=1e-6)
    if name in ON_TIME_STEPS:
        [part] = score([normal[40 : 40 + WINDOW]])
        np.testing.assert_allclose(part, normal_scores[40 : 40 + WINDOW], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_depend_on_the_seed_alone(name, data, short_training):
    train, normal, _ = data
    short_training(name)
    first, again, second = (fit_peer(name, [train[1]], WINDOW, seed)([normal])[0] for seed in (1, 1, 2))
    np.testing.assert_allclose(again, first, rtol=1e-3, atol=1e-5)
    assert not np.allclose(first, second, rtol=1e-2)


def test_random_scores(data):
    train, normal, _ = data
    for seed in (1, 2):
        first, again = (fit_peer("random", train, WINDOW, seed)([normal])[0] for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert 0 <= first.min() < 0.1 < 0.9 < first.max() <= 1


def test_import_is_light():
    assert modules_after("import benchmarks.peers", "tensorflow", "keras", "pyod", "aeon", "torch", "numba") == set()


def test_missing_package_and_unknown_name(monkeypatch):
    monkeypatch.setitem(packages.INSTALL, "absent_package", "'.[absent]'")
    monkeypatch.setitem(PEERS._parts, "mine", "absent_package.module:fit")
    with pytest.raises(AMSLError, match=r"^mine needs absent_package, which is not installed. Run pip install '.\[absent\]'.$"):
        fit_peer("mine", [np.zeros((20, 1))], 10, 0)
    with pytest.raises(AMSLError, match="peer must be one of random, z_score, pca_steps"):
        fit_peer("theirs", [np.zeros((20, 1))], 10, 0)


@pytest.mark.parametrize(
    ("train", "test", "window", "message"),
    [
        (np.zeros((20, 2)), np.zeros((20, 2)), 8, "at least 9 rows. Received: 8"),
        (np.zeros((20, 2)), np.zeros((20, 2)), 21, "training recording must have at least 21 rows, one window. .* at most 20"),
        (np.zeros((20, 2)), np.zeros((9, 2)), 10, "at least 10 rows, one window, to be scored. Received: 9"),
        (np.zeros((20, 2)), np.zeros((20, 3)), 10, r"shape \(rows, 2\). Received: \(20, 3\)"),
        (np.zeros((20, 2)), np.full((20, 2), np.nan), 10, "finite. Received: nan in row 0, channel 0"),
        (np.full((20, 2), np.inf), np.zeros((20, 2)), 10, "finite. Received: inf in row 0, channel 0"),
    ],
)
def test_unusable_data(train, test, window, message):
    with pytest.raises(DataError, match=message):
        fit_peer("z_score", [train], window, 0)([test])


def test_scaling():
    """The channels have mean 1 and deviation 1, mean 10 and deviation 10, and a constant value that float32 cannot hold."""
    x = np.array([[0, 0, 0.1], [2, 20, 0.1]], np.float32)
    scale = fit_scaling([x, x[::-1]])
    scaled = scale(np.array([[4, -30, 0.1], [1e30, 10, 7.1], [-1e30, 10, -50]], np.float32))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [[3, -4, 0], [1000, 0, 7], [-1000, 0, -10]], atol=1e-6)


def test_z_score():
    train = np.resize([[0, 0], [2, 20]], (20, 2))
    test = np.resize([[4, 10], [1, -40]], (10, 2))
    [scores] = fit_peer("z_score", [train], 10, 0)([test])
    np.testing.assert_allclose(scores, np.resize([3, 5], 10))


def test_windows_do_not_cross_borders():
    """Rows 0 to 6, then rows 10 to 12, of which there is no window, then rows 20 to 24."""
    recordings = [np.arange(first, end)[:, None] for first, end in ((0, 7), (10, 13), (20, 25))]
    windows = SlidingWindows(recordings, 4, 2)
    assert [rows.tolist() for rows in windows.rows] == [[0, 2], [], [0]]
    assert windows.recording.tolist() == [0, 0, 2]
    assert windows[:][:, :, 0].tolist() == [[0, 1, 2, 3], [2, 3, 4, 5], [20, 21, 22, 23]]
    assert windows.sample(2)[:, 0, 0].tolist() == [0, 20]
    assert spaced(5, 5).tolist() == [0, 1, 2, 3, 4]
    assert spaced(9, 3).tolist() == [0, 4, 8]


@pytest.mark.parametrize(
    ("rows", "steps", "starts"),
    [
        (13, 4, range(10)),  # 10 windows with a stride of 1
        (35, 6, range(0, 30, 3)),  # 30 windows, every third
        (43, 4, [2 * place for place in spaced(20, 15)]),  # a stride of half a window, but at most 15 windows
    ],
)
def test_training_windows(rows, steps, starts, monkeypatch):
    monkeypatch.setattr(adaptors, "MAX_ITEMS", 15)
    windows = training_windows([np.arange(rows)[:, None]], steps, target=10)
    assert windows.shape[1:] == (steps, 1)
    assert windows[:, 0, 0].tolist() == list(starts)


def test_time_steps_are_sampled_and_scored_by_recording():
    seen = []

    def method(normal, seed):
        seen.append((normal[:, 0].tolist(), seed))
        return lambda steps: steps[:, 0]

    recordings = [np.arange(3.0)[:, None], np.arange(10.0, 16)[:, None]]
    scores = on_time_steps(method, most=3)(recordings, 2, 7)(recordings)
    assert seen == [([0, 11, 15], 7)]
    assert [values.tolist() for values in scores] == [[0, 1, 2], [10, 11, 12, 13, 14, 15]]


def test_scores_of_windows_become_scores_of_time_steps(monkeypatch):
    """The score of a window is its first value; windows start at rows 0, 2 and 4 of 9, and at row 0 of 4, in batches of 3."""
    monkeypatch.setattr(adaptors, "BATCH", 3)
    recordings = [np.arange(9.0)[:, None], np.arange(100.0, 104)[:, None]]
    scores = score_steps(lambda windows: windows[:, 0, 0], recordings, 4, 2, covered=4)
    assert [values.tolist() for values in scores] == [[0, 0, 1, 1, 3, 3, 4, 4, 4], [100] * 4]
    scores = score_steps(lambda windows: windows[:, 0, 0], recordings, 4, 1, covered=1)
    assert [values.tolist() for values in scores] == [[0, 0, 0, 0, 1, 2, 3, 4, 5], [100] * 4]
    fitted = on_windows(lambda normal, seed: lambda windows: windows[:, 0, 0])(
        recordings[:1], 4, 0
    )  # stride 4 // 8, at least 1
    assert fitted(recordings[1:])[0].tolist() == [100] * 4


@pytest.mark.parametrize(("name", "shape"), [("pca_steps", (200, 6)), ("pca_windows", (200, 10, 6))])
def test_pca_residual(name, shape, rng):
    from benchmarks.peers import pca

    x = (rng.normal(size=(*shape[:-1], 2)) @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=shape)).astype(np.float32)
    flat = x.reshape(200, -1)
    model = PCA(0.95, svd_solver="full").fit(flat)
    expected = np.square(flat - model.inverse_transform(model.transform(flat))).sum(axis=1)
    assert 1 < model.n_components_ < flat.shape[1]
    np.testing.assert_allclose(pca.method(x, 0)(x), expected, rtol=1e-3)


def test_pca_keeps_a_residual():
    """Of one channel no component is kept: the distance from the mean remains."""
    from benchmarks.peers import pca

    np.testing.assert_allclose(pca.method(np.array([[1.0], [3.0]]), 0)(np.array([[5.0]])), [9])


def test_knn_is_the_mean_distance(rng):
    train, test = rng.normal(size=(300, 3)), rng.normal(size=(20, 3))
    [scores] = fit_peer("knn", [train], 10, 0)([test])
    scaled, others = ((x - train.mean(axis=0)) / train.std(axis=0) for x in (train, test))
    np.testing.assert_allclose(scores, np.sort(cdist(others, scaled), axis=1)[:, :50].mean(axis=1), rtol=1e-5)


def naive_profile(test, train, steps):
    """Computes the matrix profile of one channel against another with a double loop."""

    def standardised(values):
        return (values - values.mean()) / values.std() if np.ptp(values) else np.zeros(steps)

    return np.array(
        [
            min(
                np.linalg.norm(standardised(test[first : first + steps]) - standardised(train[other : other + steps]))
                for other in range(len(train) - steps + 1)
            )
            for first in range(len(test) - steps + 1)
        ]
    )


@pytest.fixture
def channels(rng):
    """Random walks of a training and a test recording, each constant for a while; the second channel of training only."""
    train, test = rng.normal(size=(80, 2)).cumsum(axis=0), rng.normal(size=(50, 2)).cumsum(axis=0)
    train[20:40, 0], test[10:30, :] = 3.0, 3.0
    return train.astype(np.float32), test.astype(np.float32)


def profile(train, test, steps):
    from benchmarks.peers import matrix_profile

    return matrix_profile.method(SlidingWindows([train], steps, 1)[:], 0)(SlidingWindows([test], steps, 1)[:])


def test_matrix_profile(channels):
    train, test = channels
    expected = np.mean(
        [naive_profile(x, y, 8) for x, y in zip(test.T.astype(float), train.T.astype(float), strict=True)], axis=0
    )
    np.testing.assert_allclose(profile(train, test, 8), expected, atol=1e-4)
    np.testing.assert_allclose(expected[12], np.sqrt(8) / 2)  # 0 in the first channel


@pytest.mark.slow  # stumpy compiles for a minute
def test_matrix_profile_agrees_with_stumpy(channels):
    import stumpy

    train, test = (x.astype(float) for x in channels)
    columns = [
        stumpy.stump(np.ascontiguousarray(x), 8, np.ascontiguousarray(y), ignore_trivial=False)[:, 0].astype(float)
        for x, y in zip(test.T, train.T, strict=True)
    ]
    np.testing.assert_allclose(profile(*channels, 8), np.mean(columns, axis=0), atol=1e-4)


def test_cnn_sees_the_past_only(data, short_training):
    """The first time steps have the score of the first forecast; a change has no effect on earlier scores."""
    train, normal, abnormal = data
    short_training("cnn")
    score = fit_peer("cnn", train, WINDOW, 0)
    before, after = score([normal, abnormal])
    np.testing.assert_array_equal(before[: WINDOW - 1], np.full(WINDOW - 1, before[WINDOW - 1]))
    np.testing.assert_allclose(after[:150], before[:150], rtol=1e-4)
    assert (after[150:180] > before[150:180]).all()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "setting"), [("cnn", "EPOCHS"), ("autoencoder", "EPOCHS")])
def test_networks_learn(name, setting, data, monkeypatch):
    from benchmarks.peers import networks

    train, normal, _ = data
    means = []
    for epochs in (1, 30):
        monkeypatch.setattr(networks, setting, epochs)
        means.append(fit_peer(name, train, WINDOW, 0)([normal])[0].mean())
    assert means[1] < 0.7 * means[0]


def test_similar_patches_are_near_in_the_same_recording(rng):
    """There are five patches of one recording and one of another, which has no other patch."""
    from benchmarks.peers import paano

    anchors = np.repeat(np.arange(6), 200)
    drawn = paano.similar(np.array([0, 0, 0, 0, 0, 1]), anchors, rng)
    found = {place: set(drawn[anchors == place].tolist()) for place in range(6)}
    assert found == {0: {1, 2}, 1: {0, 2, 3}, 2: {0, 1, 3, 4}, 3: {1, 2, 4}, 4: {2, 3}, 5: {5}}


def test_triplet_loss():
    """The margin is 0.5: with the right positives max(0 - 1 + 0.5, 0), with exchanged ones 1 - 0 + 0.5."""
    from benchmarks.peers import paano

    anchors = np.array([[2.0, 0], [0, 3]], np.float32)
    assert float(paano.triplet_loss(anchors, anchors)) == pytest.approx(0, abs=1e-6)
    assert float(paano.triplet_loss(anchors, anchors[::-1])) == pytest.approx(1.5, abs=1e-6)


def test_bank_scores_are_mean_cosine_distances():
    """The embedding of a patch is its first step: the cosines with the normal ones are 0, 0.6, 0.8 and 1, or 1, 0.8, 0.6, 0."""
    from benchmarks.peers import paano

    class Encoder:
        def predict(self, patches, **_):
            return patches[:, 0]

    normal = np.array([[[1, 0]], [[8, 6]], [[0.6, 0.8]], [[0, 1]]])
    score = paano.fit_bank(Encoder(), normal, 0)
    np.testing.assert_allclose(score(np.array([[[0, 5]], [[1, 0]], [[0, 0]]])), [0.2, 0.2, 0.5])
