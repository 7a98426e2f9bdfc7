"""The detectors of the series benchmark behind one interface: AMSLDetector and the peers."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time
from typing import Any, Literal, NamedTuple

import numpy as np

from amsl_tf.config import DetectorConfig
from amsl_tf.errors import DataError
from amsl_tf.evaluation.time_steps import to_time_steps
from amsl_tf.scoring.threshold import percentile_threshold
from benchmarks.peers import fit_peer
from benchmarks.peers.adaptors import OVERLAPS, SlidingWindows
from benchmarks.rows import OWN

MAX_PIECES = 5  # of a training recording, for the threshold
PIECE = 2  # windows, the least length of a piece
SEED = DetectorConfig().training.seed
PEERS = Path(__file__).with_name("peers")


@dataclass(frozen=True)
class Detector:
    """A detector of series.toml.

    Attributes:
        name: The name, that in `PEERS` for a peer.
        title: The title in tables.
        kind: AMSLDetector or a peer.
        settings: Settings of AMSLDetector; those of peers are constants of their modules.
        windows: The desired number of training windows of AMSLDetector: more, which overlap more, take longer and hardly
            differ.
        split: Whether AMSLDetector gets pieces of the recording, as groups; else it makes pieces of overlapping windows itself.
        held_out: Whether it is fitted once, without the last piece of the training recording, which determines the threshold.
    """

    name: str
    title: str
    kind: Literal["amsl", "peer"] = "peer"
    settings: dict[str, Any] = field(default_factory=dict)
    windows: int = 500
    split: bool = False
    held_out: bool = False

    @property
    def configuration(self) -> dict[str, Any]:
        """The settings that are stored with a result, as they are after a round trip through JSON."""
        amsl = DetectorConfig.from_settings(**self.settings).to_dict() if self.kind == "amsl" else {}
        amsl |= {"windows": self.windows, "split": self.split} if self.kind == "amsl" else {}
        values: dict[str, Any] = json.loads(json.dumps({"held_out": self.held_out, "seed": SEED, **amsl}))
        return values

    @property
    def fingerprint(self) -> str:
        """The sha256 of the settings, and of the modules of the peers for a peer, in hexadecimal digits."""
        modules = sorted(PEERS.glob("*.py")) if self.kind == "peer" else []
        parts = [json.dumps(self.configuration, sort_keys=True).encode(), *(module.read_bytes() for module in modules)]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()


class Fitted(NamedTuple):
    """A fitted detector.

    Attributes:
        score: Computes the scores of the time steps of a recording (rows, C), float64 (rows,) by name of the score.
        thresholds: The thresholds by name of the score.
        seconds: The seconds of the fit, that of a peer without those for the threshold; of processor time, summed over cores,
            which other programs on the machine hardly change.
    """

    score: Callable[[np.ndarray], dict[str, np.ndarray]]
    thresholds: dict[str, float]
    seconds: float


def fit(detector: Detector, x: np.ndarray, steps: int) -> Fitted:
    """Fits a detector to a normal recording.

    The threshold of AMSLDetector is its own, that of windows. The threshold of a peer is the same percentile of the scores of
    pieces of the recording, each scored by a detector fitted to the others, or of the whole if it is too short for two pieces.

    Args:
        detector: The detector.
        x: float32 (rows, C), normal time steps.
        steps: T, the length of a window.

    Raises:
        DataError: The recording is shorter than a window.
    """
    if len(x) < steps:
        raise DataError(f"expected at least {steps} normal time steps, the length of a window, found {len(x)}.")
    return _fit_amsl(detector, x, steps) if detector.kind == "amsl" else _fit_peer(detector, split(x, steps), steps)


def split(x: np.ndarray, steps: int) -> list[np.ndarray]:
    """Splits a recording (rows, C) into consecutive pieces of about the same length, at least `PIECE` windows."""
    return np.array_split(x, min(MAX_PIECES, max(1, len(x) // (PIECE * steps))))


def _fit_amsl(detector: Detector, x: np.ndarray, steps: int) -> Fitted:
    from amsl_tf.detector import AMSLDetector

    config = DetectorConfig.from_settings(**detector.settings)
    pieces = split(x, steps) if detector.split else [x]
    possible = sum(len(piece) - steps + 1 for piece in pieces)
    windows = SlidingWindows(pieces, steps, stride=-(-possible // detector.windows))
    start = process_time()
    fitted = AMSLDetector.from_config(config).fit(windows[:], groups=windows.recording if len(pieces) > 1 else None)
    seconds = process_time() - start

    def score(recording: np.ndarray) -> dict[str, np.ndarray]:
        windows = SlidingWindows([recording], steps, stride=max(1, steps // OVERLAPS))
        scores = fitted.score_components(windows[:])
        return {name: to_time_steps(scores[name], windows.rows[0], steps, len(recording)) for name in config.scores}

    return Fitted(score, dict(fitted.thresholds_), seconds)


def _fit_peer(detector: Detector, pieces: list[np.ndarray], steps: int) -> Fitted:
    held_out = detector.held_out and len(pieces) > 1
    fitted_to = pieces[:-1] if held_out else pieces
    start = process_time()
    score = fit_peer(detector.name, fitted_to, steps, SEED)
    seconds = process_time() - start
    if len(pieces) == 1 or held_out:
        normal = score(pieces[-1:])
    else:
        normal = []
        for number, piece in enumerate(pieces):
            normal += fit_peer(detector.name, pieces[:number] + pieces[number + 1 :], steps, SEED)([piece])
    groups = np.repeat(np.arange(len(normal)), [len(scores) for scores in normal])
    threshold = percentile_threshold(np.concatenate(normal), DetectorConfig().percentile, groups)
    return Fitted(lambda recording: {OWN: score([recording])[0]}, {OWN: threshold}, seconds)
