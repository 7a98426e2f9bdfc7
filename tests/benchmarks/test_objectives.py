"""The study of training objectives: networks are compared with their twins, and never see the held-out windows."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from amsl_tf.config import DetectorConfig
from amsl_tf.data.pieces import find_pieces
from amsl_tf.data.store import write_index
from amsl_tf.data.windows import number_windows
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.scoring.ensemble import MEMBERS
from amsl_tf.scoring.ensemble.channels import ChannelScaling
from amsl_tf.scoring.ensemble.ensemble import Ensemble
from amsl_tf.scoring.ensemble.kernels import Kernels
from amsl_tf.scoring.members.base import Evidence
from benchmarks.objectives import augmented, encoder, fusion, masked, mutual, page, study, triplet, units
from benchmarks.objectives.fusion import Values, added_values, base_values, fuse, kernel_flops, more_kernels
from benchmarks.objectives.interface import Networks, TrainingSet
from benchmarks.objectives.units import LabelledTest, Training, hold_out
from benchmarks.series import SeriesSet
from tests.benchmarks.conftest import table_rows, write_page
from tests.conftest import ROOT
from tests.datasets.writers import write_skab

STEPS, SENSORS = 16, 3


@pytest.fixture(autouse=True)
def eager():
    """Runs functions without graphs, which take longer to build than a few steps."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def make_data(rng):
    """90 windows of 3 groups; each window of a group has one in the others that is nearly equal."""
    windows = rng.normal(size=(30, STEPS, SENSORS))
    windows = np.concatenate([windows + 0.01 * rng.normal(size=windows.shape) for _ in range(3)]).astype(np.float32)
    return TrainingSet(windows, np.repeat(np.arange(3), 30), np.arange(90) * STEPS)


def make_recording(rng, stride=4):
    """Overlapping windows of a recording of 1,000 rows, and a test of 200 rows, abnormal from row 100 on."""
    x = rng.normal(size=(1200, SENSORS)).astype(np.float32)
    x[1100:] *= 1.5
    rows, tested = np.arange(0, 1000 - STEPS + 1, stride), np.arange(0, 200 - STEPS + 1, 2)
    test = LabelledTest(
        "skab", "valve1/0", np.stack([x[1000:][row : row + STEPS] for row in tested]), np.arange(200) >= 100, tested
    )
    return Training(np.stack([x[row : row + STEPS] for row in rows]), None, rows, 1, [test])


def make_grouped(rng):
    """Windows of 5 subjects, and a test."""
    x = rng.normal(size=(60, STEPS, SENSORS)).astype(np.float32)
    test = LabelledTest("dsads", "a09", np.concatenate([x[:10], 3 * x[:10]]), np.arange(20) >= 10)
    return Training(x, np.resize(["p1", "p2", "p3", "p4", "p5"], 60), np.arange(60) * STEPS, 1, [test])


@pytest.mark.parametrize("objective", ["triplet", "mutual", "masked", "augmented"])
def test_only_training_changes_features(objective, rng, monkeypatch):
    data, features = make_data(rng), []
    for steps in (0, 2):
        monkeypatch.setattr(encoder, "STEPS", steps)
        networks = study.OBJECTIVES[objective](data, 1)
        features.append([describe(data.windows[:5]).numpy() for describe in (networks.trained, networks.untrained)])
    (trained, untrained), after = features
    assert trained.shape == (5, 2 * encoder.FILTERS)
    np.testing.assert_array_equal(trained, untrained)
    np.testing.assert_array_equal(after[1], untrained)
    assert np.abs(after[0] - after[1]).max() > 1e-4


def test_objectives_share_untrained_networks_of_a_seed(rng, monkeypatch):
    monkeypatch.setattr(encoder, "STEPS", 1)
    data = make_data(rng)
    features = [fit(data, seed).untrained(data.windows[:2]) for fit in (triplet.fit, masked.fit) for seed in (0, 1)]
    np.testing.assert_array_equal(features[0], features[2])
    assert np.abs(features[0] - features[1]).max() > 0.1


def test_contrastive_training_makes_partners_similar(rng, monkeypatch):
    monkeypatch.setattr(encoder, "STEPS", 10)
    data = make_data(rng)
    networks = augmented.fit(data, 0)
    pair = [augmented.augment(data.windows, np.random.default_rng(seed)) for seed in (5, 6)]
    similarity = []
    for describe in (networks.trained, networks.untrained):
        ours, others = (describe(part).numpy() for part in pair)
        mean, scale = ours.mean(axis=0), ours.std(axis=0)
        ours, others = (keras.utils.normalize((part - mean) / scale) for part in (ours, others))
        similarity.append((ours * others).sum(axis=1).mean())
    assert similarity[0] > similarity[1]


def test_flops_of_the_encoder():
    # 10 time steps, 3 sensors, 40 filters of length 9, 5 and 3; a multiplication and an addition
    assert encoder.forward_flops(10, 3) == 2 * 10 * (9 * 3 * 40 + 5 * 40 * 40 + 3 * 40 * 40)
    weights = encoder.build(3, 0).count_params() - 3 * encoder.FILTERS
    assert encoder.forward_flops(10, 3) == 2 * 10 * weights


def test_flops_of_kernels(rng):
    # dilations 1 and 2 fit into 20 time steps: 125 kernels each, with 12 and 4 outputs
    assert kernel_flops(20, 3) == 2 * 9 * 3 * 125 * (12 + 4)
    member = Kernels()
    member.prepare(rng.normal(size=(5, 125, 2)).astype(np.float32), 0)
    outputs = [output.shape[1] * output.shape[2] for output in member._convolve(tf.zeros((1, 125, 2)))]
    assert kernel_flops(125, 2) == 2 * 9 * 2 * sum(outputs)


def test_further_kernels_differ_from_each_other(rng):
    windows = rng.normal(size=(20, STEPS, SENSORS)).astype(np.float32)
    features = more_kernels(windows, 2, 0)(tf.constant(windows)).numpy()
    first, second = np.split(features, 2, axis=1)
    assert first.shape == (20, 4 * 250)
    assert np.abs(first - second).max() > 0.1


def test_patches_are_cut_at_their_starts():
    windows = np.arange(2 * 6).reshape(2, 6, 1)
    patches = triplet.cut(windows, np.array([1, 0]), np.array([2, 0]), 3)
    assert patches[..., 0].tolist() == [[8, 9, 10], [0, 1, 2]]


def test_mutual_pairs():
    groups = np.array([0, 0, 1, 1, 2])
    distances = np.full((5, 5), 9.0)
    # 0 and 2 are mutual; 1 has 2 as the nearest, which prefers 0; in group 2 only 4 is left, at an infinite distance from 2, 3
    for (one, other), value in {(0, 2): 1, (1, 2): 2, (0, 3): 5, (1, 3): 3, (0, 4): 7, (1, 4): 6}.items():
        distances[one, other] = distances[other, one] = value
    for one in (2, 3):
        distances[one, 4] = distances[4, one] = np.inf
    assert mutual.mutual_pairs(distances, groups).tolist() == [[0, 2], [1, 4]]


def test_partners_are_copies_in_other_groups_without_common_rows(rng, monkeypatch):
    data = make_data(rng)
    pairs = mutual.mutual_pairs(mutual.ensemble_distances(data.windows, 0), data.groups)
    assert len(pairs) > 60
    assert np.mean(pairs[:, 0] % 30 == pairs[:, 1] % 30) > 0.9
    with pytest.raises(DataError, match="expected mutual nearest windows in different groups, found none among 90"):
        mutual.fit(data._replace(rows=np.zeros(90, int)), 0)


def test_masks(rng):
    masks = masked.draw_masks((500, 40, 6), rng)
    assert set(np.unique(masks)) == {0.0, 1.0}
    lengths = masks.sum(axis=1)
    assert set(np.unique(lengths)) == {0, 10, 40}
    assert (lengths == 40).mean() == pytest.approx(1 / 7, abs=0.03)
    assert (lengths == 10).mean() == pytest.approx(6 / 14, abs=0.03)
    starts = masks.argmax(axis=1)
    for window in range(20):  # the block is the same in all sensors
        assert len(set(starts[window][lengths[window] == 10])) <= 1


def test_masked_values_do_not_reach_the_encoder(rng, monkeypatch):
    """Two data sets that differ where all is masked lead to the same encoder if their targets do not count."""
    seen = []

    def fit_encoder(data, batch, loss, heads, seed):
        windows, masks = batch(np.random.default_rng(0))
        outputs = []
        for shift in (0.0, 5.0):
            loss(
                lambda x: outputs.append(np.asarray(x)) or tf.zeros((*x.shape[:2], encoder.FILTERS)),
                windows + shift * masks,
                masks,
            )
        seen.extend(outputs)
        return Networks(None, None, "", 0.0)

    monkeypatch.setattr(masked, "fit_encoder", fit_encoder)
    masked.fit(make_data(rng), 0)
    np.testing.assert_array_equal(seen[0], seen[1])
    assert (seen[0] == 0).any()


def test_augmentation(rng):
    windows = np.broadcast_to(np.float32([1.0, 100.0]), (400, 50, 2))
    other = augmented.augment(windows, rng)
    gain = np.log(other[..., 1].mean(axis=1) / 100)
    assert gain.std() == pytest.approx(0.2, rel=0.1)
    noise = other[..., 0].std(axis=1)
    assert 0.25 < noise.max() < 0.4
    assert noise.min() < 0.02


def test_contrastive_loss():
    ours = tf.constant([[2.0, 0.0], [0.0, 1.0]])
    # cosines 1 and 0, divided by the temperature .2
    expected = np.log(np.exp(5.0) + 1) - 5
    assert float(encoder.contrastive_loss(ours, ours)) == pytest.approx(expected, rel=1e-4)
    assert float(encoder.contrastive_loss(ours, ours[::-1])) == pytest.approx(expected + 5, rel=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_held_out_windows_share_no_row_with_training(seed, rng):
    training = make_recording(rng)
    split = hold_out(training, seed)
    assert len(split.held_out) == round(0.2 * len(training.x))
    assert len(split.train) > 0.7 * len(training.x)
    rows = [{row + step for row in training.rows[part] for step in range(STEPS)} for part in split]
    assert not rows[0] & rows[1]


def test_held_out_subjects_are_whole(rng):
    training = make_grouped(rng)
    split = hold_out(training, 0)
    subjects = [set(training.subjects[part]) for part in split]
    assert not subjects[0] & subjects[1]
    assert len(subjects[1]) == 1
    assert sorted([*split.train, *split.held_out]) == list(range(60))


def test_a_recording_that_is_too_short_is_an_error(rng):
    training = make_recording(rng)
    short = Training(training.x[:4], None, training.rows[:4], 1, training.tests)
    with pytest.raises(DataError, match="expected a recording of more than 16 rows besides"):
        hold_out(short, 0)


def write_preprocessed(folder, activities):
    """Writes two normal windows of each activity and subject, with their numbers as values; returns activities and subjects."""
    activity, subject = np.repeat(activities, 16), np.resize([f"p{number}" for number in range(1, 9)], 16 * len(activities))
    for kind, rows in (("normal", np.arange(len(activity))), ("abnormal", np.arange(8))):
        np.save(folder / f"{kind}.npy", np.tile(rows[:, None, None], (1, STEPS, SENSORS)).astype(np.float32))
        write_index(folder / f"{kind}.csv", {"activity": activity[rows], "subject": subject[rows]})
    return activity, subject


def test_networks_see_neither_left_out_activities_nor_tested_subjects(tmp_path):
    activity, subject = write_preprocessed(tmp_path, ["a01", "a09", "a10", "a11", "a13", "a14", "a17"])
    opened, tested = [*units.open_dsads(tmp_path)], []
    assert [training.tests[0].name for training in opened] == ["+".join(left_out) for left_out in units.LEFT_OUT]
    for training in opened:
        (test,) = training.tests
        train, rows = training.x[:, 0, 0].astype(int), test.windows[:, 0, 0].astype(int)
        left_out = test.name.split("+")
        (person,) = set(subject[rows])
        tested.append(person)
        assert set(activity[train]) == {*activity} - {*left_out}
        assert set(subject[train]) == {"p1", "p2", "p3", "p4", "p5"} - {person}
        np.testing.assert_array_equal(training.subjects, subject[train])
        np.testing.assert_array_equal(test.labels, np.isin(activity[rows], left_out))
    assert tested == ["p1", "p2", "p3", "p4", "p5", "p1", "p2", "p3"]


def test_missing_activities_are_an_error(tmp_path):
    write_preprocessed(tmp_path, ["a01", "a09", "a10"])
    with pytest.raises(DataError, match="expected normal windows of a11, found none"):
        [*units.open_dsads(tmp_path)]


@pytest.mark.parametrize("make", [make_recording, make_grouped])
def test_ensemble_without_a_further_member_is_that_of_the_package(make, rng):
    training = make(rng)
    grouped = training.subjects is not None
    score = Ensemble(DetectorConfig.from_settings(None, score="ensemble", seed=1))
    pieces = None if grouped else find_pieces(training.x)
    score.fit(Evidence(None, {}, training.x, number_windows(training.x), pieces), training.subjects)
    expected = score.score(Evidence(None, {}, tf.constant(training.tests[0].windows)))
    (found,) = fuse(base_values(training, 1), None, np.arange(0), grouped)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_weights_of_a_further_member():
    # .9-quantile less median of 0, ..., 10 is 4; of the held-out five values 1.6 and .8
    base = Values(np.arange(11.0), [np.array([1.0, 3.0])])
    added = Values(np.arange(11.0) / 2, [np.array([5.0, 5.0])])
    held_out = np.arange(5)
    assert base.spread(slice(None)) == 4
    assert base.spread(held_out) == pytest.approx(1.6)
    np.testing.assert_allclose(fuse([base], added, held_out, grouped=False), [[3.0, 4.0]])
    # weights 1/16 and, with half the spread of the other on the held-out windows, 4/16
    np.testing.assert_allclose(fuse([base], added, held_out, grouped=True), [[4.2, 4.6]])


def test_further_member_is_unregistered_and_finds_distant_windows(rng):
    training = make_recording(rng)
    values = added_values(training, lambda windows: tf.math.reduce_std(windows, axis=1), 0)
    assert fusion.ADDED not in MEMBERS
    assert training.tests[0].evaluate(values.tests[0])["auroc"] > 0.95


@pytest.fixture
def fake(monkeypatch):
    """An objective whose network finds nothing when trained; records what it was trained on."""
    calls = []

    def fit(data, seed):
        calls.append(data)
        return Networks(lambda x: x[:, 0] * 0, lambda x: tf.math.reduce_std(x, axis=1), "fake", 1.0)

    monkeypatch.setattr(study, "OBJECTIVES", {"fake": fit})
    return calls


def test_networks_are_trained_without_held_out_windows(rng, tmp_path, fake):
    training = make_recording(rng)
    study.run_training(training, 0, {"fake": {tmp_path / "result.json": training.tests[0]}})
    (data,) = fake
    split = hold_out(training, 0)
    scaled = ChannelScaling.fit(training.x, 1)(tf.constant(training.x)).numpy()
    np.testing.assert_allclose(data.windows, scaled[split.train], atol=1e-6)
    np.testing.assert_array_equal(data.rows, training.rows[split.train])
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["train_windows"] == len(split.train)
    assert set(result["scores"]) == set(page.VARIANTS)
    scores = {name: values["auroc"] for name, values in result["scores"].items()}
    assert scores["trained_alone"] == 0.5
    assert scores["untrained_alone"] > 0.9
    assert scores["trained"] == scores["ensemble"] != scores["kernels"]  # a constant member does not change the order


def test_results_are_kept(tmp_path, fake, monkeypatch, capsys):
    (tmp_path / "data/skab").mkdir(parents=True)
    write_skab(tmp_path / "data/skab")
    write_page(tmp_path / page.PAGE, page.SECTION)
    arguments = {"only": None, "datasets": ["skab"], "seeds": 1, "tables": tmp_path}
    monkeypatch.setattr(units, "WINDOWS", 60)
    items = [SeriesSet("skab", "SKAB", ["valve*"])]
    monkeypatch.setattr(study, "read_experiments", lambda: (items, []))
    for _ in range(2):
        study.run(tmp_path, tmp_path / "data", tmp_path / "results", **arguments)
    assert len(fake) == 2  # one for each series
    files = sorted(file.name for file in (tmp_path / "results").glob("*.json"))
    assert files == ["skab.valve1-0.fake.0.json", "skab.valve2-0.fake.0.json"]
    assert ["fake", "no member added"] in [row[:2] for row in table_rows((tmp_path / page.PAGE).read_text())]
    monkeypatch.setattr(encoder, "BATCH", 63)
    with pytest.raises(AMSLError, match=r"expected a result with the settings .*'batch': 63"):
        study.run(tmp_path, tmp_path / "data", tmp_path / "results", **arguments)
    with pytest.raises(AMSLError, match="unknown objective 'other'; expected one of fake"):
        study.run(tmp_path, tmp_path, tmp_path, **(arguments | {"only": ["other"]}))


def make_table(trained):
    """Two seeds of two units of data set a and two of b; the controls have 0."""
    rows = [
        {"dataset": dataset, "unit": unit, "objective": "x", "seed": seed, **dict.fromkeys(("seconds", "flops.network"), 1.0)}
        | {f"{metric}.{name}": 0.0 for metric in page.METRICS for name in page.VARIANTS}
        for dataset, unit in (("a", "1"), ("a", "2"), ("b", "1"), ("b", "2"))
        for seed in (0, 1)
    ]
    table = pd.DataFrame(rows)
    return table.assign(**{f"{metric}.trained": trained for metric in page.METRICS}, **{"flops.kernels": 1.0})


def test_standard_errors_are_those_of_units():
    table = make_table([0.0, 0.2, 0.2, 0.4, 0.4, 0.6, 0.8, 0.8])  # means of units .1, .3, .5, .8
    found = page.difference(table, "auroc", "kernels")
    assert found.mean == pytest.approx(0.425)
    assert found.margin == pytest.approx(2 * np.std([0.1, 0.3, 0.5, 0.8], ddof=1) / 2)
    found = page.over_datasets(table, "auroc", "kernels")
    assert found.mean == pytest.approx(0.425)
    # within data sets the variances of the means are .02 / 2 and .045 / 2
    assert found.margin == pytest.approx(2 * np.sqrt(0.01 + 0.0225) / 2)
    assert str(page.over_datasets(table[table["unit"] == "1"], "auroc", "kernels")) == "+0.300"  # one unit each: no error known
    assert not page.wins(make_table([0.0, 0.0, 0.1, 0.1, 0.3, 0.3, 0.0, 0.0]), "auroc")
    assert page.wins(table, "auroc")
    assert not page.wins(table.assign(**{"auroc.kernels": 0.4}), "auroc")


def test_damaged_result_is_an_error(tmp_path):
    values = {key: {"network": 1, "kernels": 1} for key in ("dataset", "unit", "objective", "seed", "seconds", "flops")}
    (tmp_path / "a.json").write_text(json.dumps(values | {"scores": {"ensemble": {"auroc": 1.0}}}))
    with pytest.raises(AMSLError, match=r"a.json: not a complete result \(KeyError"):
        page.read_results(tmp_path)


def test_committed_page_is_up_to_date(tmp_path):
    text = (ROOT / "docs" / page.PAGE).read_text()
    (tmp_path / page.PAGE).write_text(text)
    page.write(ROOT / "benchmarks/results/objectives", tmp_path, units.titles(), [*study.OBJECTIVES])
    assert (tmp_path / page.PAGE).read_text() == text
