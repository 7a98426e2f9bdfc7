"""Fitting on a cluster: the detector of one machine, whatever the number of workers and the order of the recordings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amsl_tf import AMSLDetector
from amsl_tf.data import window_reader
from amsl_tf.data.pieces import Pieces
from amsl_tf.data.recordings import Recording
from amsl_tf.data.window_reader import WindowPlan
from amsl_tf.data.windows import hash_each
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.scale import fit_recordings
from amsl_tf.scale.held_out import _in_chunks, window_keys
from amsl_tf.scale.items import Item
from amsl_tf.scale.selection import select_windows
from amsl_tf.scale.summary import SummaryTask, summarise
from tests.scale.conftest import (
    NAMES,
    READING,
    STEPS,
    STRIDE,
    LocalCluster,
    Stopping,
    make_frame,
    make_recording,
    make_values,
    set_block_items,
    use_local_cluster,
)

CUTTING = {"window": STEPS, "stride": STRIDE}
BANK = 20  # windows, fewer than there are


def write_normal(folder, count, rows=400):
    """Writes recordings with labels, gaps, missing values, constant parts, and parts that are equal in all recordings."""
    folder.mkdir()
    for seed in range(count):
        frame = make_frame(3 * seed, rows + 40 * seed, "UTC").assign(fault=0)
        frame.loc[100:180, [*NAMES]] = make_frame(0)[[*NAMES]].to_numpy()[:81]
        frame.loc[190:260, [*NAMES]] = [0.5, 0.25, 0]
        frame.loc[rows - 40, "fault"] = 1
        frame.loc[270:271, "b"] = np.nan
        frame.loc[20:29, "a"] = np.nan
        frame.drop(index=range(300, 330 + seed)).reset_index(drop=True).to_parquet(folder / f"{seed}.parquet")
    return folder


def fit(recordings, *, bank_size=10_000, reading=READING, **options):
    return fit_recordings(AMSLDetector(bank_size=bank_size), recordings, reading=reading, **{**CUTTING, **options})


def assert_same_detector(found, expected):
    assert found.threshold_ == pytest.approx(expected.threshold_, abs=1e-6)
    np.testing.assert_allclose(found.decision_scores_, expected.decision_scores_, atol=1e-6)
    for name in ("segments_", "rows_", "normal_range_", "examples_"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name, values in vars(expected.pipeline.health).items():
        np.testing.assert_array_equal(vars(found.pipeline.health)[name], values)
    assert found.recordings_ == expected.recordings_
    assert found.config_ == expected.config_
    for name in ("windows", "steps", "channels", "precision"):
        assert found.data_[name] == expected.data_[name]
    states = [own.pipeline.scores["ensemble"].state() for own in (found, expected)]
    assert list(states[0]) == list(states[1])
    for name, values in states[1].items():
        np.testing.assert_allclose(states[0][name], values, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("groups", ["file", "given", "folder"])
def test_few_windows_give_the_detector_of_one_machine(tmp_path, monkeypatch, groups):
    """With groups, and with pieces of two files or of one folder."""
    use_local_cluster(monkeypatch, workers=2)
    set_block_items(monkeypatch, 1)
    folder = write_normal(tmp_path / "in", 2 if groups == "folder" else 4)
    chosen = ["x", "y", "x", "z"] if groups == "given" else groups
    expected = AMSLDetector().fit_recordings(folder, groups=chosen, reading=READING, **CUTTING)
    found = fit(folder, groups=chosen)
    assert_same_detector(found, expected)
    assert expected.recordings_["left_out"] == ("piece" if groups == "folder" else "group")
    assert min(expected.recordings_[name] for name in ("missing_windows", "abnormal_windows", "filled")) > 0
    if groups == "file":
        found.save(tmp_path / "saved")
        loaded = AMSLDetector.load(tmp_path / "saved")
        assert_same_detector(loaded, found)
        assert loaded.data_ == found.data_
        abnormal = make_recording(1)
        assert len(found.score_recording(abnormal).events) > 0
        np.testing.assert_array_equal(loaded.score_recording(abnormal).score, found.score_recording(abnormal).score)


def state(detector):
    """Everything that was fitted, as arrays."""
    values = {**detector.pipeline.scores["ensemble"].state(), "scores": detector.decision_scores_}
    return {**values, "segments": detector.segments_, "rows": detector.rows_, "threshold": np.array(detector.threshold_)}


def assert_equal_bits(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name].tobytes() == values.tobytes(), name


@pytest.mark.parametrize("count", [5, 2])
def test_many_windows_give_the_detector_of_one_machine_for_any_workers_and_order(tmp_path, monkeypatch, count):
    """The bank holds a part of the windows; five files are groups, two are not."""
    folder, found = write_normal(tmp_path / "in", count), []
    for workers, seed, block in ((1, 0, 16), (2, 1, 1), (3, 2, 2)):
        use_local_cluster(monkeypatch, workers=workers, seed=seed)
        set_block_items(monkeypatch, block)
        found.append(fit(folder, bank_size=BANK))
    for other in found[1:]:
        assert_equal_bits(state(other), state(found[0]))
        assert other.data_ == found[0].data_
    expected = AMSLDetector(bank_size=BANK).fit_recordings(folder, reading=READING, **CUTTING)
    assert len(expected.decision_scores_) > BANK + 10
    assert_same_detector(found[0], expected)


@st.composite
def drawn_recordings(draw):
    """Recordings that may be too short for a window, constant, equal to others, or have missing values."""
    recordings = []
    for number in range(draw(st.integers(1, 6))):
        x = make_values(draw(st.integers(0, 50)), draw(st.sampled_from([5, 31, 32, 200, 900])))
        kind = draw(st.sampled_from(["usual", "usual", "constant", "equal", "missing"]))
        if kind == "constant":
            x[:] = 1.5
        elif kind == "equal" and recordings:
            x = recordings[0].x
        elif kind == "missing":
            x[len(x) // 2 :][:9] = np.nan
        recordings.append(Recording(x, f"unit {number}", channel_names=NAMES))
    return recordings


@pytest.mark.slow
@given(recordings=drawn_recordings(), data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_recordings_give_the_detector_or_the_error_of_one_machine(recordings, data):
    groups = data.draw(st.just("file") | st.lists(st.sampled_from("abcd"), min_size=len(recordings), max_size=len(recordings)))
    options = {"window": STEPS, "stride": data.draw(st.sampled_from([1, 7, 16, 32])), "groups": groups}
    found = []
    size = data.draw(st.sampled_from([2, 3, 10, 40, 10_000]))
    with pytest.MonkeyPatch.context() as patch:
        use_local_cluster(patch, workers=3, seed=size)
        for fit_with in (fit_recordings, AMSLDetector.fit_recordings):
            try:
                found.append(fit_with(AMSLDetector(bank_size=size), recordings, **options))
            except DataError as error:
                found.append(str(error))
    if isinstance(found[1], str):
        assert found[0] == found[1]
    else:
        assert_same_detector(*found)


@pytest.mark.slow
def test_ray_gives_the_detector_of_local_workers(ray, tmp_path, monkeypatch):
    folder = write_normal(tmp_path / "in", 5)
    set_block_items(monkeypatch, 2)
    found = fit(folder, bank_size=BANK, workers=2)
    use_local_cluster(monkeypatch, workers=1)
    assert_equal_bits(state(found), state(fit(folder, bank_size=BANK)))


class Broken(Stopping):
    """A recording that cannot be read beyond half of its rows."""

    def parts(self):
        x = self._recording.x
        yield from Recording(x[: len(x) // 2], self.name, channel_names=NAMES).parts()
        raise DataError(f"{self.name}: is broken.")


def test_unusable_recordings_are_left_out(monkeypatch):
    recordings = [make_recording(3 * seed) for seed in range(5)]
    recordings[1], recordings[2] = Broken(recordings[1]), Broken(recordings[2])
    use_local_cluster(monkeypatch, workers=1)
    monkeypatch.setattr(window_reader, "BATCH", 4)  # some windows are read before the error
    skipped, expected_skipped = [], []
    found = fit(recordings, bank_size=BANK, reading=None, skipped=skipped)
    assert_same_detector(found, AMSLDetector(bank_size=BANK).fit_recordings(recordings, skipped=expected_skipped, **CUTTING))
    assert [tuple(own) for own in skipped] == [(n // 3, f"unit {n}", f"unit {n}: is broken.") for n in (3, 6)]
    assert skipped == expected_skipped
    with pytest.raises(DataError, match=r"^unit 3: is broken\.$"):
        fit(recordings[:2], reading=None)


def test_first_recording_that_cannot_be_read_is_left_out(monkeypatch):
    """Windows are planned by the next one, with both engines."""
    use_local_cluster(monkeypatch)
    recordings = [Broken(make_recording(0)), *(make_recording(3 * seed) for seed in range(1, 5))]
    skipped, expected_skipped = [], []
    expected = AMSLDetector().fit_recordings(recordings, skipped=expected_skipped, **CUTTING)
    assert_same_detector(fit(recordings, reading=None, skipped=skipped), expected)
    assert [tuple(own) for own in skipped] == expected_skipped == [(0, "unit 0", "unit 0: is broken.")]
    with pytest.raises(DataError, match=r"^unit 0: is broken\.$"):
        AMSLDetector().fit_recordings(recordings, **CUTTING)
    with pytest.raises(DataError, match=r"unit 0: is broken\.$"):
        AMSLDetector().fit_recordings(recordings[:1], skipped=[], **CUTTING)


def test_first_file_that_cannot_be_opened_is_left_out(tmp_path, monkeypatch):
    use_local_cluster(monkeypatch)
    folder = write_normal(tmp_path / "in", 4)
    (folder / "0.parquet").write_text("broken")
    skipped, expected_skipped = [], []
    expected = AMSLDetector().fit_recordings(folder, reading=READING, skipped=expected_skipped, **CUTTING)
    assert_same_detector(fit(folder, skipped=skipped), expected)
    assert skipped == expected_skipped
    assert [own.name for own in skipped] == [f"{folder}/0.parquet"]
    with pytest.raises(DataError, match=r"0.parquet: expected the content of a .parquet file"):
        fit(folder)
    with pytest.raises(DataError, match=r"^none of 1 recordings can be used\. The first: .*0.parquet: expected"):
        fit(folder / "0.parquet", skipped=[])


def test_groups_of_recordings_that_cannot_be_opened(monkeypatch):
    """Groups are given for all recordings."""
    use_local_cluster(monkeypatch)
    recordings = [np.ones(3), *(make_recording(3 * seed) for seed in range(4))]
    skipped, groups = [], ["d", "a", "a", "b", "c"]
    expected = AMSLDetector().fit_recordings(recordings, skipped=[], groups=groups, **CUTTING)
    assert_same_detector(fit(recordings, reading=None, skipped=skipped, groups=groups), expected)
    assert [own.position for own in skipped] == [0]


class Changing(Stopping):
    """A recording that changes at a reading: to which rows are added, which loses some, or one of whose values changes.

    Args:
        recording: The recording.
        change: Rows that are added or lost; 0 for another value in the first window.
        reading: The reading from which on it is changed; 0 is for the plan, 1 to 3 are the passes.
        folder: A folder for a file for each reading.
    """

    def __init__(self, recording, change, reading, folder):
        super().__init__(recording)
        self._change, self._reading, self._folder = change, reading, folder

    def parts(self):
        times = len(list(self._folder.iterdir()))
        (self._folder / str(times)).touch()
        x, rows = np.concatenate([self._recording.x] * 2), len(self._recording.x)
        if times >= self._reading:
            rows += self._change
            x[0, 0] += self._change == 0
        yield from Recording(x[:rows], self.name, channel_names=NAMES).parts()


@pytest.mark.parametrize(("change", "reading"), [(50, 2), (-50, 2), (-380, 2), (0, 2), (50, 3), (-50, 3), (-380, 3)])
def test_recordings_that_change_between_the_passes_are_errors(monkeypatch, tmp_path, change, reading):
    use_local_cluster(monkeypatch, workers=1)
    recordings = [make_recording(3 * seed) for seed in range(4)]
    recordings[0] = Changing(recordings[0], change, reading, tmp_path)
    with pytest.raises(DataError, match=r"^unit 0: has other windows than when it was read first\. Wait until it is complete"):
        fit(recordings, reading=None)
    assert len(list(tmp_path.iterdir())) == reading + 1


@given(data=st.data(), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_windows_are_selected_by_position(data, seed):
    """From recordings of which some have no window, by several workers."""
    rows = data.draw(st.lists(st.sampled_from([5, 16, 100, 5000]), min_size=1, max_size=5).filter(lambda rows: max(rows) > 16))
    recordings = [make_recording(number, count) for number, count in enumerate(rows)]
    task, cluster = SummaryTask(WindowPlan(16, 16), None, recordings[0]), LocalCluster(seed=seed)
    items = [Item(number, recording) for number, recording in enumerate(recordings)]
    windows = np.concatenate(
        [own.x[: count // 16 * 16].reshape(-1, 16, 3) for own, count in zip(recordings, rows, strict=True)]
    )
    summaries = summarise(cluster, task, items, None)
    places = st.lists(st.integers(0, len(windows) - 1), min_size=1, max_size=40).map(np.array)
    wanted = data.draw(st.lists(places, min_size=1, max_size=3))
    found = select_windows(cluster, task, summaries, items, wanted)
    assert len(found) == len(wanted)
    for own, positions in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(own, windows[positions])


def test_hashes_and_keys(rng):
    x = rng.normal(size=(5, 16, 2)).astype(np.float32)
    x[3], x[4] = x[1], 0.5
    hashes = hash_each(x)
    assert hashes.dtype == np.int64
    assert len(set(hashes.tolist())) == 4
    assert (hashes[3], hashes[4]) == (hashes[1], -1)
    assert (hashes[:4] >= 0).all()
    rows, groups = np.array([7, 2, 0]), np.array([4, 4, 9])
    ids = np.array([55, -1, -1])  # constant windows are not duplicates of each other
    assert [key.tolist() for key in window_keys(rows, ids, groups, None)] == [[4, 4, 9], [55, -3, -1], [7, 2, 0]]
    pieces = Pieces(np.arange(8) // 4, 10 + np.arange(8), 4)
    keys = window_keys(rows, ids, groups, pieces)
    assert [key.tolist() for key in keys] == [[1, 0, 0], [17, 12, 10], [55, -3, -1], [7, 2, 0]]


def test_chunks(monkeypatch):
    monkeypatch.setattr("amsl_tf.scale.held_out.CHUNK", 4)
    sizes = (3, 0, 2, 9, 0, 1, 1)
    ends = np.cumsum(sizes)
    parts = list(_in_chunks(np.arange(end - size, end) for size, end in zip(sizes, ends, strict=True)))
    assert [len(part) for part in parts] == [5, 9, 2]
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(16))
    assert list(_in_chunks([np.empty(0)])) == []


@pytest.mark.parametrize("network", [None, "cae"])
def test_other_scores_need_one_machine(network):
    detector = AMSLDetector(network, extra_scores=["reconstruction"] if network else ["nearest_normal"])
    with pytest.raises(AMSLError, match=r"a cluster fits the score ensemble without a network\. Received: .*\. Fit it on one"):
        fit_recordings(detector, make_recording(0))


def make_windows(seed):
    return np.random.default_rng(seed).normal(size=(6, STEPS, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda seed: Recording(np.ones((100, 3)), "a"), "expected a channel that varies in normal operation, found none"),
        (
            lambda seed: Recording(make_recording(seed).x[:30], "a"),
            "at least 2 normal windows of 32 rows. Received: 0, of 60 rows",
        ),
        (lambda seed: Recording(make_recording(seed).x[:, : 3 - seed], "a"), "a: expected the 3 channels"),
    ],
)
def test_unusable_recordings_are_errors(monkeypatch, make, message):
    use_local_cluster(monkeypatch)
    with pytest.raises(DataError) as error:
        fit([make(0), make(1)], reading=None)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_windows_that_are_cut_already_need_groups(tmp_path, monkeypatch):
    use_local_cluster(monkeypatch)
    for seed in range(3):
        np.save(tmp_path / f"{seed}.npy", make_windows(seed))
    cut = {"reading": None, "window": None, "stride": None}
    with pytest.raises(DataError, match="windows that are cut already need 3 groups on a cluster"):
        fit([tmp_path / "0.npy", tmp_path / "1.npy"], **cut)
    expected = AMSLDetector().fit_recordings(tmp_path)
    assert_same_detector(fit(tmp_path, **cut), expected)


@pytest.mark.parametrize("groups", ["unit", ["x"]])
def test_invalid_groups_are_errors(groups):
    with pytest.raises(AMSLError, match="groups must be one of file, folder"):
        fit([make_recording(0), make_recording(3)], groups=groups, reading=None)
