"""Files and folders appear whole or not at all."""

import pytest

from amsl_tf.data.files import atomic_file, atomic_folder, read_json, write_json
from amsl_tf.errors import AMSLError


def test_a_file_appears_at_the_end(tmp_path):
    with atomic_file(tmp_path / "sub" / "a.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "sub" / "a.txt").exists()
    assert (tmp_path / "sub" / "a.txt").read_text() == "new"
    assert len(list((tmp_path / "sub").iterdir())) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")

    def write_half():
        with atomic_file(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("a.txt", "old")]


def make(folder, content):
    with atomic_folder(folder, "marker") as temporary:
        (temporary / "marker").write_text(content)
        if content == "bad":
            raise KeyboardInterrupt


def test_a_folder_replaces_one_of_its_kind(tmp_path):
    make(tmp_path / "a", "one")
    (tmp_path / "a" / "left over").touch()
    make(tmp_path / "a", "two")
    assert [item.name for item in tmp_path.iterdir()] == ["a"]
    assert [(item.name, item.read_text()) for item in (tmp_path / "a").iterdir()] == [("marker", "two")]


def test_a_failure_leaves_the_old_folder(tmp_path):
    make(tmp_path / "a", "one")
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "a", "bad")
    assert [item.name for item in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a" / "marker").read_text() == "one"


def test_a_failure_leaves_nothing_new(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "a", "bad")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_may_be_replaced_but_nothing_foreign(tmp_path):
    (tmp_path / "empty").mkdir()
    make(tmp_path / "empty", "one")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("foreign", "file"):
        with pytest.raises(AMSLError, match="not what this program writes"):
            make(tmp_path / name, "one")
    assert (tmp_path / "foreign" / "thesis.txt").read_text() == (tmp_path / "file").read_text() == "precious"


def test_json(tmp_path):
    write_json(tmp_path / "a.json", {"a": [1, None]})
    assert read_json(tmp_path / "a.json", "") == {"a": [1, None]}
    (tmp_path / "broken.json").write_text("{")
    for name, said in (("none.json", "not found. Do this."), ("broken.json", "expected JSON")):
        with pytest.raises(AMSLError, match=said):
            read_json(tmp_path / name, "Do this.")
