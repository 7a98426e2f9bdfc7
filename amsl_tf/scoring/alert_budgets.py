"""Thresholds for a budget of false alarms, from the scores of held-out normal windows."""

import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import genpareto

from amsl_tf.checks import convert_count, convert_number
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.scoring.events import MergeRule, group_events
from amsl_tf.scoring.threshold import TIE, is_abnormal

SECONDS = {"s": 1, "min": 60, "h": 3600, "day": 86_400, "week": 604_800, "month": 30 * 86_400, "year": 365 * 86_400}
UNITS = {"second": "s", "sec": "s", "minute": "min", "hour": "h", "d": "day", "w": "week"} | {unit: unit for unit in SECONDS}
LARGEST_SHARE = 0.5  # of the normal windows, that may be flagged
TAIL_SHARE = 0.1  # of the normal windows, that lie in the tail
MIN_PEAKS = 20  # events in the tail, for a fit
ROUNDING = 1e-9  # of a number of events


@dataclass(frozen=True)
class AlertBudget:
    """The largest number of false alarms in a unit of time. An alarm is an event.

    Attributes:
        alerts: The number of alarms, above 0.
        unit: A key of `SECONDS`; a month has 30 days.
    """

    alerts: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> "AlertBudget":
        """Reads a budget such as `1/day`, `0.5/h` or `2 / week`. Raises AMSLError for any other text."""
        number, _, unit = (part.strip() for part in text.partition("/"))
        unit = UNITS.get(unit.lower(), "")
        if not unit or not re.fullmatch(r"[0-9]*\.?[0-9]+(e[+-]?[0-9]+)?", number) or not 0 < float(number) < math.inf:
            raise AMSLError(
                f"false alarms: expected a number above 0 and a unit ({', '.join(SECONDS)}), such as 1/day. Received: {text!r}."
            )
        return cls(float(number), unit)

    @property
    def per_second(self) -> float:
        """Alarms per second."""
        return self.alerts / SECONDS[self.unit]

    @property
    def text(self) -> str:
        """The budget as text that `parse` reads."""
        return f"{self.alerts:.12g}/{self.unit}"


class BudgetThreshold(NamedTuple):
    """A threshold for a budget of false alarms.

    Attributes:
        threshold: The threshold; a window whose score reaches it is flagged.
        events_per_second: The rate of events expected in normal data.
        extrapolated: Whether the threshold lies beyond what the normal scores resolve, in a fitted tail.
    """

    threshold: float
    events_per_second: float
    extrapolated: bool


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class NormalScores:
    """The scores of held-out normal windows in order of time, for the number of events at a threshold.

    Attributes:
        score: float32 (N,), finite.
        segment: int (N,), the segment of each window; the windows of a segment are consecutive.
        first_row: int64 (N,), in rising order within a segment.
        steps: T, the number of rows of a window.
        period: The time between rows in seconds.
        rule: The rule by which flagged windows form events.
    """

    score: np.ndarray
    segment: np.ndarray
    first_row: np.ndarray
    steps: int
    period: float
    rule: MergeRule

    def __post_init__(self) -> None:
        object.__setattr__(self, "score", np.asarray(self.score, np.float32))
        convert_count(self, "steps")
        convert_number(self, "period", 0, exclusive=True)
        if not len(self.score) or not np.isfinite(self.score).all():
            raise DataError(f"expected finite scores of held-out normal windows. Received: {len(self.score):,} scores.")

    @property
    def duration(self) -> float:
        """The time that the windows cover, in seconds. Rows of several windows count once."""
        new = np.minimum(np.diff(self.first_row), self.steps)
        new[np.diff(self.segment) != 0] = self.steps
        return float(self.steps + new.sum()) * self.period

    def count_events(self, threshold: float) -> int:
        """Counts the events of normal windows at a threshold."""
        return int(self._group(threshold, self.rule).max(initial=-1)) + 1

    def events_per_second(self, threshold: float) -> float:
        """Returns the rate of events of normal windows at a threshold."""
        return self.count_events(threshold) / self.duration

    def smallest_budget(self, unit: str = "day") -> AlertBudget:
        """Returns the smallest budget that the normal scores resolve, one event in their duration, rounded up to two digits."""
        alerts = SECONDS[unit] / self.duration
        digit = 10.0 ** (math.floor(math.log10(alerts)) - 1)
        return AlertBudget(math.ceil(alerts / digit * (1 - ROUNDING)) * digit, unit)

    def threshold_for(self, budget: AlertBudget, extrapolate: bool = False) -> BudgetThreshold:
        """Computes the threshold for a budget of false alarms.

        It is the smallest normal score that flags at most half of the normal windows, and for which neither it nor any larger
        threshold exceeds the budget on them. (The number of events falls where a lower threshold merges two of them.)

        Args:
            budget: The budget.
            extrapolate: Whether a budget below `smallest_budget` takes the threshold from a generalised Pareto distribution,
                fitted to the peaks of the events in the tail (see `extrapolate`).

        Returns:
            The threshold and the rate of events expected.

        Raises:
            AMSLError: The budget is below the smallest possible; or the tail has too few events for a fit.
        """
        allowed = math.floor(budget.per_second * self.duration * (1 + ROUNDING))
        if allowed < 1:
            if extrapolate:
                return self.extrapolate(budget)
            raise AMSLError(
                f"false alarms: expected at least {self.smallest_budget(budget.unit).text}, one in the {self.duration:,.0f} s "
                f"that the held-out normal scores cover. Received: {budget.text}. Use more normal data, or extrapolate."
            )
        highest = float(self.score.max())
        threshold = float(np.float32(highest + TIE * max(1.0, abs(highest))))  # if too many scores equal the highest
        for score, events in self._event_counts():
            if events > allowed:
                break
            threshold = score
        return BudgetThreshold(threshold, self.events_per_second(threshold), extrapolated=False)

    def extrapolate(self, budget: AlertBudget) -> BudgetThreshold:
        """Computes the threshold for a budget that the normal scores do not resolve, by peaks over a threshold.

        A generalised Pareto distribution is fitted to the excesses of peaks over u, the score that a tenth of the windows
        exceed. The windows above u are declustered by the rule of events, and each event has one peak: the largest score at
        which it still has `min_windows` windows. The threshold x follows from rate(u) P(peak > x) = budget, but is not below
        the largest peak. As scores have no upper limit, a negative shape is replaced by 0, an exponential tail; without this,
        short recordings give thresholds that are much too low.

        This is an estimate without a guarantee: heavy tails that begin above u exceed the budget several times.

        Raises:
            AMSLError: There are too few events above u.

        Reference:
            Coles, An Introduction to Statistical Modeling of Extreme Values, 2001, chapters 4 and 5.
        """
        base = float(np.sort(self.score)[-1 - int(TAIL_SHARE * len(self.score))])
        peaks = self._peaks(float(np.nextafter(np.float32(base), np.float32(np.inf))))
        if len(peaks) < MIN_PEAKS:
            raise AMSLError(
                f"false alarms: expected at least {MIN_PEAKS} events among the highest {TAIL_SHARE:.0%} of the held-out normal "
                f"scores to extrapolate, found {len(peaks)}. Use more normal data, or allow at least "
                f"{self.smallest_budget(budget.unit).text}."
            )
        shape, _, scale = genpareto.fit(peaks - base, floc=0)
        if shape < 0:
            shape, scale = 0.0, float(np.mean(peaks - base))
        rate = len(peaks) / self.duration
        excess = genpareto.isf(budget.per_second / rate, shape, scale=scale)
        threshold = float(np.float32(max(base + excess, peaks.max())))
        if not math.isfinite(threshold):
            raise AMSLError(f"false alarms: no finite threshold for {budget.text}. Allow more false alarms.")
        return BudgetThreshold(threshold, float(rate * genpareto.sf(threshold - base, shape, scale=scale)), extrapolated=True)

    def _group(self, threshold: float, rule: MergeRule) -> np.ndarray:
        last_row = self.first_row + self.steps - 1
        return group_events(self.first_row, last_row, is_abnormal(self.score, threshold), self.segment, rule)

    def _peaks(self, threshold: float) -> np.ndarray:
        """Returns the peak of each event at a threshold: the largest score at which it has `min_windows` windows."""
        events = self._group(threshold, MergeRule(self.rule.min_windows, self.rule.merge_rows))
        order = np.lexsort((-self.score, events))
        order = order[events[order] >= 0]
        first = np.searchsorted(events[order], np.arange(events.max() + 1))
        return self.score[order[first + self.rule.min_windows - 1]].astype(np.float64)

    def _event_counts(self) -> Iterator[tuple[float, int]]:
        """Counts the events at each threshold, from the largest score down to the last that flags no more than half.

        Windows are added one by one to a sorted list of events, since `group_events` at each threshold would take too long.

        Yields:
            A score, and the number of events if it is the threshold.
        """
        first_row, segment = self.first_row.tolist(), self.segment.tolist()
        events: list[tuple[int, int, int]] = []  # the first and the last window of each, and the number of flagged ones
        kept = 0

        def joins(left: tuple, right: tuple) -> bool:
            (_, last, _), (first, _, _) = left, right
            return segment[last] == segment[first] and self.rule.joins(first_row[last] + self.steps - 1, first_row[first])

        def join(left: tuple, right: tuple) -> tuple[int, int, int]:
            return left[0], max(left[1], right[1]), left[2] + right[2]

        def keeps(event: tuple) -> bool:
            first, last, windows = event
            return self.rule.keeps(windows, first_row[last] - first_row[first] + self.steps)

        order = np.argsort(-self.score, kind="stable")
        scores = np.append(self.score[order], -np.inf).tolist()
        for rank, window in enumerate(order[: int(LARGEST_SHARE * len(order))].tolist()):
            event = (window, window, 1)
            low = high = bisect_right(events, event)  # the events that it joins are at most the one before and the one after
            if high < len(events) and joins(event, events[high]):
                event, high = join(event, events[high]), high + 1
            if low and joins(events[low - 1], event):
                event, low = join(events[low - 1], event), low - 1
            kept += keeps(event) - sum(map(keeps, events[low:high]))
            events[low:high] = [event]
            if scores[rank + 1] < scores[rank]:
                yield scores[rank], kept
