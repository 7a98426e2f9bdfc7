"""Synthetic recordings in the format of DSADS: for a demonstration and for tests, not for results.

Five units (torso, arms, legs) feel gravity, the earth's magnetic field and a periodic motion with harmonics, each person with
their own cadence, strength and mounting of the units. Normal and abnormal activities share postures and strength of motion;
abnormal ones differ in dynamics: a faster, uneven beat with bursts.
"""

from pathlib import Path

import numpy as np

from amsl_tf.data.dsads import ABNORMAL, ACTIVITIES, CHANNELS, NORMAL, RATE, STEPS, UNITS
from amsl_tf.data.files import atomic_folder

MARKER = "SYNTHETIC.txt"


def make_windows(activity: str, person: int, segments: int, seed: int = 0) -> np.ndarray:
    """Consecutive windows of one person (1, 2, ...) at one activity.

    Returns:
        float64 (segments, 125, 45), in the units of DSADS: m/s2, rad/s, and the field relative to the earth's.
    """
    number = list(ACTIVITIES).index(activity)
    abnormal = activity in ABNORMAL
    # an abnormal activity moves as strongly, and in the same posture, as one of the normal ones
    model = list(ACTIVITIES).index(NORMAL[6 + ABNORMAL.index(activity)]) if abnormal else number
    posture = np.random.default_rng([seed, 1, model])
    motion = np.random.default_rng([seed, 2, number])
    wearer = np.random.default_rng([seed, 3, person])
    noise = np.random.default_rng([seed, 4, number, person])

    time = np.arange(segments * STEPS) / RATE
    cadence = (motion.uniform(2.2, 3.0) if abnormal else motion.uniform(0.6, 1.6)) * wearer.uniform(0.94, 1.06)
    phase = 2 * np.pi * cadence * time + np.cumsum(noise.normal(0.0, 0.02, time.size))
    if abnormal:  # an uneven beat: every other cycle is shorter, and the motion comes in bursts
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


def write_tree(root: Path, people: int = 4, segments: int = 8, seed: int = 0) -> int:
    """Writes recordings as DSADS' text files and returns their number.

    Raises:
        AMSLError: `root` holds something that this function has not written.
    """
    files = 0
    with atomic_folder(root, (MARKER, *ACTIVITIES)) as folder:
        (folder / MARKER).write_text("Made by amsl_tf.data.synthetic; not real data.\n")
        for activity in ACTIVITIES:
            for person in range(1, people + 1):
                target = folder / activity / f"p{person}"
                target.mkdir(parents=True)
                for number, window in enumerate(make_windows(activity, person, segments, seed), start=1):
                    rows = ([f"{value:.5g}" for value in row] for row in window.tolist())
                    (target / f"s{number:02d}.txt").write_text("".join(",".join(row) + "\n" for row in rows))
                    files += 1
    return files


def _directions(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
