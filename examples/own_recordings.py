"""Recordings as arrays to scored windows: cut, group, fit, score. Replace `record` by your own data.

python examples/own_recordings.py
"""

import numpy as np

from amsl_tf import AMSLDetector

STEPS, STRIDE = 40, 20  # windows of 2 s at 20 Hz, half of each overlaps the next


def record(seed: int, rows: int = 600) -> np.ndarray:
    """Returns a recording (rows, 3): a motor whose speed varies a little from recording to recording."""
    rng = np.random.default_rng(seed)
    phase = 2 * np.pi * rng.uniform(0.9, 1.1) * np.arange(rows) / 20
    return np.sin(phase[:, None] + [0.0, 1.0, 2.0]) + rng.normal(0, 0.1, (rows, 3))


def cut(recording: np.ndarray) -> np.ndarray:
    """Cuts a recording (rows, C) into windows (N, T, C)."""
    return np.lib.stride_tricks.sliding_window_view(recording, STEPS, axis=0)[::STRIDE].swapaxes(1, 2)


def main() -> None:
    """Fits a detector to six normal recordings and scores a new one with a fault."""
    parts = [cut(record(seed)) for seed in range(6)]
    groups = np.repeat(np.arange(len(parts)), [len(part) for part in parts])  # the recording of each window
    detector = AMSLDetector(seed=0).fit(np.concatenate(parts), groups=groups)

    new = record(seed=6)
    new[300:400, 1] = new[300, 1]  # the second sensor is stuck for 5 s
    windows = cut(new)
    scores, flags = detector.decision_function(windows), detector.predict(windows)
    worst = detector.explain(windows).channels.argmax(axis=1)

    print(f"threshold: {detector.threshold_:.2f}")
    print("  row   score  decision  channel with the largest contribution")
    for number, (score, flag) in enumerate(zip(scores, flags, strict=True)):
        print(f"{number * STRIDE:5d} {score:7.2f}  {'abnormal' if flag else 'normal  '}  {worst[number]}")


if __name__ == "__main__":
    main()
