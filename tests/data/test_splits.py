"""Splits: sizes, no overlap, nobody on both sides."""

import numpy as np
import pytest

from amsl_tf.data.splits import protocol_split, random_split, subject_split, validation_split
from amsl_tf.data.windows import Windows
from amsl_tf.errors import DataError


def windows_of(people, with_subject=True):
    return Windows(np.zeros((len(people), 16, 1)), subject=np.array(list(people)) if with_subject else None)


def test_random_split_has_the_papers_sizes():
    train, test = random_split(6720, seed=0)
    assert (len(train), len(test)) == (4032, 2688)
    assert sorted([*train, *test]) == list(range(6720))
    assert not np.array_equal(train, np.sort(train))
    assert len(random_split(10, 0, 1.0 - 0.9)[0]) == 1  # 1 - 0.9 is a little less than 0.1


def test_the_seed_decides():
    assert np.array_equal(random_split(50, 1)[0], random_split(50, 1)[0])
    assert not np.array_equal(random_split(50, 1)[0], random_split(50, 2)[0])


def test_subject_split_keeps_people_apart():
    subjects = np.array(["p1", "p2", "p3", "p1", "p2", "p3"])
    train, test = subject_split(subjects, ["p3"])
    assert train.tolist() == [0, 1, 3, 4]
    assert test.tolist() == [2, 5]


def test_the_protocol_window_tests_on_all_abnormal_windows():
    split = protocol_split(windows_of(["p1"] * 10), windows_of(["p1"] * 3), "window", seed=1)
    assert sorted([*split.train, *split.test_normal]) == list(range(10))
    assert split.train.tolist() == random_split(10, 1)[0].tolist()
    assert split.test_abnormal.tolist() == [0, 1, 2]


def test_the_protocol_subject_tests_on_these_people_only():
    split = protocol_split(windows_of(["p1", "p2", "p1"]), windows_of(["p1", "p2", "p2"]), "subject", test_subjects=["p2"])
    assert [part.tolist() for part in split] == [[0, 2], [1], [1, 2]]


def test_validation_has_the_papers_sizes():
    train, held_back = validation_split(4032, 0.2, seed=0)
    assert (len(train), len(held_back)) == (3225, 807)
    assert sorted([*train, *held_back]) == list(range(4032))


def test_validation_is_one_whole_person():
    groups = np.array(["p1", "p5", "p2", "p5", "p1"])
    train, held_back = validation_split(5, 0.2, seed=0, groups=groups)
    assert held_back.tolist() == [1, 3]
    assert train.tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    ("split", "said"),
    [
        (lambda: random_split(1, 0), "one side would be empty"),
        (lambda: subject_split(np.array(["p1", "p2"]), ["p9"]), "p9 does not occur; there are p1, p2"),
        (lambda: subject_split(np.array(["p1", "p2"]), ["p1", "p2"]), "not all"),
        (lambda: subject_split(np.array(["p1", "p2"]), []), "Received: none"),
        (lambda: validation_split(3, 0.2, 0, np.array(["p1"] * 3)), "at least two groups"),
        (lambda: protocol_split(windows_of("ab"), windows_of("a"), "window", test_subjects=["a"]), "for the protocol subject"),
        (lambda: protocol_split(windows_of("ab", False), windows_of("a"), "subject", test_subjects=["a"]), "column subject"),
        (lambda: protocol_split(windows_of("ab"), windows_of("a"), "subject", test_subjects=["b"]), "no abnormal windows of b"),
    ],
)
def test_empty_sides_are_refused(split, said):
    with pytest.raises(DataError, match=said):
        split()
