"""Splits of windows into training, test and validation: positions only, made before anything is fitted."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from amsl_tf.data.windows import Windows
from amsl_tf.errors import DataError

Protocol = Literal["window", "subject"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
TRAIN_SHARE = 0.6  # of the normal windows, section 4.1 of the paper


class Split(NamedTuple):
    """Positions of the windows that train, and of those that test.

    Attributes:
        train: Among the normal windows.
        test_normal: Among the normal windows.
        test_abnormal: Among the abnormal windows.
    """

    train: np.ndarray
    test_normal: np.ndarray
    test_abnormal: np.ndarray


def protocol_split(
    normal: Windows, abnormal: Windows, protocol: Protocol, *, test_subjects: Sequence[str] = (), seed: int = 0
) -> Split:
    """Splits by one of the two protocols.

    Args:
        normal, abnormal: All windows.
        protocol: `window`: a random 60 % of the normal windows train, the rest and all abnormal ones test. `subject`: the
            normal windows of some people train, the normal and abnormal ones of `test_subjects` test.
        test_subjects: For the protocol `subject`.
        seed: For the protocol `window`.

    Raises:
        DataError: The split is not possible.
    """
    if protocol == "window":
        if test_subjects:
            raise DataError("test subjects are for the protocol subject. Leave them out, or name that protocol.")
        return Split(*random_split(len(normal), seed), np.arange(len(abnormal)))
    if normal.subject is None or abnormal.subject is None:
        raise DataError("the protocol subject needs the column subject in normal.csv and abnormal.csv. It is missing in one.")
    train, test = subject_split(normal.subject, list(test_subjects))
    tested_abnormal = np.flatnonzero(np.isin(abnormal.subject, test_subjects))
    if not len(tested_abnormal):
        raise DataError(f"there are no abnormal windows of {', '.join(test_subjects)}. Name other test subjects.")
    return Split(train, test, tested_abnormal)


def random_split(count: int, seed: int, share: float = TRAIN_SHARE) -> tuple[np.ndarray, np.ndarray]:
    """Shuffles `count` positions and returns the first `share` of them and the rest, both in shuffled order.

    Raises:
        DataError: One of the two would be empty.
    """
    order = np.random.default_rng(seed).permutation(count)
    cut = int(round(count * share, 9))  # 10 times 0.1 may be a little less than 1
    if not 0 < cut < count:
        raise DataError(
            f"{count} windows cannot be split {share:.0%} to {1 - share:.0%}: one side would be empty. Give more windows."
        )
    return order[:cut], order[cut:]


def subject_split(subjects: np.ndarray, test_subjects: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the windows of everybody but `test_subjects`, and of `test_subjects`, in the order they have.

    Raises:
        DataError: A test subject does not occur, or nobody would be left to train on.
    """
    people = sorted(set(subjects))
    for subject in test_subjects:
        if subject not in people:
            raise DataError(
                f"test subject {subject} does not occur; there are {', '.join(people)}. Name others with --test-subjects."
            )
    is_test = np.isin(subjects, test_subjects)
    if is_test.all() or not is_test.any():
        raise DataError(
            f"test subjects must be some of {', '.join(people)}, but not all. Received: {', '.join(test_subjects) or 'none'}."
        )
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def validation_split(count: int, share: float, seed: int, groups: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Positions to train on and positions held back: a random `share`, or the whole last group where groups are given.

    Raises:
        DataError: There are fewer than two windows, or fewer than two groups.
    """
    if groups is None:
        return random_split(count, seed, 1.0 - share)
    names = np.unique(groups)
    if len(names) < 2:
        raise DataError(
            f"at least two groups are needed, to hold one back for validation. Received: {', '.join(map(str, names))}."
        )
    held_back = groups == names[-1]
    return np.flatnonzero(~held_back), np.flatnonzero(held_back)
