"""Saved detectors: replacement of folders, migration of older formats, and errors for damaged folders."""

import json
import shutil
import tarfile

import numpy as np
import pytest

from amsl_tf import AMSLDetector
from amsl_tf.errors import AMSLError
from amsl_tf.persistence import FORMAT, OLDEST, hash_files
from tests.conftest import ROOT


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


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_pickled_arrays_are_not_loaded(detector, tmp_path):
    detector.save(tmp_path / "saved")
    with np.load(tmp_path / "saved" / "state.npz") as stored:
        state = {name: stored[name] for name in stored.files}
    np.savez(
        tmp_path / "saved" / "state.npz", **{**state, "draws.noise": np.array([Payload(tmp_path / "executed")], dtype=object)}
    )
    config = json.loads((tmp_path / "saved/config.json").read_text())
    (tmp_path / "saved/config.json").write_text(json.dumps({**config, "files": hash_files(tmp_path / "saved")}))
    with pytest.raises(AMSLError, match="not a complete detector"):
        AMSLDetector.load(tmp_path / "saved")
    assert not (tmp_path / "executed").exists()


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


@pytest.mark.parametrize("name", ["amsl", "memae"])
def test_format_7_has_the_same_results(format_7, tmp_path, name):
    windows, expected = np.load(format_7 / "windows.npz"), np.load(format_7 / f"{name}_expected.npz")
    detector = AMSLDetector.load(format_7 / name)
    detector.save(tmp_path / "saved")
    for loaded in (detector, AMSLDetector.load(tmp_path / "saved")):
        found = {
            **loaded.score_components(windows["new"]),
            **{f"explain_{key}": values for key, values in loaded.explain(windows["new"])._asdict().items()},
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


def test_invalid_config_of_format_7_is_an_error(format_7, tmp_path):
    shutil.copytree(format_7 / "amsl", tmp_path / "damaged")
    values = json.loads((tmp_path / "damaged/config.json").read_text())
    del values["config"]["model"]
    (tmp_path / "damaged/config.json").write_text(json.dumps(values))
    with pytest.raises(AMSLError, match="the settings of a detector need"):
        AMSLDetector.load(tmp_path / "damaged")
