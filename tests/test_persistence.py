"""Saved detectors: replacement of folders, migration of older formats, and errors for damaged folders."""

import copy
import io
import json
import os
import shutil
import tarfile
import zipfile

import h5py
import numpy as np
import pytest

from amsl_tf import AMSLDetector, persistence
from amsl_tf.errors import AMSLError
from amsl_tf.persistence import FORMAT, OLDEST
from tests.conftest import ROOT, close, make_detector


def test_save_replaces_a_saved_detector_only(detector, tmp_path):
    detector.save(tmp_path / "saved")
    detector.save(tmp_path / "saved")
    assert sorted(item.name for item in (tmp_path / "saved").iterdir()) == [
        "config.json",
        "data.json",
        "metrics.json",
        "state.npz",
        "weights.weights.h5",
    ]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(AMSLError, match="name another folder"):
        detector.save(tmp_path / "other")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ["config.json", "data.json", "metrics.json", "state.npz", "weights.weights.h5"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "garbage"])
def test_damaged_folder_is_an_error(detector, tmp_path, name, damage):
    detector.save(tmp_path / "saved")
    file = tmp_path / "saved" / name
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"\x80garbage")
    with pytest.raises(AMSLError, match="saved"):
        AMSLDetector.load(tmp_path / "saved")


@pytest.mark.parametrize("name", ["state.npz", "weights.weights.h5"])
def test_flipped_bit_is_an_error(detector, tmp_path, name):
    """Neither file format would detect it, because the arrays are not compressed."""
    detector.save(tmp_path / "saved")
    content = bytearray((tmp_path / "saved" / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "saved" / name).write_bytes(content)
    with pytest.raises(AMSLError, match=f"{name} has changed since it was saved"):
        AMSLDetector.load(tmp_path / "saved")


@pytest.fixture(scope="module")
def other(waves):
    """A detector with the same settings as `detector`, but another seed, fitted to other windows."""
    return make_detector(views=["raw", "noise"], num_slots=8, axes=3, epochs=1, seed=1).fit(waves[:30])


def edit(folder, name, change, forge=True):
    """Changes the values of a JSON file; with `forge` all hashes are made to fit again."""
    values = json.loads((folder / name).read_text())
    change(values)
    (folder / name).write_text(json.dumps(values))
    if forge:
        sign(folder)


def sign(folder):
    """Makes the hashes of a folder fit its files, as an attacker would."""
    about = json.loads((folder / "config.json").read_text())
    del about["sha256"]
    about["files"] = {name: persistence._hash_file(folder / name) for name in about["files"]}
    (folder / "config.json").write_text(json.dumps({**about, "sha256": persistence._hash_values(about)}))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("metrics.json", lambda values: values["thresholds"].update(nearest_normal=1e9)),
        ("data.json", lambda values: values.update(steps=25)),
        ("config.json", lambda values: values["config"].update(axes=1)),
    ],
)
def test_edited_file_is_an_error(detector, tmp_path, name, change):
    detector.save(tmp_path / "saved")
    edit(tmp_path / "saved", name, change, forge=False)
    for read in (AMSLDetector.load, persistence.read_summary):  # evaluation reads the summary alone
        with pytest.raises(AMSLError, match=f"{name}: has changed since it was saved"):
            read(tmp_path / "saved")


@pytest.mark.parametrize("name", ["metrics.json", "data.json", "state.npz", "weights.weights.h5"])
def test_file_of_another_detector_is_an_error(detector, other, tmp_path, name):
    detector.save(tmp_path / "saved")
    other.save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / name, tmp_path / "saved" / name)
    with pytest.raises(AMSLError, match=f"{name}.* has changed"):
        AMSLDetector.load(tmp_path / "saved")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "metrics.json",
            lambda v: v["thresholds"].update(nearest_normal=np.nan),
            "threshold for nearest_normal, found nan",
        ),
        ("metrics.json", lambda v: v["thresholds"].update(nearest_normal=True), "finite threshold"),
        ("metrics.json", lambda v: v.update(thresholds=[1]), "thresholds by name"),
        ("metrics.json", lambda v: v.update(history=3), "lists of losses"),
        ("data.json", lambda v: v.update(steps=10**9), "scaling.minimum: expected the shape"),
        ("data.json", lambda v: v.update(channels="3"), "number of channels, found '3'"),
        ("config.json", lambda v: v["config"]["network"].update(num_slots=10**9), "num_slots must be at most"),
        ("config.json", lambda v: v["config"]["network"].update(filters=10**9), "filters must be at most"),
        ("config.json", lambda v: v["config"]["network"].update(latent_features=10**18), "latent_features must be below"),
        ("config.json", lambda v: v["config"]["network"].update(num_slots=9), "expected .*, found"),
        ("config.json", lambda v: v["config"]["network"].update(views=["raw"]), "expected the shape"),
        ("config.json", lambda v: v.update(files=[1]), "hashes of the files"),
        ("config.json", lambda v: v["config"].update(unknown=1), "unknown"),
    ],
)
def test_forged_value_is_an_error_of_one_line(detector, tmp_path, name, change, message):
    detector.save(tmp_path / "saved")
    edit(tmp_path / "saved", name, change, forge="files" not in message)
    with pytest.raises(AMSLError, match=message) as caught:
        AMSLDetector.load(tmp_path / "saved")
    assert str(tmp_path / "saved") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def forge_state(folder, write):
    """Replaces state.npz by an archive that `write` fills, beside a valid scaling."""
    with np.load(folder / "state.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    write(folder / "state.npz", arrays)
    sign(folder)


def compress(file, arrays):
    np.savez_compressed(file, **{**arrays, "examples.windows": np.zeros((10**5, 24, 3), np.float32)})


def declare_terabytes(file, arrays):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)})
    np.savez(file, **arrays)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("draws.huge.npy", header.getvalue())


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (compress, "holds less than it declares|another format"),
        (declare_terabytes, "another size than it declares"),
        (lambda file, arrays: np.savez(file, **arrays, **{"other.values": np.zeros(2)}), "unknown part other"),
        (lambda file, arrays: np.savez(file, **{**arrays, "draws.noise": np.float32([np.nan])}), "noise, .*not finite"),
        (lambda file, arrays: np.savez(file, **{**arrays, "draws.noise": np.array(["a"])}), "noise, .*not finite"),
        (lambda file, arrays: file.write_bytes(b"PK"), "not a zip file"),
    ],
)
def test_forged_state_is_an_error(detector, tmp_path, write, message):
    detector.save(tmp_path / "saved")
    forge_state(tmp_path / "saved", write)
    with pytest.raises(AMSLError, match=message):
        AMSLDetector.load(tmp_path / "saved")


def first_array(stored):
    names = []
    stored.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) and item.size > 1 else None)
    return names[0]


def set_nan(stored):
    stored[first_array(stored)][0] = np.nan


def link_elsewhere(stored):
    name, shape = first_array(stored), stored[first_array(stored)].shape
    del stored[name]
    stored.create_dataset(name, shape, "<f4", external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)])


def declare_only(stored):
    name = first_array(stored)
    del stored[name]
    stored.create_dataset(name, (10**9, 8), "<f4", chunks=(1000, 8))


@pytest.mark.parametrize(
    ("change", "message"),
    [(set_nan, "not a finite number"), (link_elsewhere, "in another file"), (declare_only, "holds less than the shape")],
)
def test_forged_weights_are_an_error(detector, tmp_path, change, message):
    detector.save(tmp_path / "saved")
    with h5py.File(tmp_path / "saved/weights.weights.h5", "a") as stored:
        change(stored)
    sign(tmp_path / "saved")
    with pytest.raises(AMSLError, match=message):
        AMSLDetector.load(tmp_path / "saved")


@pytest.mark.parametrize("name", ["config.json", "data.json", "metrics.json", "state.npz", "weights.weights.h5"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_only_regular_files_are_read(detector, tmp_path, name, kind):
    detector.save(tmp_path / "saved")
    file = tmp_path / "saved" / name
    file.unlink()
    os.mkfifo(file) if kind == "pipe" else file.symlink_to("/dev/zero")
    with pytest.raises(AMSLError, match=f"{name}: expected a regular file"):
        AMSLDetector.load(tmp_path / "saved")


def test_links_to_files_are_read(detector, waves, tmp_path):
    """As in the caches of model hubs."""
    detector.save(tmp_path / "saved")
    (tmp_path / "linked").mkdir()
    for file in (tmp_path / "saved").iterdir():
        (tmp_path / "linked" / file.name).symlink_to(file)
    expected = detector.decision_function(waves[:3])
    np.testing.assert_array_equal(AMSLDetector.load(tmp_path / "linked").decision_function(waves[:3]), expected)


def test_detector_that_is_replaced_while_it_is_read(detector, other, tmp_path, monkeypatch):
    """The load begins again, with the new detector."""
    detector.save(tmp_path / "saved")
    read = persistence.read_state

    def replace_once(folder, summary):
        monkeypatch.setattr(persistence, "read_state", read)
        other.save(folder)
        return read(folder, summary)

    monkeypatch.setattr(persistence, "read_state", replace_once)
    assert AMSLDetector.load(tmp_path / "saved").threshold_ == other.threshold_


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_pickled_arrays_are_not_loaded(detector, tmp_path):
    detector.save(tmp_path / "saved")
    payload = np.array([Payload(tmp_path / "executed")], dtype=object)
    forge_state(tmp_path / "saved", lambda file, arrays: np.savez(file, **{**arrays, "draws.noise": payload}))
    with pytest.raises(AMSLError, match="not a complete detector"):
        AMSLDetector.load(tmp_path / "saved")
    assert not (tmp_path / "executed").exists()


def test_state_that_is_not_finite_is_not_saved(detector, tmp_path):
    broken = copy.copy(detector)
    broken.usual_error_ = np.full((2, 3), np.nan)
    with pytest.raises(AMSLError, match=r"training.usual_error, .* not finite"):
        broken.save(tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_unknown_format_and_missing_folder_are_errors(detector, tmp_path):
    detector.save(tmp_path / "saved")
    values = json.loads((tmp_path / "saved/config.json").read_text())
    (tmp_path / "saved/config.json").write_text(json.dumps({**values, "format": 99}))
    with pytest.raises(AMSLError, match=f"format {OLDEST} to {FORMAT}, found format 99"):
        AMSLDetector.load(tmp_path / "saved")
    shutil.rmtree(tmp_path / "saved")
    with pytest.raises(AMSLError, match=r"config.json: not found. Name the folder of a saved detector"):
        AMSLDetector.load(tmp_path / "saved")


@pytest.fixture(scope="module")
def format_7(tmp_path_factory):
    """Detectors saved in format 7 by version 0.1.0, their training windows, and their results for test windows."""
    folder = tmp_path_factory.mktemp("format_7")
    with tarfile.open(ROOT / "tests/fixtures/detectors_format_7.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["amsl", "memae"])
def test_format_7_has_the_same_results(format_7, tmp_path, name):
    windows, expected = np.load(format_7 / "windows.npz"), np.load(format_7 / f"{name}_expected.npz")
    detector = AMSLDetector.load(format_7 / name)
    detector.save(tmp_path / "saved")
    for loaded in (detector, AMSLDetector.load(tmp_path / "saved")):
        found = {
            **loaded.score_components(windows["new"]),
            **{f"explain_{key}": values for key, values in loaded.reconstruct(windows["new"])._asdict().items()},
        }
        assert found.keys() == set(expected.files) - {"predict", "nearest"}
        for key, values in found.items():
            np.testing.assert_allclose(values, expected[key], rtol=1e-6, atol=1e-6, err_msg=key)
        np.testing.assert_array_equal(loaded.predict(windows["new"]), expected["predict"])
        np.testing.assert_array_equal(loaded.nearest(windows["new"]), expected["nearest"])
    assert json.loads((tmp_path / "saved/config.json").read_text())["format"] == FORMAT


def test_format_7_holds_no_groups(format_7):
    """Format 7 does not hold the groups, which the false-alarm rate needs if there were any."""
    detector = AMSLDetector.load(format_7 / "amsl")
    assert detector.config_.scores == ("nearest_normal", "reconstruction")
    assert (detector.contamination, detector.network.num_slots, detector.axes) == (0.02, 5, 3)
    with pytest.raises(AMSLError, match="did not keep the groups"):
        detector.set_false_alarm_rate(0.05)
    without_groups = AMSLDetector.load(format_7 / "memae")
    assert without_groups.contamination == 0.05
    without_groups.set_false_alarm_rate(0.5)
    assert without_groups.threshold_ == pytest.approx(np.median(without_groups.decision_scores_))
    assert without_groups.set_threshold(3.5).threshold_ == 3.5


def test_format_8_has_fewer_hashes(detector, waves, tmp_path):
    detector.save(tmp_path / "saved")
    about = json.loads((tmp_path / "saved/config.json").read_text())
    del about["sha256"], about["files"]["metrics.json"], about["files"]["data.json"]
    (tmp_path / "saved/config.json").write_text(json.dumps({**about, "format": 8}))
    expected = detector.decision_function(waves[:3])
    np.testing.assert_array_equal(AMSLDetector.load(tmp_path / "saved").decision_function(waves[:3]), expected)


def test_format_9_has_the_filters_of_the_paper(detector, waves, tmp_path):
    detector.save(tmp_path / "saved")

    def to_format_9(about):
        about["format"] = 9
        del about["config"]["network"]["filters"]

    edit(tmp_path / "saved", "config.json", to_format_9)
    loaded = AMSLDetector.load(tmp_path / "saved")
    assert loaded.network == detector.network
    np.testing.assert_array_equal(loaded.decision_function(waves[:3]), detector.decision_function(waves[:3]))
    # whatever the default is
    assert persistence._migrate_config_9({"network": {"name": "amsl"}}) == {"network": {"name": "amsl", "filters": 32}}


@pytest.mark.parametrize("config", [[], {"network": []}])
def test_invalid_config_of_format_9_is_an_error(detector, tmp_path, config):
    detector.save(tmp_path / "saved")
    edit(tmp_path / "saved", "config.json", lambda about: about.update(format=9, config=config))
    with pytest.raises(AMSLError, match="the settings of a detector need"):
        AMSLDetector.load(tmp_path / "saved")


def test_invalid_config_of_format_7_is_an_error(format_7, tmp_path):
    shutil.copytree(format_7 / "amsl", tmp_path / "damaged")
    values = json.loads((tmp_path / "damaged/config.json").read_text())
    del values["config"]["model"]
    (tmp_path / "damaged/config.json").write_text(json.dumps(values))
    with pytest.raises(AMSLError, match="the settings of a detector need"):
        AMSLDetector.load(tmp_path / "damaged")


def test_format_10_has_the_same_scores(waves, tmp_path):
    """It holds neither the sensors of features nor the health of channels: all channels contribute equally."""
    detector = AMSLDetector(seed=1).fit(waves)
    detector.save(tmp_path / "saved")
    with np.load(tmp_path / "saved/state.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    older = {
        name: values
        for name, values in arrays.items()
        if not name.startswith("health.") and name.rpartition(".")[2] not in ("sensors", "usual")
    }
    assert len(arrays) - len(older) == 3 + 2 * 3
    np.savez(tmp_path / "saved/state.npz", **older)
    edit(tmp_path / "saved", "config.json", lambda values: (values.update(format=10), values["config"].pop("on_dead_channel")))
    loaded = AMSLDetector.load(tmp_path / "saved")
    close(loaded.decision_function(2 * waves), detector.decision_function(2 * waves))
    assert not loaded.detect(0 * waves)["health"].any()
    explained = loaded.explain(2 * waves)
    np.testing.assert_allclose(explained.channels, explained.channels[:, [0]].repeat(3, axis=1))
    np.testing.assert_allclose(explained.channels.sum(axis=1), loaded.decision_function(2 * waves), atol=1e-5)
