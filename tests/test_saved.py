"""A saved detector: it replaces its like and nothing else, and whatever is broken is one clear error."""

import json
import shutil

import numpy as np
import pytest

from amsl_tf import AMSLDetector
from amsl_tf.errors import AMSLError
from amsl_tf.saved import FORMAT, hash_files


def test_saving_replaces_a_detector_and_nothing_else(detector, tmp_path):
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
@pytest.mark.parametrize("damage", ["missing", "cut", "garbage"])
def test_a_broken_folder_is_one_clear_error(detector, tmp_path, name, damage):
    detector.save(tmp_path / "saved")
    file = tmp_path / "saved" / name
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(content[: len(content) // 2] if damage == "cut" else b"\x80garbage")
    with pytest.raises(AMSLError, match="saved"):
        AMSLDetector.load(tmp_path / "saved")


@pytest.mark.parametrize("name", ["state.npz", "weights.weights.h5"])
def test_a_flipped_bit_is_found(detector, tmp_path, name):
    """Neither format would notice: the arrays are not compressed."""
    detector.save(tmp_path / "saved")
    content = bytearray((tmp_path / "saved" / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "saved" / name).write_bytes(content)
    with pytest.raises(AMSLError, match=f"{name} is not the file that was saved"):
        AMSLDetector.load(tmp_path / "saved")


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_pickles_are_not_opened(detector, tmp_path):
    detector.save(tmp_path / "saved")
    with np.load(tmp_path / "saved" / "state.npz") as stored:
        state = {name: stored[name] for name in stored.files}
    np.savez(tmp_path / "saved" / "state.npz", **{**state, "draw.noise": np.array([Trap(tmp_path / "sprung")], dtype=object)})
    about = json.loads((tmp_path / "saved/config.json").read_text())
    (tmp_path / "saved/config.json").write_text(json.dumps({**about, "files": hash_files(tmp_path / "saved")}))
    with pytest.raises(AMSLError, match="not a whole detector"):
        AMSLDetector.load(tmp_path / "saved")
    assert not (tmp_path / "sprung").exists()


def test_another_format_is_refused(detector, tmp_path):
    detector.save(tmp_path / "saved")
    values = json.loads((tmp_path / "saved/config.json").read_text())
    (tmp_path / "saved/config.json").write_text(json.dumps({**values, "format": 99}))
    with pytest.raises(AMSLError, match=f"format {FORMAT}"):
        AMSLDetector.load(tmp_path / "saved")
    shutil.rmtree(tmp_path / "saved")
    with pytest.raises(AMSLError, match=r"config.json: not found. Name the folder of a saved detector"):
        AMSLDetector.load(tmp_path / "saved")
