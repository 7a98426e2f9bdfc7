"""Thresholds for a budget, against values worked out by hand, simulations and properties."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import genpareto

from amsl_tf.errors import AMSLError
from amsl_tf.scoring.alert_budgets import AlertBudget, NormalScores
from amsl_tf.scoring.events import MergeRule
from amsl_tf.scoring.threshold import is_abnormal

RULE = MergeRule()
EVENTS = AlertBudget(1, "s")


def normal_scores(score, rule=RULE, segment=None, first_row=None, steps=2, period=1.0):
    """Makes scores of windows that lie apart by one row, if not placed otherwise."""
    first_row = np.arange(len(score)) * (steps + 1) if first_row is None else np.array(first_row)
    return NormalScores(
        np.array(score), np.zeros(len(score), int) if segment is None else segment, first_row, steps, period, rule
    )


def allow(scores, events):
    """Returns the budget of so many events in the duration of normal scores."""
    return AlertBudget(events / scores.duration, "s")


@pytest.mark.parametrize(
    ("text", "per_second", "expected"),
    [
        ("1/day", 1 / 86_400, "1/day"),
        ("2 / week", 2 / 604_800, "2/week"),
        ("0.5/h", 0.5 / 3600, "0.5/h"),
        ("3/Hour", 3 / 3600, "3/h"),
        ("10/month", 10 / 2_592_000, "10/month"),
        (".5/s", 0.5, "0.5/s"),
        ("1e-3/min", 1e-3 / 60, "0.001/min"),
    ],
)
def test_budgets(text, per_second, expected):
    budget = AlertBudget.parse(text)
    assert budget.per_second == pytest.approx(per_second, rel=1e-12)
    assert budget.text == expected
    assert AlertBudget.parse(budget.text) == budget


@pytest.mark.parametrize(
    "text", ["", "1", "1/", "/day", "0/day", "-1/day", "0,5/h", "1/fortnight", "1/day/h", "nan/day", "1e999/h"]
)
def test_invalid_budgets(text):
    with pytest.raises(AMSLError, match=r"expected a number above 0 and a unit .* such as 1/day. Received: .*\.$"):
        AlertBudget.parse(text)


def test_duration():
    """Rows 0 to 5, 3 of them new in the second window; rows 20 to 23; and 4 rows of another segment."""
    scores = normal_scores([1, 1, 1, 1], segment=np.array([0, 0, 0, 1]), first_row=[0, 2, 20, 21], steps=4, period=0.5)
    assert scores.duration == 0.5 * (4 + 2 + 4 + 4)
    assert scores.events_per_second(1.0) == 3 / 7


def test_threshold_by_hand():
    """Windows of rows 0-1, 1-2, ... each overlap the next: 5 and 4 are one event, 7 is another, and 3 joins them all."""
    scores = normal_scores([5, 4, 3, 7, 0, 0, 0, 2, 0, 0], first_row=np.arange(10) * 2)
    assert [scores.count_events(x) for x in (8, 7, 5, 4, 3, 2, 0)] == [0, 1, 2, 2, 1, 2, 1]
    assert scores.threshold_for(allow(scores, 1)) == (7.0, 1 / 20, False)
    assert scores.threshold_for(allow(scores, 1.99)).threshold == 7.0
    assert scores.threshold_for(allow(scores, 2)) == (2.0, 2 / 20, False)  # at most half of the windows are flagged
    longer = replace(scores, rule=MergeRule(min_windows=3))
    assert longer.threshold_for(allow(scores, 1)) == (2.0, 1 / 20, False)


def test_equal_scores_are_not_flagged():
    scores = normal_scores([1.0, 5.0, 5.0, 5.0, 1.0, 1.0])
    chosen = scores.threshold_for(allow(scores, 2))
    assert 5 < chosen.threshold < 5.001
    assert chosen.events_per_second == 0
    constant = normal_scores(np.ones(9))
    assert constant.count_events(constant.threshold_for(allow(constant, 9)).threshold) == 0


@given(st.data())
def test_thresholds_against_a_count_at_each_score(data):
    count = data.draw(st.integers(1, 30))
    generator = np.random.default_rng(data.draw(st.integers(0, 999)))
    rule = MergeRule(*(data.draw(st.integers(low, 4)) for low in (1, 0, 1)))
    segment = np.cumsum(generator.random(count) < 0.1)
    score = generator.integers(0, data.draw(st.integers(1, 20)), count)
    scores = normal_scores(score, rule, segment, np.cumsum(generator.integers(1, 6, count)), steps=3)
    allowed = data.draw(st.integers(1, 5))
    threshold = scores.threshold_for(allow(scores, allowed)).threshold
    kept = [x for x in np.unique(score) if (score >= x).sum() <= count / 2]
    kept = [x for x in kept if all(scores.count_events(y) <= allowed for y in kept if y >= x)]
    assert threshold == min(kept) if kept else threshold > score.max()
    assert scores.count_events(threshold) <= allowed


@pytest.mark.parametrize("rule", [RULE, MergeRule(merge_rows=4), MergeRule(2, 2, 5)])
def test_counts_at_all_thresholds_are_those_of_the_grouping(rule, rng):
    scores = normal_scores(rng.normal(size=300), rule, np.arange(300) // 120, np.cumsum(rng.integers(1, 6, 300)), steps=3)
    counts = list(scores._event_counts())
    assert len(counts) == 150
    assert counts == [(x, scores.count_events(x)) for x, _ in counts]


def test_a_budget_that_is_too_small():
    """4,000 windows of a second each."""
    scores = normal_scores(np.arange(4000.0), first_row=np.arange(4000), steps=1)
    assert scores.smallest_budget() == AlertBudget(22, "day")
    assert scores.smallest_budget("h") == AlertBudget(0.9, "h")
    message = (
        r"^false alarms: expected at least 22/day, one in the 4,000 s .* Received: 1/day\. Use more normal data, or [a-z]+\.$"
    )
    with pytest.raises(AMSLError, match=message):
        scores.threshold_for(AlertBudget.parse("1/day"))
    assert scores.threshold_for(scores.smallest_budget()).threshold == 2000.0  # all that are flagged are one event


@given(st.floats(1e-3, 1e9), st.sampled_from(["s", "h", "day", "month"]))
def test_the_smallest_budget_is_accepted(period, unit):
    scores = normal_scores(np.arange(10), period=period)
    budget = AlertBudget.parse(scores.smallest_budget(unit).text)
    assert 1 / scores.duration <= budget.per_second * (1 + 1e-9)
    assert budget.per_second <= 1.11 / scores.duration
    assert scores.threshold_for(budget).threshold == 9.0


@pytest.mark.parametrize("rule", [RULE, MergeRule(merge_rows=2)])
def test_budgets_keep_their_promise(rule, rng):
    """The events in fresh data of the same law are no more than a Poisson distribution of the budget explains."""
    first_row, total = np.arange(400) * 2, 0
    for _ in range(300):
        normal, fresh = (normal_scores(rng.gumbel(size=400), rule, first_row=first_row) for _ in range(2))
        total += fresh.count_events(normal.threshold_for(allow(normal, 5)).threshold)
    # the threshold varies too, which doubles the variance of the number of events
    assert total <= 300 * 5 + 4 * np.sqrt(2 * 300 * 5)
    assert total >= 300 * 5 / 2


def test_extrapolation_of_a_known_tail(rng):
    """Of n independent scores with an exponential distribution, 0.1 are expected above log(n / 0.1)."""
    scores = normal_scores(rng.exponential(size=20_000), first_row=np.arange(20_000) * 2, steps=1)
    budget = allow(scores, 0.1)
    chosen = scores.threshold_for(budget, extrapolate=True)
    assert chosen.extrapolated
    assert chosen.threshold == pytest.approx(np.log(20_000 / 0.1), rel=0.1)
    assert chosen.events_per_second == pytest.approx(budget.per_second, rel=1e-3)
    assert not scores.threshold_for(allow(scores, 1), extrapolate=True).extrapolated


@pytest.mark.parametrize("draw", [np.random.Generator.normal, np.random.Generator.exponential, np.random.Generator.lognormal])
def test_extrapolated_budgets_are_of_the_right_size(draw, rng):
    """A twentieth of the smallest budget on short recordings: with a fitted negative shape the median is above 2."""
    fresh = normal_scores(draw(rng, size=1_000_000), steps=1)
    rates = []
    for _ in range(20):
        scores = normal_scores(draw(rng, size=2000), steps=1)
        budget = allow(scores, 0.05)
        rates.append(np.mean(fresh.score >= scores.extrapolate(budget).threshold) / budget.per_second)
    assert np.median(rates) < 2


def test_extrapolation_falls_with_the_budget(rng):
    scores = normal_scores(rng.normal(size=3000), MergeRule(min_windows=2), first_row=np.arange(3000) * 2, steps=4)
    thresholds = [scores.threshold_for(allow(scores, n), extrapolate=True).threshold for n in (1e-4, 0.01, 0.5, 0.99, 1, 3, 9)]
    assert thresholds == sorted(thresholds, reverse=True)


def test_extrapolated_thresholds_are_not_below_normal_scores(rng):
    draws = [normal_scores(rng.exponential(size=500)) for _ in range(20)]
    found = [scores.extrapolate(allow(scores, 0.9)) for scores in draws]
    assert all(chosen.threshold >= scores.score.max() for chosen, scores in zip(found, draws, strict=True))
    assert all(chosen.events_per_second <= 0.9001 / scores.duration for chosen, scores in zip(found, draws, strict=True))


def test_peaks_have_as_many_windows_as_an_event():
    """Pairs of windows touch: the tail is that of the smaller score of each."""
    low, first_row = genpareto.rvs(0.2, size=1000, random_state=1), np.arange(1000) * 9
    pairs = np.stack([low, 1.5 * low], axis=1).ravel()
    scores = normal_scores(pairs, MergeRule(min_windows=2), first_row=np.stack([first_row, first_row + 2], axis=1).ravel())
    single = normal_scores(low, first_row=first_row, steps=4)
    expected = single.extrapolate(allow(single, 0.05)).threshold
    assert expected > 1.1 * low.max()
    assert scores.extrapolate(allow(scores, 0.05)).threshold == pytest.approx(expected, rel=0.1)


def test_extrapolation_needs_events(rng):
    scores = normal_scores(rng.normal(size=190))
    with pytest.raises(AMSLError, match=r"expected at least 20 events among the highest 10% .* found 19"):
        scores.threshold_for(AlertBudget.parse("1/year"), extrapolate=True)
    with pytest.raises(AMSLError, match="found 0"):
        normal_scores([1.0]).extrapolate(EVENTS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": np.empty(0)}, "finite scores"),
        ({"score": np.array([1, np.nan])}, "finite scores"),
        ({"steps": 0}, "steps must be"),
        ({"period": 0}, "period must be"),
    ],
)
def test_invalid_normal_scores(changes, message):
    with pytest.raises(AMSLError, match=message):
        replace(normal_scores([1.0, 2.0]), **changes)


def test_the_count_is_that_of_the_decision(rng):
    scores = normal_scores(rng.normal(size=100))
    threshold = scores.threshold_for(allow(scores, 10)).threshold
    assert is_abnormal(scores.score, threshold).sum() == scores.count_events(threshold) == 10
