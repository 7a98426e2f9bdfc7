"""Splits of windows into training, validation and test: positions only, before anything is fitted."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from sklearn.model_selection import GroupShuffleSplit

from amsl_tf.data.windows import Windows
from amsl_tf.errors import DataError

Protocol = Literal["window", "subject"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
TRAIN_SHARE = 0.6  # share of the normal windows that train (section 4.1 of the paper)


class Split(NamedTuple):
    """The positions of training and test windows.

    Attributes:
        train: int, positions among the normal windows.
        test_normal: int, positions among the normal windows.
        test_abnormal: int, positions among the abnormal windows.
    """

    train: np.ndarray
    test_normal: np.ndarray
    test_abnormal: np.ndarray


def protocol_split(
    normal: Windows, abnormal: Windows | None, protocol: Protocol, *, test_subjects: Sequence[str] = (), seed: int = 0
) -> Split:
    """Splits windows by one of the two protocols.

    Args:
        normal, abnormal: All windows; `abnormal` is None if there are none.
        protocol: `window`: a random 60 % of the normal windows train, the rest and all abnormal windows test. `subject`: the
            normal windows of all other subjects train, the normal and abnormal windows of `test_subjects` test.
        test_subjects: The test subjects of the protocol `subject`.
        seed: The seed of the protocol `window`.

    Returns:
        The positions of training and test windows.

    Raises:
        DataError: The split is not possible.

    Reference:
        Section 4.1 of the AMSL paper, for the protocol `window`.
    """
    if protocol == "window":
        if test_subjects:
            raise DataError("test subjects need the protocol subject. Leave them out, or choose that protocol.")
        return Split(*random_split(len(normal), seed), np.arange(len(abnormal or ())))
    train, test = subject_split(_subjects(normal), list(test_subjects))
    if abnormal is None:
        return Split(train, test, np.arange(0))
    tested_abnormal = np.flatnonzero(np.isin(_subjects(abnormal), test_subjects))
    if not len(tested_abnormal):
        raise DataError(f"there are no abnormal windows of {', '.join(test_subjects)}. Name other test subjects.")
    return Split(train, test, tested_abnormal)


def _subjects(windows: Windows) -> np.ndarray:
    if windows.subject is None:
        raise DataError("the protocol subject needs the column subject in normal.csv, and in abnormal.csv. One lacks it.")
    return windows.subject


def random_split(count: int, seed: int, share: float = TRAIN_SHARE) -> tuple[np.ndarray, np.ndarray]:
    """Splits positions at random.

    Args:
        count: The number of positions N.
        seed: The seed of the order.
        share: The share of the first part, between 0 and 1; its size is rounded down.

    Returns:
        The positions of the first part and of the rest, int (n,) and (N - n,), both in shuffled order.

    Raises:
        DataError: One of the two would be empty.
    """
    order = np.random.default_rng(seed).permutation(count)
    cut = int(round(count * share, 9))  # rounded first: 10 * 0.1 may be slightly below 1
    if not 0 < cut < count:
        raise DataError(
            f"{count} windows cannot be split {share:.0%} to {1 - share:.0%}: one side would be empty. Give more windows."
        )
    return order[:cut], order[cut:]


def subject_split(subjects: np.ndarray, test_subjects: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Splits positions by subject.

    Args:
        subjects: The subject of each window (N,).
        test_subjects: The subjects of the test windows.

    Returns:
        The positions of the windows of all other subjects and of `test_subjects`, int (n,) and (N - n,), both in rising order.

    Raises:
        DataError: A test subject does not occur, or no subject is left to train on.
    """
    known = sorted(set(subjects))
    for subject in test_subjects:
        if subject not in known:
            raise DataError(
                f"test subject {subject} does not occur; there are {', '.join(known)}. Name others with --test-subjects."
            )
    is_test = np.isin(subjects, test_subjects)
    if is_test.all() or not is_test.any():
        raise DataError(
            f"test subjects must be some of {', '.join(known)}, but not all. Received: {', '.join(test_subjects) or 'none'}."
        )
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def validation_split(count: int, share: float, seed: int, groups: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Splits positions into training and validation: a random share of the windows, or of whole groups, is held out.

    Args:
        count: The number of windows N.
        share: The share of the windows, or of the groups, that is held out; at least one group, and not all of them.
        seed: The seed of the choice.
        groups: The group of each window (N,), or None.

    Returns:
        The positions to train on and those held out, int (n,) and (N - n,); in rising order with groups, else shuffled.

    Raises:
        DataError: There are fewer than two windows, or fewer than two groups.
    """
    if groups is None:
        return random_split(count, seed, 1.0 - share)
    names, numbers = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise DataError(
            f"groups must have at least two values, one for validation. Received: only {names[0]}. For a single recording, use "
            "consecutive pieces of it as groups, with a gap of one window between them, or give no groups."
        )
    held_out = min(max(1, round(share * len(names))), len(names) - 1)
    splitter = GroupShuffleSplit(n_splits=1, test_size=held_out, random_state=seed)
    (train, validation), *_ = splitter.split(np.empty((count, 1)), groups=numbers)
    return np.sort(train), np.sort(validation)
