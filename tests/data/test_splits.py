"""Splits: sizes, no overlap, no subject on both sides."""

import numpy as np
import pytest

from amsl_tf.data.splits import protocol_split, random_split, subject_split, validation_split
from amsl_tf.data.windows import Windows
from amsl_tf.errors import DataError


def windows_of(subjects, with_subject=True):
    return Windows(np.zeros((len(subjects), 16, 1)), subject=np.array(list(subjects)) if with_subject else None)


def test_random_split_has_the_sizes_of_the_paper():
    train, test = random_split(6720, seed=0)
    assert (len(train), len(test)) == (4032, 2688)
    assert sorted([*train, *test]) == list(range(6720))
    assert not np.array_equal(train, np.sort(train))
    assert len(random_split(10, 0, 1.0 - 0.9)[0]) == 1  # 1 - 0.9 is slightly below 0.1 in floating point


def test_random_split_depends_on_the_seed():
    assert np.array_equal(random_split(50, 1)[0], random_split(50, 1)[0])
    assert not np.array_equal(random_split(50, 1)[0], random_split(50, 2)[0])


def test_subject_split_separates_subjects():
    subjects = np.array(["p1", "p2", "p3", "p1", "p2", "p3"])
    train, test = subject_split(subjects, ["p3"])
    assert train.tolist() == [0, 1, 3, 4]
    assert test.tolist() == [2, 5]


def test_window_protocol_uses_all_abnormal_windows():
    split = protocol_split(windows_of(["p1"] * 10), windows_of(["p1"] * 3), "window", seed=1)
    assert sorted([*split.train, *split.test_normal]) == list(range(10))
    assert split.train.tolist() == random_split(10, 1)[0].tolist()
    assert split.test_abnormal.tolist() == [0, 1, 2]


def test_subject_protocol_uses_test_subjects_only():
    split = protocol_split(windows_of(["p1", "p2", "p1"]), windows_of(["p1", "p2", "p2"]), "subject", test_subjects=["p2"])
    assert [part.tolist() for part in split] == [[0, 2], [1], [1, 2]]


def test_validation_split_has_the_sizes_of_the_paper():
    train, validation = validation_split(4032, 0.2, seed=0)
    assert (len(train), len(validation)) == (3225, 807)
    assert sorted([*train, *validation]) == list(range(4032))


def test_validation_split_holds_out_random_groups():
    groups = np.repeat([f"p{number}" for number in range(10)], 3)
    held_out = set()
    for seed in range(20):
        train, validation = validation_split(30, 0.2, seed, groups)
        assert sorted([*train, *validation]) == list(range(30))
        assert not set(groups[train]) & set(groups[validation])
        assert len(set(groups[validation])) == 2  # 0.2 of 10 groups
        held_out.update(groups[validation])
    assert len(held_out) >= 8
    np.testing.assert_array_equal(validation_split(30, 0.2, 3, groups)[1], validation_split(30, 0.2, 3, groups)[1])


@pytest.mark.parametrize(("share", "count"), [(0.01, 1), (0.2, 1), (0.5, 2), (0.6, 3), (0.99, 4)])
def test_number_of_held_out_groups(share, count):
    groups = np.array(["e", "b", "c", "d", "a"])
    train, validation = validation_split(5, share, 0, groups)
    assert (len(train), len(validation)) == (5 - count, count)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (lambda: random_split(1, 0), "one side would be empty"),
        (lambda: subject_split(np.array(["p1", "p2"]), ["p9"]), "p9 does not occur; there are p1, p2"),
        (lambda: subject_split(np.array(["p1", "p2"]), ["p1", "p2"]), "not all"),
        (lambda: subject_split(np.array(["p1", "p2"]), []), "Received: none"),
        (
            lambda: validation_split(3, 0.2, 0, np.array(["p1"] * 3)),
            "at least two values, .* only p1. For a single recording, use consecutive pieces",
        ),
        (
            lambda: protocol_split(windows_of("ab"), windows_of("a"), "window", test_subjects=["a"]),
            "need the protocol subject",
        ),
        (lambda: protocol_split(windows_of("ab", False), windows_of("a"), "subject", test_subjects=["a"]), "column subject"),
        (lambda: protocol_split(windows_of("ab"), windows_of("a"), "subject", test_subjects=["b"]), "no abnormal windows of b"),
    ],
)
def test_impossible_splits_are_errors(split, message):
    with pytest.raises(DataError, match=message):
        split()
