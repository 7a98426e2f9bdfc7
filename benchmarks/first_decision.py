"""Prints the seconds to load a detector and decide on one window: `python -m benchmarks.first_decision FOLDER`.

Importing TensorFlow is not counted, importing anything else is.
"""

import sys
import time

import tensorflow  # noqa: F401

start = time.perf_counter()

from amsl_tf.detector import AMSLDetector  # noqa: E402, its time is measured


def main(folder: str) -> None:
    """Loads the detector of a folder, decides on one of its example windows, and prints the seconds since the start."""
    detector = AMSLDetector.load(folder)
    detector.predict(detector.examples_[:1])
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(sys.argv[1])
