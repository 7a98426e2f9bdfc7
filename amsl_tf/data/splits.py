"""Splits of windows into training, test and validation: positions only, made before anything is fitted."""

from typing import Literal, get_args

import numpy as np

from amsl_tf.errors import DataError

Protocol = Literal["window", "subject"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
TRAIN_SHARE = 0.6  # of the normal windows, section 4.1 of the paper


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
            raise DataError(f"test subject {subject} does not occur; there are {', '.join(people)}.")
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
