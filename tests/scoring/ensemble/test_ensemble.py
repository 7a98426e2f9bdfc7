"""The ensemble score against a direct computation with NumPy, SciPy and values worked out by hand."""

from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.distance import cdist

from amsl_tf.config import ENSEMBLE, DetectorConfig, TrainingConfig
from amsl_tf.data.pieces import find_pieces
from amsl_tf.data.windows import chunks, number_windows
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.scoring.ensemble import MEMBERS
from amsl_tf.scoring.ensemble.ensemble import Ensemble
from amsl_tf.scoring.ensemble.powers import FLOOR as POWER_FLOOR
from amsl_tf.scoring.features.signal import QUANTILES
from amsl_tf.scoring.members.base import Evidence, make_scores

GROUPS = np.repeat(["a", "b", "c", "d"], 10)
DIRECT = ("levels", "powers")  # the members that `expected` computes


def make(members=ENSEMBLE, seed=0, noise=(), **settings):
    return Ensemble(DetectorConfig(None, TrainingConfig(seed=seed), "ensemble", members=members, noise=noise, **settings))


def evidence_of(x, **settings):
    return Evidence(None, {}, x, **{"duplicate_ids": number_windows(x), **settings})


def fit(x, groups=None, members=ENSEMBLE, **settings):
    """Returns a fitted score and the scores of the training windows."""
    score = make(members, **settings)
    return score, score.fit(evidence_of(x), groups)


def score_of(score, x):
    return score.score(Evidence(None, {}, tf.constant(x))).numpy()


def nearest(score, x):
    return score.nearest(Evidence(None, {}, tf.constant(x))).numpy()


def restored(score):
    other = make(score.config.members, noise=score.config.noise)
    other.restore(score.state())
    return other


def windows_of(count, seed=0, sensors=3):
    """Returns sines of random phases and amplitudes with noise, float32 (N, 24, S)."""
    generator = np.random.default_rng(seed)
    phase, amplitude = generator.uniform(0, 6, (count, 1, sensors)), generator.uniform(1, 3, (count, 1, sensors))
    sines = amplitude * np.sin(np.arange(24)[None, :, None] / 3 + phase)
    return (5 + sines + generator.normal(0, 0.1, sines.shape)).astype(np.float32)


def recording(count, stride):
    """Returns overlapping windows of a random walk, float32 (N, 24, 2)."""
    values = np.cumsum(np.random.default_rng(0).normal(size=((count - 1) * stride + 24, 2)), axis=0).astype(np.float32)
    return np.stack([values[first : first + 24] for first in np.arange(count) * stride])


def powers(x):
    """Computes the mean power in bands of 24 steps, of 1, 2, 3, 4, 5 and so on cycles per window: (N, T, S) to (N, K, S)."""
    spectrum = np.abs(np.fft.rfft(x, axis=1)[:, 1:] / 24) ** 2
    edges = np.unique(np.round(np.geomspace(1, 13, 13))).astype(int)
    return np.stack([spectrum[:, low - 1 : high - 1].mean(axis=1) for low, high in pairwise(edges)], axis=1)


def expected(train, test, groups=None, pieces=None):
    """Computes the scores of training and test windows with complete distance matrices, window by window."""
    flat = train.reshape(-1, train.shape[2]).astype(float)
    share = max(0.001, 3 / len(flat))
    clipped = np.clip(flat, *np.quantile(flat, (share, 1 - share), axis=0))
    scaled = [(part - clipped.mean(axis=0)) / clipped.std(axis=0) for part in (train.astype(float), test.astype(float))]
    window = np.arange(len(train))
    left_out = window[:, None] == window
    if groups is not None:
        left_out = groups[:, None] == groups
    if pieces is not None:
        left_out = (pieces.number[:, None] == pieces.number) | (pieces.border[:, None] == pieces.border)
    totals, weights = [0.0, 0.0], 0.0
    for member in DIRECT:
        if member == "levels":
            ours, new = (np.quantile(part, QUANTILES, axis=1).transpose(1, 0, 2) for part in scaled)
        else:
            ours, new = (np.log(POWER_FLOOR + powers(part)) for part in scaled)
        ours, new = ours.reshape(len(ours), -1), new.reshape(len(new), -1)
        mean, std = ours.mean(axis=0), ours.std(axis=0)
        ours, new = (ours - mean) / std, (new - mean) / std
        matrix, density = cdist(ours, ours), np.ones(len(ours))
        if groups is None and pieces is None:
            others = np.where(np.eye(len(ours), dtype=bool), np.inf, matrix)
            local = np.sort(others, axis=1)[:, :5].mean(axis=1)
            density = np.sqrt(np.maximum(local / np.median(local), 0.05))
        distances = []
        for rows in (np.where(left_out, np.inf, matrix), cdist(new, ours)):
            closest = np.sort(rows / density, axis=1)[:, :3]
            used = np.isfinite(closest)
            distances.append(np.where(used, closest, 0).sum(axis=1) / used.sum(axis=1))
        floor = 0.01 * np.median(distances[0])
        values = [np.log(np.maximum(part, floor)) for part in distances]
        offset = np.median(values[0])
        weight = 1.0 if groups is None else (np.quantile(values[0], 0.9) - offset) ** -2
        totals = [total + weight * (part - offset) for total, part in zip(totals, values, strict=True)]
        weights += weight
    return [total / weights for total in totals]


@pytest.mark.parametrize("groups", [None, GROUPS, np.tile(["b", "a"], 20)])
def test_against_a_direct_computation(groups):
    train, test = windows_of(40), windows_of(15, seed=1)
    score, left_out = fit(train, groups, DIRECT)
    expected_train, expected_test = expected(train, test, groups)
    assert left_out.dtype == np.float32
    np.testing.assert_allclose(left_out, expected_train, atol=1e-4)
    np.testing.assert_allclose(score_of(score, test), expected_test, atol=1e-4)


@pytest.mark.parametrize("stride", [3, 12])
def test_pieces_against_a_direct_computation(stride):
    train, test = recording(100, stride), windows_of(15, sensors=2)
    pieces = find_pieces(train)
    assert len(np.unique(pieces.border)) < 100
    score = make(DIRECT)
    left_out = score.fit(evidence_of(train, pieces=pieces))
    expected_train, expected_test = expected(train, test, pieces=pieces)
    np.testing.assert_allclose(left_out, expected_train, atol=1e-4)
    np.testing.assert_allclose(score_of(score, test), expected_test, atol=1e-4)


@pytest.mark.parametrize("name", MEMBERS)
def test_score_of_a_typical_window_is_0(name):
    """The median of the left-out scores of a member is; those of new windows are about as large."""
    score, left_out = fit(windows_of(60), members=[name])
    assert np.median(left_out) == pytest.approx(0, abs=1e-6)
    assert np.median(score_of(score, windows_of(60, seed=1))) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("groups", [None, np.repeat(["a", "b", "c"], 20)])
def test_score_is_log_2_where_all_distances_are_twice_as_large(groups):
    """Half the divisor of the distances to all items gives twice the distance by every member."""
    score, _ = fit(windows_of(60), groups)
    state = {key: value / 2 if key.endswith(".density") else value for key, value in score.state().items()}
    other, test = make(), windows_of(20, seed=1)
    other.restore(state)
    np.testing.assert_allclose(score_of(other, test) - score_of(score, test), np.log(2), atol=1e-5)


def test_member_at_twice_the_distance_by_hand():
    """Windows at rest at 0, 1, ..., 39 in pairs of groups: the nearest three of 20 are at 1, 2 and 3 about, of -10 at 10 to 12.

    Windows 2 * n and 2 * n + 1 are a group: those left are at 1, 2, 2 on one side or both, (1 + 2 + 2) / 3.
    """
    x = np.tile(np.arange(40, dtype=np.float32)[:, None, None], (1, 24, 1))
    score, left_out = fit(x, np.arange(40) // 2, ["levels"])
    np.testing.assert_allclose(left_out[2:-2], 0, atol=1e-5)
    assert left_out[0] == pytest.approx(np.log(3 / (5 / 3)), abs=1e-5)  # 2, 3 and 4 away
    new = np.full((1, 24, 1), 39 + 7 / 3, np.float32)  # 7 / 3, 10 / 3 and 13 / 3 away
    assert score_of(score, new) == pytest.approx(np.log(2), abs=1e-5)


def test_weights_are_equal_without_groups():
    score, _ = fit(windows_of(40))
    assert score.weights == dict.fromkeys(ENSEMBLE, pytest.approx(1 / 3))


def test_weights_with_groups_are_inverse_squared_spreads():
    x = windows_of(40)
    score, _ = fit(x, GROUPS)
    spreads = {name: np.quantile(fit(x, GROUPS, [name])[1], 0.9) for name in ENSEMBLE}  # the medians are 0
    total = sum(spread**-2 for spread in spreads.values())
    assert score.weights == {name: pytest.approx(spread**-2 / total, rel=1e-3) for name, spread in spreads.items()}
    assert max(score.weights.values()) > 2 * min(score.weights.values())


def test_a_member_without_spread_has_a_limited_weight():
    """In each of two groups there are copies of one window: all left-out distances are equal."""
    x = np.repeat(windows_of(2), 10, axis=0)
    score, left_out = fit(x, np.repeat([0, 1], 10), ["levels"])
    assert score.state()["levels.weight"] == pytest.approx(1e4)
    np.testing.assert_allclose(left_out, 0, atol=1e-5)


def test_own_group_is_left_out():
    """The windows of a group resemble each other: as new windows they have far lower scores."""
    centres = windows_of(8)
    x = np.repeat(centres, 10, axis=0) + np.random.default_rng(0).normal(0, 0.01, (80, 24, 3)).astype(np.float32)
    score, left_out = fit(x, np.repeat(np.arange(8), 10))
    assert np.median(left_out) == pytest.approx(0, abs=0.05)
    assert score_of(score, x).max() < -1


def test_own_piece_is_left_out():
    x = recording(200, 2)
    with_pieces, without = make(), make()
    with_pieces.fit(evidence_of(x, pieces=find_pieces(x)))
    without.fit(evidence_of(x))
    for name, difference in {"levels": 0.3, "powers": 0.0, "kernels": 0.3}.items():  # powers depend on the position least
        assert with_pieces.state()[f"{name}.offset"] > without.state()[f"{name}.offset"] + difference, name


def test_duplicates_are_left_out():
    """With every window twice, about as many new windows are above a quantile of the left-out scores as without copies."""
    x, new = windows_of(40), windows_of(100, seed=1)
    shares = []
    for copies in (x, np.concatenate([x, x])):
        score, left_out = fit(copies)
        shares.append(np.mean(score_of(score, new) >= np.quantile(left_out, 0.9)))
    assert shares[1] == pytest.approx(shares[0], abs=0.15)
    unknown = make()
    left_out = unknown.fit(evidence_of(np.concatenate([x, x]), duplicate_ids=np.arange(80)))
    assert np.mean(score_of(unknown, new) >= np.quantile(left_out, 0.9)) > 0.5


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_state_round_trip(groups):
    score, test = fit(windows_of(40), groups)[0], windows_of(15, seed=1)
    other = restored(score)
    np.testing.assert_array_equal(score_of(other, test), score_of(score, test))
    np.testing.assert_array_equal(nearest(other, test), nearest(score, test))
    assert other.weights == score.weights
    state, again = score.state(), other.state()
    assert list(state) == list(again)
    for name, value in state.items():
        assert value.dtype.kind in "if"
        np.testing.assert_array_equal(again[name], value)


def test_restored_from_variables_in_a_graph():
    score, test = fit(windows_of(40))[0], windows_of(15, seed=1)
    other = make()
    other.restore({name: tf.Variable(value, trainable=False) for name, value in score.state().items()})
    signature = [tf.TensorSpec((None, 24, 3))]
    graph = tf.function(lambda x: other.score(Evidence(None, {}, x)), input_signature=signature, autograph=False)
    np.testing.assert_allclose(graph(tf.constant(test)), score_of(score, test), atol=1e-5)


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_scores_do_not_depend_on_the_batch(groups):
    score, test = fit(windows_of(40), groups)[0], windows_of(15, seed=1)
    alone = np.concatenate([score_of(score, test[row : row + 1]) for row in range(15)])
    np.testing.assert_allclose(alone, score_of(score, test), atol=1e-5)


@pytest.mark.parametrize("size", [25, 40])
def test_training_scores_do_not_depend_on_parts(size, monkeypatch):
    x = windows_of(40)
    _, before = fit(x, bank_size=size)
    monkeypatch.setattr("amsl_tf.scoring.ensemble.ensemble.chunks", lambda array: chunks(array, 7))
    np.testing.assert_allclose(fit(x, bank_size=size)[1], before, atol=1e-5)


def test_bank_size():
    """Windows that are not kept are scored as new ones; those that are kept are left out."""
    x = windows_of(40)
    score, left_out = fit(x, bank_size=25)
    state = score.state()
    rows = state["bank.rows"]
    assert len(np.unique(rows)) == 25
    assert {state[f"{name}.bank"].shape[0] for name in ENSEMBLE} == {25}
    as_new = score_of(score, x)
    is_new = ~np.isin(np.arange(40), rows)
    assert is_new.sum() == 15
    np.testing.assert_allclose(left_out[is_new], as_new[is_new], atol=1e-5)
    assert (left_out[rows] > as_new[rows] + 0.1).all()
    np.testing.assert_allclose(state["levels.bank"], fit(x[rows])[0].state()["levels.bank"])
    assert (fit(x, bank_size=25, seed=1)[0].state()["bank.rows"] != rows).any()


def test_smallest_bank():
    x = windows_of(40)
    for groups in (None, GROUPS):
        score, left_out = fit(x, groups, bank_size=2)
        assert np.isfinite(left_out).all()
        assert np.isfinite(score_of(score, x)).all()


@pytest.mark.parametrize("groups", [None, GROUPS])
def test_nearest_training_window_is_the_origin(groups, rng):
    x = windows_of(40)
    score, _ = fit(x, groups)
    assert nearest(score, x).dtype == np.int64
    np.testing.assert_array_equal(nearest(score, x), np.arange(40))
    np.testing.assert_array_equal(nearest(score, x + rng.normal(0, 0.01, x.shape).astype(np.float32)), np.arange(40))


def test_nearest_returns_positions_of_training_windows():
    """Not of windows in the bank."""
    x = windows_of(40)
    score, _ = fit(x, bank_size=25)
    found = nearest(score, x)
    np.testing.assert_array_equal(np.flatnonzero(found == np.arange(40)), score.state()["bank.rows"])


@pytest.mark.parametrize("x", [windows_of(2), recording(2, 3)])
def test_two_windows(x):
    score = make()
    left_out = score.fit(evidence_of(x, pieces=find_pieces(x)))
    np.testing.assert_allclose(left_out, 0, atol=1e-5)
    np.testing.assert_allclose(score_of(score, x), -np.log(2), atol=1e-4)  # the mean distance to itself and the other
    assert score_of(score, 10 * x).min() > 0


def test_identical_windows_except_one():
    x = np.repeat(windows_of(1), 20, axis=0)
    x[7] = windows_of(1, seed=1)
    score, left_out = fit(x)
    np.testing.assert_allclose(left_out, 0, atol=1e-4)  # copies are left out: only the other window is left
    assert (score_of(score, x)[np.arange(20) != 7] < -2).all()


def test_identical_windows_at_rest_except_one():
    """They count as different."""
    x = np.full((20, 24, 3), 2.0, np.float32)
    x[7] = windows_of(1)
    score, left_out = fit(x)
    assert np.isfinite(left_out).all()
    assert left_out.argmax() == 7
    assert left_out[7] > 2
    assert score_of(score, x)[0] < 0.1


@pytest.mark.parametrize("name", MEMBERS)
def test_only_identical_windows(name):
    """Nothing would be left: only the window itself is left out, and all distances are at the floor."""
    score, left_out = fit(np.repeat(windows_of(1), 8, axis=0), members=[name])
    np.testing.assert_allclose(left_out, 0, atol=1e-5)
    assert score_of(score, windows_of(1, seed=1)) > 2


def test_constant_channels():
    """They change nothing while they are constant, and count when they move."""
    x, test = windows_of(40), windows_of(15, seed=1)
    x[:, :, 1] = test[:, :, 1] = 3.0
    score, left_out = fit(x)
    assert np.isfinite(left_out).all()
    before = score_of(score, test)
    assert np.median(before) < 0.5
    test[:, ::2, 1] = 6.0
    assert (score_of(score, test) > before + 0.3).all()


def test_rounding_errors_of_a_sensor_at_rest_do_not_matter(rng):
    """One of three sensors is at the same level in most windows."""
    x = windows_of(60)
    x[:45, :, 0] = 1.7
    score, _ = fit(x)
    test = windows_of(20, seed=1)
    test[:, :, 0] = 1.7
    noisy = (test * (1 + rng.uniform(-1e-7, 1e-7, test.shape))).astype(np.float32)
    assert (noisy != test).any()
    np.testing.assert_allclose(score_of(score, noisy), score_of(score, test), atol=1e-3)


def test_extreme_windows_have_finite_high_scores():
    score, _ = fit(windows_of(40))
    extreme = np.stack([np.full((24, 3), value, np.float32) for value in (1e30, -1e30, 1e4)])
    extreme = np.concatenate([extreme, np.where(np.arange(24) % 2, 1e30, -1e30).astype(np.float32)[None, :, None] * np.ones(3)])
    scores = score_of(score, extreme.astype(np.float32))
    assert np.isfinite(scores).all()
    assert scores.min() > 1


def test_axes():
    """The orientation of sensors does not matter."""
    x, test = windows_of(40), windows_of(10, seed=1)
    score, _ = fit(x, axes=3)
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    np.testing.assert_allclose(score_of(score, (test @ rotation).astype(np.float32)), score_of(score, test), atol=0.01)
    assert score.state()["levels.bank"].shape == (40, 5)


@pytest.mark.parametrize("sensors", [1, 40])
def test_number_of_sensors(sensors):
    x, test = windows_of(30, sensors=sensors), windows_of(5, seed=1, sensors=sensors)
    score, left_out = fit(x)
    assert np.isfinite(left_out).all()
    assert (score_of(score, 3 * test) > score_of(score, test) + 0.3).all()
    np.testing.assert_array_equal(score_of(restored(score), test), score_of(score, test))


def test_members_are_averaged():
    x, test = windows_of(40), windows_of(10, seed=1)
    score, _ = fit(x, members=["powers", "levels"])
    assert list(score.weights) == ["powers", "levels"]
    alone = [score_of(fit(x, members=[name])[0], test) for name in ("powers", "levels")]
    np.testing.assert_allclose(score_of(score, test), np.mean(alone, axis=0), atol=1e-5)
    values = score.member_values(Evidence(None, {}, tf.constant(test)))
    np.testing.assert_allclose([values["powers"], values["levels"]], alone, atol=1e-5)


def test_scores_are_reproducible():
    x = windows_of(40)
    np.testing.assert_array_equal(fit(x)[1], fit(x)[1])
    assert (fit(x, seed=1)[1] != fit(x)[1]).any()


def test_memory_mapped_windows(tmp_path):
    x = windows_of(40)
    np.save(tmp_path / "x.npy", x)
    np.testing.assert_array_equal(fit(np.load(tmp_path / "x.npy", mmap_mode="r"), bank_size=25)[1], fit(x, bank_size=25)[1])


@pytest.mark.parametrize("group", ["p1", 3])
def test_single_group_is_an_error(group):
    with pytest.raises(DataError, match=rf"^groups must have at least two values for the ensemble score\. .* only {group}\.$"):
        fit(windows_of(4), np.array([group] * 4))


def test_unknown_members_are_errors_before_anything_is_fitted():
    with pytest.raises(AMSLError, match=r"^member must be one of levels, powers, kernels\. Received: 'level'\.$"):
        make_scores(DetectorConfig(None, score="ensemble", members=["levels", "level"]))


def test_default_members_are_all_that_are_registered():
    assert tuple(MEMBERS) == ENSEMBLE


def test_floor_is_that_of_the_member():
    """A window that is equal to training windows has the distance of the floor: a hundredth of the usual one."""
    x = np.repeat(windows_of(20), 3, axis=0)
    score, _ = fit(x, members=["levels"])
    np.testing.assert_allclose(score_of(score, x[:5]), np.log(0.01), atol=1e-3)


def test_noisy_copies_in_the_bank():
    train, test = windows_of(60), windows_of(30, seed=1)
    deviation = train.std(axis=(0, 1))
    noisy = (test + deviation * 10 ** (-15 / 20) * np.random.default_rng(2).normal(size=test.shape)).astype(np.float32)
    (plain, plain_left_out), (robust, left_out) = fit(train), fit(train, noise=(30.0, 15.0))
    assert np.median(score_of(plain, noisy)) > np.quantile(plain_left_out, 0.98)
    assert np.median(score_of(robust, noisy)) < np.quantile(left_out, 0.98)
    assert np.median(left_out) == pytest.approx(0, abs=0.1)
    np.testing.assert_array_equal(nearest(robust, train), np.arange(60))  # the copies are those of their window
    assert {len(values) for key, values in robust.state().items() if key.endswith((".bank", ".rows", ".density"))} == {180}
    np.testing.assert_array_equal(score_of(restored(robust), test), score_of(robust, test))


def test_copies_have_the_given_noise():
    """At 0 dB the noise is as strong as the signal: the deviation of white noise grows by the square root of 2."""
    flat = np.random.default_rng(0).normal(size=(200, 500, 1)).astype(np.float32)
    score, _ = fit(flat, members=("levels",), noise=(0.0,))
    levels = score.state()["levels.bank"] * score.state()["levels.scale"] + score.state()["levels.mean"]
    spread = (levels[:, 3] - levels[:, 1]).reshape(2, 200).mean(axis=1)
    assert spread[1] / spread[0] == pytest.approx(np.sqrt(2), rel=0.01)


@pytest.mark.parametrize("outlier", [1e3, 1e6])
def test_an_outlier_in_training_does_not_hide_its_channel(outlier):
    """Neither through the scale nor through the noise of the copies."""
    train, test = windows_of(60), windows_of(30, seed=1)
    test[:, :, 0] = 5 + 10 * (test[:, :, 0] - 5)
    train[3, 10, 0] = outlier
    score, left_out = fit(train, noise=(20.0, 10.0))
    assert np.mean(score_of(score, test) > np.quantile(left_out, 0.98)) > 0.9


def test_near_copies_are_a_warning(caplog):
    x = windows_of(40)
    fit(x)
    assert not caplog.records
    fit(np.concatenate([x, x + 1e-4 * np.random.default_rng(0).normal(size=x.shape).astype(np.float32)]))
    assert "100% of the training windows look like copies" in caplog.text


def test_graphs_refer_to_the_bank():
    """As constants of the graph, it would be copied and compiled anew for every output."""
    score, _ = fit(windows_of(60))
    graph = tf.function(lambda x: score.score(Evidence(None, {}, x)), input_signature=[tf.TensorSpec((None, 24, 3))])
    size = graph.get_concrete_function().graph.as_graph_def().ByteSize()
    assert size < score.state()["kernels.bank"].nbytes
