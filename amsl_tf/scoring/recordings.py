"""The methods of a fitted detector for recordings: p-values, budgets of false alarms, scores and events."""

import logging
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

from amsl_tf.data.lengths import to_rows
from amsl_tf.data.preparation import Preparation, default_max_gap
from amsl_tf.data.reading import Reading
from amsl_tf.data.recording_files import RecordingFile
from amsl_tf.data.recordings import Recording, Recordings, check_channels, load_recording
from amsl_tf.data.skipped import Skipped
from amsl_tf.data.source import Source
from amsl_tf.data.window_reader import WindowPlan, read_windows
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.scoring.alert_budgets import AlertBudget, NormalScores
from amsl_tf.scoring.detection import DetectionMixin
from amsl_tf.scoring.events import MergeRule
from amsl_tf.scoring.p_values import conformal_p_values
from amsl_tf.scoring.recording_scores import RecordingScores, score_windows

log = logging.getLogger(__name__)

T = TypeVar("T", bound="RecordingMixin")


class RecordingMixin(DetectionMixin):
    """The methods of a fitted detector for recordings. `AMSLDetector` inherits them and sets the attributes.

    Attributes:
        recordings_: Metadata of the training recordings: the fields of `Preparation`, `stride` and several counts; None if
            the detector was fitted to windows.
        segments_, rows_: int64 (N,), the segment of each training window, a part of a recording without gaps, and its first row
            there; None as above.
        normal_range_: float32 (2, C), the usual range of each channel, or None.
    """

    recordings_: dict[str, Any] | None
    segments_: np.ndarray | None
    rows_: np.ndarray | None
    normal_range_: np.ndarray | None

    def to_p_values(self, scores: np.ndarray) -> np.ndarray:
        """Computes the p-values of decision scores (N,), float64 (N,); see `p_values`."""
        return conformal_p_values(scores, self.decision_scores_)

    def p_values(self, X: Any) -> np.ndarray:
        """Computes conformal p-values: the share of held-out normal windows with a score at least as large.

        The normal scores are `decision_scores_`, for which the group or the piece of a window is left out. For new windows that
        are exchangeable with them, a p-value is at most a with probability at most a. Overlapping windows, new groups and drift
        break this; see the page Events and alerts of the documentation.

        Args:
            X: An array (N, T, C) of finite numbers or `Windows`.

        Returns:
            float64 (N,), from 1 / (n + 1) to 1, where n is the number of training windows.

        Raises:
            NotFittedError: The detector is not fitted.
            DataError: The windows have another shape than the training windows, or are not finite.
        """
        return self.to_p_values(self.decision_function(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Computes 1 - p-value as the probability of the class abnormal, for tools that expect probabilities.

        It is a rank among normal windows, and not the probability that a window is abnormal, which normal data cannot tell.

        Args:
            X: An array (N, T, C) of finite numbers or `Windows`.

        Returns:
            float64 (N, 2), columns as in `classes_`: the p-value, and 1 less the p-value.

        Raises:
            NotFittedError: The detector is not fitted.
            DataError: The windows have another shape than the training windows, or are not finite.
        """
        p_values = self.p_values(X)
        return np.stack([p_values, 1 - p_values], axis=1)

    def normal_scores(self, rule: MergeRule | None = None) -> NormalScores:
        """Returns the held-out scores of the training windows in time, for the number of false alarms at a threshold.

        Raises:
            NotFittedError: The detector is not fitted.
            AMSLError: It was not fitted to recordings with times or a sampling rate.
        """
        scores = self.decision_scores_
        period = self.preparation_.period
        if self.segments_ is None or self.rows_ is None or period is None:
            raise AMSLError(
                "false alarms by time need a detector that was fitted to recordings with times, or with a sampling rate. Use "
                "fit_recordings (amsl fit), or set_false_alarm_rate."
            )
        return NormalScores(scores, self.segments_, self.rows_, self.window_shape[0], period, rule or MergeRule())

    def set_alert_budget(self: T, budget: str | AlertBudget, *, rule: MergeRule | None = None, extrapolate: bool = False) -> T:
        """Sets the threshold so that normal data have no more events in a time than a budget.

        Channels that are dead, stuck or saturated are flagged in addition (`on_dead_channel`).

        Args:
            budget: The largest number of false alarms, such as "1/day" or "0.5/h".
            rule: How flagged windows form events.
            extrapolate: Whether a budget that the held-out normal scores do not resolve takes the threshold from a generalised
                Pareto distribution fitted to their tail.

        Returns:
            The detector itself.

        Raises:
            NotFittedError: The detector is not fitted.
            AMSLError: The budget is not one, is smaller than the normal scores resolve, or the detector was not fitted to
                recordings with times.
        """
        parsed = budget if isinstance(budget, AlertBudget) else AlertBudget.parse(str(budget))
        found = self.normal_scores(rule).threshold_for(parsed, extrapolate)
        if found.extrapolated:
            log.info(
                f"the threshold {found.threshold:.4g} for {parsed.text} is extrapolated: the held-out normal scores are too "
                "few to tell it."
            )
        return self.set_threshold(found.threshold)

    @property
    def preparation_(self) -> Preparation:
        """How recordings are prepared: as in fitting, or the default if the detector was fitted to windows."""
        _ = self.pipeline
        known = self.recordings_ or {}
        return Preparation(**{item.name: known[item.name] for item in fields(Preparation) if item.name in known})

    def plan(self, stride: Any = None, resample: bool = False) -> WindowPlan:
        """Returns how recordings are cut into windows to be scored.

        Args:
            stride: The length between the starts of windows, in rows or in time; if None, that of the training windows, or the
                length of a window if it is not known.
            resample: Whether recordings with another sampling rate are resampled to that of the training recordings.

        Raises:
            AMSLError: The stride is invalid, or the detector knows no sampling rate.
        """
        preparation, steps = self.preparation_, self.window_shape[0]
        if resample and preparation.period is None:
            raise DataError("resample needs the sampling rate of the training recordings, which had no times.")
        if resample:
            gap = preparation.max_gap or default_max_gap(steps, preparation.period)
            preparation = replace(preparation, resample=True, max_gap=gap)
        if stride is None:
            rows = (self.recordings_ or {}).get("stride", steps)
        else:
            rows = to_rows("stride", stride, preparation.period)
        return WindowPlan(steps, rows, preparation)

    def check_recording(self, source: Source) -> None:
        """Raises DataError if a recording has other channels than the training windows."""
        names, count = self.config_.channel_names, self.window_shape[1]
        if names:
            check_channels(source, names, "those of the detector")
        elif len(source.channel_names) != count:
            raise DataError(
                f"{source.name}: expected {count} channels, found {len(source.channel_names)}. Name the channels, or leave out "
                "columns."
            )

    def load_recording(self, recording: Any, *, reading: Reading | None = None, resample: bool = False) -> Recording:
        """Reads a recording into memory.

        Args:
            recording, reading: As for `score_recording`.
            resample: Whether it is resampled to the sampling rate of the training recordings.

        Raises:
            NotFittedError: The detector is not fitted.
            AMSLError: The recording cannot be read, or does not fit the detector.
        """
        source = self._open(recording, reading)
        if not resample:
            return load_recording(source)
        preparation = self.plan(resample=True).preparation
        return load_recording(source, replace(preparation, missing="interpolate", max_fill=0))  # gaps stay visible

    def open_recordings(
        self,
        recordings: Any,
        reading: Reading | None = None,
        *,
        names: Sequence[str] = (),
        skipped: list[Skipped] | None = None,
    ) -> Recordings:
        """Opens recordings to score, with the column of times of the training recordings, unless `reading` names another.

        Args:
            recordings: What `Recordings.of` accepts.
            reading: Which columns of files and data frames are channels, times and labels.
            names: The names of the channels, for a detector that knows none; those of the first recording if empty.
            skipped: A list to which recordings that cannot be opened or do not fit are added; if None, such a recording is an
                error.

        Raises:
            NotFittedError: The detector is not fitted.
            AMSLError: A recording cannot be read, or has other channels than the training windows.
        """
        names, time = self.pipeline.config.channel_names or names, (self.recordings_ or {}).get("time_name")
        reading = replace(reading or Reading(), usual_time=time or "")
        opened = Recordings.of(recordings, reading, names, check=self.check_recording, skipped=skipped)
        for source in opened:
            if time is not None and source.time_name is None and isinstance(source, RecordingFile):
                log.warning(
                    f"{source.name}: no times, which the training recordings have in column {time}: a row every "
                    f"{self.preparation_.period:g} s is assumed. Name their column with --time."
                )
        return opened

    def _open(self, recording: Any, reading: Reading | None) -> Source:
        """Opens one recording to score. Raises DataError if there are several."""
        opened = self.open_recordings(recording, reading)
        if len(opened) != 1:
            raise DataError(f"expected one recording. Received: {len(opened)}. Give them one by one.")
        return opened[0]

    def score_recording(
        self,
        recording: Any,
        *,
        stride: Any = None,
        resample: bool = False,
        rule: MergeRule | None = None,
        reading: Reading | None = None,
        explain: bool = True,
    ) -> RecordingScores:
        """Scores a recording and finds its events.

        Args:
            recording: What `Recordings.of` accepts, one recording.
            stride: The length between the starts of windows, in rows or in time; that of the training windows if None.
            resample: Whether the recording is resampled to the sampling rate of the training recordings.
            rule: How flagged windows form events.
            reading: Which columns of a file or data frame are channels, times and labels.
            explain: Whether events name channels and parts of the score.

        Returns:
            The scores of the windows, and the events.

        Raises:
            NotFittedError: The detector is not fitted.
            AMSLError: The recording cannot be read, or does not fit the detector.

        Example:
            >>> scores = detector.score_recording("today.csv")
            >>> for event in scores.events:
            ...     print(event.start, event.end, event.channels)
        """
        threshold, source = self.threshold_, self._open(recording, reading)
        windows = read_windows(source, self.plan(stride, resample))
        return RecordingScores.collect(
            score_windows(self, windows, explain=explain),
            name=source.name,
            channel_names=source.channel_names,
            time_zone=source.time_zone,
            threshold=threshold,
            rule=rule or MergeRule(),
            members=self.members_,
        )
