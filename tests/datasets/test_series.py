"""The readers of data sets of series: one contract for all, the content of each format, and faults."""

import logging
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from amsl_tf.data.recordings import Recording
from amsl_tf.datasets import DATASETS, load_dataset, load_series
from amsl_tf.datasets.series import Series, SeriesDataset, window_labels
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.stages.preprocessing import preprocess
from tests.datasets.writers import WRITERS, make_values, replace_line, write_pickles, write_smd_pickles

NAMES = {
    "skab": ("other/2", "valve1/0", "valve2/0"),
    "smd": ("machine-1-2", "machine-1-10"),
    "smap": ("P-2", "P-10"),
    "msl": ("C-1",),
    "asd": ("omi-1",),
    "tep": ("fault-1", "fault-10"),
    "tsb_ad": ("002_Pump_id_1_Sensor_tr_300_1st_350", "010_Pump_id_9_Sensor_tr_300_1st_350"),
}
# rows for training and to test, and the abnormal rows of the latter, of the first series
ROWS = {
    "skab": (104, 496, range(60)),
    "smd": (200, 150, range(70, 100)),
    "smap": (200, 250, [*range(20, 25), *range(120, 130)]),
    "msl": (200, 250, range(120, 130)),
    "asd": (250, 220, range(110, 140)),
    "tep": (500, 960, range(160, 960)),
    "tsb_ad": (300, 200, range(50, 70)),
}
# labels of its windows: every T rows of the training recording, then of the test recording
LABELS = {
    "skab": [0] + [1] + [0] * 7,
    "smd": [0] * 3 + [0, 1],
    "smap": [0] * 2 + [1, 1],
    "msl": [0] * 2 + [0, 1],
    "asd": [0] * 2 + [0, 1],
    "tep": [0] * 15 + [0] * 5 + [1] * 25,
    "tsb_ad": [0] * 3 + [1, 0],
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folder of each data set."""
    made = {name: tmp_path_factory.mktemp(name) for name in WRITERS}
    for name, writer in WRITERS.items():
        writer(made[name])
    return made


@pytest.fixture
def copy(folders, tmp_path):
    """Returns a function that copies the folder of a data set, to be damaged."""
    return lambda name: shutil.copytree(folders[name], tmp_path / name)


@pytest.mark.parametrize("name", WRITERS)
def test_series(folders, name):
    dataset = DATASETS[name](folders[name])
    series = load_series(name, folders[name])
    assert dataset.names() == tuple(series) == NAMES[name]
    assert len(dataset.channel_names) in (0, dataset.window_shape[1])
    for key, item in series.items():
        assert item.name == key
        assert item.train.label is None or not item.train.label.any()
        for recording in (item.train, item.test):
            assert type(recording.x) is np.ndarray
            assert recording.x.dtype == np.float32
            assert recording.x.flags.c_contiguous
            assert recording.x.shape[1] == dataset.window_shape[1]
            assert (folders[name] / recording.name).is_file()
    first = series[NAMES[name][0]]
    train, test, abnormal = ROWS[name]
    assert (len(first.train), len(first.test)) == (train, test)
    assert np.flatnonzero(first.test.label).tolist() == list(abnormal)


@pytest.mark.parametrize("name", WRITERS)
def test_windows(folders, name, tmp_path):
    windows = load_dataset(name, folders[name])
    first = windows[windows.subject == NAMES[name][0]]
    series = load_series(name, folders[name])[NAMES[name][0]]
    steps, channels = DATASETS[name](folders[name]).window_shape
    assert first.label.tolist() == LABELS[name]
    assert windows.x.shape[1:] == (steps, channels)
    np.testing.assert_array_equal(first.x[0], series.train.x[:steps])
    start = int(first.segment[-1]) - series.test.first_row
    np.testing.assert_array_equal(first.x[-1], series.test.x[start:][:steps])
    places = list(zip(windows.source, windows.segment, strict=True))
    assert len(set(places)) == len(places)
    shapes = preprocess(folders[name], tmp_path / "out", name)
    assert [shape[0] for shape in shapes.values()] == np.bincount(windows.label).tolist()


@pytest.mark.parametrize("name", WRITERS)
def test_wrong_folders_and_names(folders, name, tmp_path):
    with pytest.raises(DataError, match=r"Name the folder that holds them|labeled_anomalies.csv: not found") as raised:
        load_series(name, tmp_path)
    assert "\n" not in str(raised.value)
    with pytest.raises(DataError, match=r"no such folder|labeled_anomalies.csv: not found"):
        load_dataset(name, tmp_path / "typo")
    with pytest.raises(DataError, match=f"expected the name of a series, one of {NAMES[name][0]}.* Received: '../typo'"):
        DATASETS[name](folders[name]).read_series("../typo")


def test_natural_order_and_long_lists_of_names(tmp_path):
    for number in (10, 9, 2, 1):
        write_pickles(tmp_path, f"omi-{number}", 19)
    with pytest.raises(DataError, match=r"one of omi-1, omi-2, omi-9, \.\.\.\. Received: 'omi-3'"):
        DATASETS["asd"](tmp_path).read_series("omi-3")


# each format


def test_skab_against_numpy(folders):
    series = load_series("skab", folders["skab"])["valve1/0"]
    text = np.loadtxt(folders["skab"] / "valve1/0.csv", delimiter=";", skiprows=1, dtype=str)
    np.testing.assert_array_equal(np.concatenate([series.train.x, series.test.x]), text[:, 1:9].astype(np.float32))
    assert (len(series.train), len(series.test)) == (400, 200)
    assert series.train.time[0] == np.datetime64("2020-03-09T10:14:33")
    assert series.test.time[0] == series.train.time[-1] + np.timedelta64(1, "s")


def test_smd_in_both_layouts(folders, tmp_path):
    expected = load_series("smd", folders["smd"])["machine-1-2"]
    np.testing.assert_array_equal(
        expected.test.x, np.loadtxt(folders["smd"] / "test/machine-1-2.txt", delimiter=",", dtype=np.float32)
    )
    write_smd_pickles(tmp_path)
    for part, values in (("train", expected.train.x), ("test", expected.test.x), ("test_label", expected.test.label * 1.0)):
        (tmp_path / f"machine-1-2_{part}.pkl").write_bytes(pickle.dumps(values))
    series = load_series("smd", tmp_path)
    assert tuple(series) == ("machine-1-1", "machine-1-2")
    np.testing.assert_array_equal(series["machine-1-2"].train.x, expected.train.x)
    np.testing.assert_array_equal(series["machine-1-2"].test.label, expected.test.label)


def test_telemanom_logs_arrays_without_labels(folders, caplog):
    with caplog.at_level(logging.DEBUG):
        load_series("smap", folders["smap"])
    assert [record.getMessage() for record in caplog.records] == [
        f"{folders['smap']}/test/T-10.npy: left out, because labeled_anomalies.csv does not list it"
    ]


def test_tep_is_transposed_and_shared(folders):
    series = load_series("tep", folders["tep"])
    expected = np.loadtxt(folders["tep"] / "d00.dat", dtype=np.float32).T
    for item in series.values():
        np.testing.assert_array_equal(item.train.x, expected)
    windows = load_dataset("tep", folders["tep"])
    assert (windows.source == "d00.dat").sum() == 500 // 32  # once, though both series have it
    assert set(windows.subject[windows.source == "d00.dat"]) == {"fault-1"}


def test_tsb_ad_with_missing_values(copy):
    folder = copy("tsb_ad")
    replace_line(9, lambda line: ["," + line.partition(",")[2]])(folder / f"{NAMES['tsb_ad'][0]}.csv")
    assert np.argwhere(np.isnan(load_series("tsb_ad", folder)[NAMES["tsb_ad"][0]].train.x)).tolist() == [[7, 0]]
    with pytest.raises(DataError, match=r"002.*row 7, channel 0 .*found a missing value"):
        load_dataset("tsb_ad", folder)


def test_tsb_ad_with_other_channels(copy):
    folder = copy("tsb_ad")
    x, label = make_values(40, 1, (30, 35))
    rows = [f"{value!r},{item}" for value, item in zip(x[:, 0].tolist(), label, strict=True)]
    (folder / "003_Room_id_2_tr_20_1st_30.csv").write_text("\n".join(["Data,Label", *rows]))
    assert load_series("tsb_ad", folder)["003_Room_id_2_tr_20_1st_30"].test.x.shape == (20, 1)
    message = r"003_Room.*expected 3 channels, as in the windows of other series, found 1.*load_series"
    with pytest.raises(DataError, match=message):
        load_dataset("tsb_ad", folder)


# faults


def array(change, read=lambda file: pickle.loads(file.read_bytes())):
    """Returns a function that changes the array in a pickle."""
    return lambda file: file.write_bytes(pickle.dumps(change(read(file))))


def npy(change):
    """Returns a function that changes the array in an .npy file."""
    return lambda file: np.save(file, change(np.load(file)))


def cut(file):
    """Removes the second half of a file, in the middle of a line."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2 + 3])


def delete(file):
    """Removes a file."""
    file.unlink()


def replace(old, new):
    """Returns a function that replaces text in a file."""
    return lambda file: file.write_text(file.read_text().replace(old, new, 1))


FAULTS = [
    ("skab", "valve1/0.csv", cut, r"valve1/0.csv, line \d+: expected 11 values, found \d+"),
    ("skab", "valve1/0.csv", lambda file: file.write_text(""), "valve1/0.csv, line 1: expected datetime;.*found ''"),
    (
        "skab",
        "valve1/0.csv",
        replace_line(1, lambda line: [line.replace("Current", "I")]),
        "line 1: expected .*Current.*found .*;I;",
    ),
    ("skab", "valve1/0.csv", replace_line(7, lambda line: [line.replace(";", ";oops", 1)]), "line 7, column 2: .*'oops"),
    ("skab", "valve1/0.csv", replace_line(7, lambda line: ["monday" + line[19:]]), "line 7: expected a time .*found 'monday'"),
    ("skab", "valve1/0.csv", replace_line(7, lambda line: [line[19:]]), "line 7: expected a time .*found ''"),
    (
        "skab",
        "valve1/0.csv",
        replace_line(7, lambda line: [line, line]),
        r"valve1/0.csv, row 6 .*a repeated time, 2020-03-09T10:14:38",
    ),
    ("skab", "valve1/0.csv", replace_line(7, lambda line: ["2020-03-08" + line[10:]]), "row 5 .*a time that does not rise"),
    (
        "skab",
        "valve1/0.csv",
        replace_line(7, lambda line: [line.replace(";0.0;", ";0.5;")]),
        "labels must be 0 .* or 1 .*0.5 for row 5",
    ),
    (
        "skab",
        "valve1/0.csv",
        replace_line(2, lambda line: [line.replace(";0.0;", ";1.0;")]),
        "found 600 rows, abnormal from row 0",
    ),
    ("smd", "test_label/machine-1-2.txt", delete, "test_label/machine-1-2.txt: not found"),
    ("smd", "train/machine-1-2.txt", delete, "train/machine-1-2.txt: not found"),
    (
        "smd",
        "test_label/machine-1-2.txt",
        replace_line(9, lambda line: []),
        r"test_label/machine-1-2.txt: labels .* 150 rows.*\(149,\)",
    ),
    (
        "smd",
        "test_label/machine-1-2.txt",
        replace_line(9, lambda line: ["7"]),
        "test_label/machine-1-2.txt: labels .* 7.0 for row 8",
    ),
    ("smd", "test/machine-1-2.txt", cut, r"test/machine-1-2.txt, line \d+: expected 38 values"),
    ("asd", "omi-1_train.pkl", delete, "omi-1_train.pkl: not found"),
    ("asd", "omi-1_test_label.pkl", delete, "omi-1_test_label.pkl: not found"),
    ("asd", "omi-1_test.pkl", cut, "omi-1_test.pkl: expected a pickle"),
    ("asd", "omi-1_test.pkl", array(lambda x: x[:-1]), r"omi-1_test_label.pkl: labels .*219 rows.*\(220,\)"),
    ("asd", "omi-1_test.pkl", array(lambda x: x[:, :-1]), "omi-1_test.pkl: expected 19 channels, found 18"),
    ("asd", "omi-1_test.pkl", array(lambda x: {"x": 1}), "omi-1_test.pkl: expected an array, found dict"),
    ("asd", "omi-1_train.pkl", array(lambda x: x.astype(str)), "omi-1_train.pkl: expected numbers"),
    ("asd", "omi-1_train.pkl", array(lambda x: x[0]), r"omi-1_train.pkl: expected numbers \(rows, channels\)"),
    (
        "asd",
        "omi-1_train.pkl",
        array(lambda x: np.where(x > 1, np.inf, x)),
        r"omi-1_train.pkl, row \d+, channel \d+ .*found inf",
    ),
    ("smap", "labeled_anomalies.csv", delete, "labeled_anomalies.csv: not found"),
    ("smap", "labeled_anomalies.csv", replace("spacecraft", "ship"), "line 1: expected the columns .*found no spacecraft"),
    (
        "smap",
        "labeled_anomalies.csv",
        replace("[[120, 129]]", "[[120, 129"),
        "line 2: expected sequences .*found .*120, 129' and",
    ),
    ("smap", "labeled_anomalies.csv", replace("[[20, 22]", "[[22, 20]"), "line 3: expected sequences"),
    ("smap", "labeled_anomalies.csv", replace("120, 129", "120, 250"), "line 2: expected sequences"),
    *(
        ("smap", "labeled_anomalies.csv", replace("[[120, 129]]", text), "line 2: expected sequences")
        for text in ("7", "{}", '""""', "[" * 5000)
    ),
    ("smap", "labeled_anomalies.csv", replace("[[120, 129]]", "[" * 200_000), "not a CSV"),
    ("smap", "labeled_anomalies.csv", replace('"[[120, 129]]"', '"[[120, 129]]\nx"'), r"expected sequences .*\\nx"),
    ("smap", "labeled_anomalies.csv", replace(",[point],250", ""), "line 2: expected sequences .*None"),
    ("smap", "labeled_anomalies.csv", replace(",250", ",251"), "line 2: expected num_values to be the 250 rows .*P-10.npy"),
    ("smap", "train/P-2.npy", delete, "train/P-2.npy: not found"),
    ("smap", "test/P-2.npy", cut, "test/P-2.npy: not a complete .npy file"),
    ("smap", "test/P-2.npy", npy(lambda x: x[:, :-1]), "test/P-2.npy: expected 25 channels, found 24"),
    ("msl", "test/C-1.npy", delete, "expected channels of MSL, found others only"),
    ("tep", "d00.dat", delete, "d00.dat: not found"),
    ("tep", "d00.dat", replace_line(52, lambda line: []), "d00.dat: expected 52 lines of 500 values, found 51"),
    ("tep", "d10_te.dat", cut, r"d10_te.dat, line \d+: expected 52 values"),
    ("tep", "d10_te.dat", replace_line(9, lambda line: []), "d10_te.dat: expected 960 lines of 52 values, found 959"),
    ("tsb_ad", "010*.csv", cut, r"010.*line \d+: expected 4 values"),
    (
        "tsb_ad",
        "010*.csv",
        replace_line(1, lambda line: ["a,b,c,d"]),
        "010.*line 1: expected names of channels, then Label, found 'a,b,c,d'",
    ),
    ("tsb_ad", "010*.csv", replace_line(9, lambda line: [line[:-1] + "1"]), "010.*first abnormal row to be 350 .*found 7"),
    ("tsb_ad", "010*.csv", lambda file: file.rename(str(file).replace("tr_300", "tr_3x")), "expected a name that ends in _tr_"),
    ("tsb_ad", "010*.csv", replace_line(9, lambda line: []), "first abnormal row to be 350 .*, as in the name, found 349"),
    (
        "tsb_ad",
        "010*.csv",
        lambda file: file.rename(str(file).replace("tr_300", "tr_600")),
        "found 500 rows, abnormal from row 350",
    ),
]


def test_channel_of_two_spacecraft(copy):
    folder = copy("smap")
    file = folder / "labeled_anomalies.csv"
    rows = file.read_text().splitlines()
    file.write_text("\n".join([*rows, rows[1].replace("SMAP", "MSL")]) + "\n")
    with pytest.raises(DataError, match=r"line \d+: expected a channel of SMAP, found 'MSL'"):
        load_series("smap", folder)


def test_spaces_around_names_of_channels(copy):
    folder = copy("smap")
    file = folder / "labeled_anomalies.csv"
    expected = tuple(load_series("smap", folder))
    file.write_text(file.read_text().replace("P-2,", "P-2 ,"))
    assert tuple(load_series("smap", folder)) == expected


def test_copies_of_files_are_no_series(copy):
    folder = copy("skab")
    expected = tuple(load_series("skab", folder))
    (folder / "valve1/0 (copy).csv").write_bytes((folder / "valve1/0.csv").read_bytes())
    assert tuple(load_series("skab", folder)) == expected


def test_folder_that_cannot_be_read(copy, monkeypatch):
    """Its series would be missing without a word; the superuser can read it, so the check is replaced."""
    folder = copy("skab")
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "valve1")
    with pytest.raises(DataError, match="valve1: cannot be read"):
        load_series("skab", folder)


@pytest.mark.parametrize(("name", "file", "damage", "message"), FAULTS)
def test_faults(copy, name, file, damage, message):
    folder = copy(name)
    (target,) = folder.glob(file)
    damage(target)
    with pytest.raises(DataError, match=message) as raised:
        load_series(name, folder)
    assert "\n" not in str(raised.value)


# a data set of a user


class Rooms(SeriesDataset):
    """Two short series; values are missing in the second."""

    window_shape = (16, 1)
    rows = 20

    def names(self):
        return ("first", "second")

    def read_series(self, name):
        x = np.zeros((self.rows, 1))
        x[7] = np.nan if name == "second" else 0
        return Series(name, Recording(x, "train"), Recording(x, name, np.ones(self.rows)))


def test_missing_values_and_short_recordings(tmp_path):
    rooms = Rooms(tmp_path)
    assert rooms.sampling_rate is None
    with pytest.raises(DataError, match=r"second, row 7, channel 0 .*expected a number, found a missing value"):
        rooms.index()
    rooms.rows = 12
    rooms.names = lambda: ("first",)
    with pytest.raises(DataError, match="expected recordings of 16 rows or more, found none"):
        rooms.index()


def test_windows_are_no_series(tmp_path):
    with pytest.raises(AMSLError, match="dsads consists of windows"):
        load_series("dsads", tmp_path)


# real files

REAL = {  # series, rows for training and to test, abnormal rows of the latter; counted with other tools
    "skab": ("skab", "valve1/0", 400, 747, 401),
    "smd": ("smd", "machine-1-6", 3000, 9000, 465),
    "smap": ("smap_msl", "T-1", 2875, 8612, 1536),
    "msl": ("smap_msl", "C-1", 2158, 2264, 312),
    "asd": ("asd", "omi-1", 8640, 4320, 441),
    "tep": ("tep", "fault-1", 500, 960, 800),
    "tsb_ad": ("tsb_ad", "002_MSL_id_1_Sensor_tr_500_1st_900", 500, 1327, 11),
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_real_files(series_folder, name, tmp_path):
    folder, key, train, test, abnormal = REAL[name]
    series = load_series(name, series_folder / folder)[key]
    assert (len(series.train), len(series.test), series.test.label.sum()) == (train, test, abnormal)
    windows = load_dataset(name, series_folder / folder)
    assert set(windows.label) == {0, 1}
    shapes = preprocess(series_folder / folder, tmp_path / "out", name)
    assert sum(shape[0] for shape in shapes.values()) == len(windows)


def test_labels_of_windows():
    labels = np.array([0, 0, 0, 0, 1, 0, 0, 0, 0, 0])
    rows = np.array([0, 1, 4, 5, 6])
    assert window_labels(labels, rows, 4).tolist() == [False, True, True, False, False]
    assert not window_labels(None, rows, 4).any()
