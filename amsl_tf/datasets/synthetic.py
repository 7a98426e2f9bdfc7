"""Synthetic recordings in the format of DSADS, for demonstrations and tests.

Five units (torso, arms, legs) measure gravity, the magnetic field of the earth and a periodic motion with harmonics; cadence,
strength and mounting of the units vary between subjects. Normal and abnormal activities have the same postures and strengths of
motion; abnormal ones differ in their dynamics: a faster, irregular cadence with bursts.
"""

from pathlib import Path

import numpy as np

from amsl_tf.data.files import atomic_folder
from amsl_tf.datasets.dsads import ABNORMAL, ACTIVITIES, CHANNELS, NORMAL, RATE, STEPS, UNITS

MARKER = "SYNTHETIC.txt"


def make_windows(activity: str, subject: int, segments: int, seed: int = 0) -> np.ndarray:
    """Generates consecutive windows of one subject and one activity.

    Args:
        activity: The name of an activity in `ACTIVITIES`.
        subject: The number of the subject, from 1.
        segments: The number of windows.
        seed: The seed of everything random.

    Returns:
        float64 (segments, 125, 45) at 25 Hz, in the units of DSADS (m/s2, rad/s, and the field relative to that of the earth).
    """
    number = list(ACTIVITIES).index(activity)
    abnormal = activity in ABNORMAL
    # posture and strength of an abnormal activity are those of a normal one
    model = list(ACTIVITIES).index(NORMAL[6 + ABNORMAL.index(activity)]) if abnormal else number
    posture = np.random.default_rng([seed, 1, model])
    motion = np.random.default_rng([seed, 2, number])
    wearer = np.random.default_rng([seed, 3, subject])
    noise = np.random.default_rng([seed, 4, number, subject])

    time = np.arange(segments * STEPS) / RATE
    cadence = (motion.uniform(2.2, 3.0) if abnormal else motion.uniform(0.6, 1.6)) * wearer.uniform(0.94, 1.06)
    phase = 2 * np.pi * cadence * time + np.cumsum(noise.normal(0.0, 0.02, time.size))
    if abnormal:  # an irregular cadence: every other cycle is shorter, and the motion comes in bursts
        phase = phase + 0.6 * np.sin(phase / 2)
    harmonics = np.arange(1, 5)
    decay = 0.9 if abnormal else 0.45
    strength = posture.uniform(0.3, 1.0) * wearer.uniform(0.9, 1.1) * decay ** (harmonics - 1.0)
    waves = np.sin(harmonics * phase[:, None, None] + motion.uniform(0, 2 * np.pi, (CHANNELS, harmonics.size)))
    moves = (waves * strength * motion.uniform(0.2, 1.0, (CHANNELS, harmonics.size))).sum(-1)
    if abnormal:
        moves *= (0.4 + 1.2 * (np.sin(np.pi * cadence / 3 * time) > 0.3))[:, None]

    tilt = wearer.normal(0.0, 0.1, (len(UNITS), 3))
    gravity, field = (_directions(posture.normal(size=(len(UNITS), 3)) + tilt) for _ in range(2))
    still = np.concatenate([9.81 * gravity, np.zeros((len(UNITS), 3)), 0.8 * field], axis=1).ravel()
    scale = np.tile(np.repeat([4.0, 1.0, 0.1], 3), len(UNITS))
    drift = np.cumsum(noise.normal(0.0, 0.003, (time.size, CHANNELS)), axis=0)
    recording = still + scale * (moves + drift + noise.normal(0.0, 0.05, (time.size, CHANNELS)))
    return recording.reshape(segments, STEPS, CHANNELS)


def write_tree(root: str | Path, subjects: int = 4, segments: int = 8, seed: int = 0) -> int:
    """Writes recordings as the text files of DSADS.

    Args:
        root: The folder to write; it is written completely or not at all.
        subjects: The number of subjects.
        segments: The number of windows of each subject and activity.
        seed: The seed of everything random.

    Returns:
        The number of files.

    Raises:
        AMSLError: `root` holds files that this function has not written.
    """
    files = 0
    with atomic_folder(Path(root), (MARKER, "a*/p*/s*.txt")) as folder:
        (folder / MARKER).write_text("Made by amsl_tf.datasets.synthetic; not real data.\n")
        for activity in ACTIVITIES:
            for subject in range(1, subjects + 1):
                target = folder / activity / f"p{subject}"
                target.mkdir(parents=True)
                for number, window in enumerate(make_windows(activity, subject, segments, seed), start=1):
                    rows = ([f"{value:.5g}" for value in row] for row in window.tolist())
                    (target / f"s{number:02d}.txt").write_text("".join(",".join(row) + "\n" for row in rows))
                    files += 1
    return files


def _directions(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
