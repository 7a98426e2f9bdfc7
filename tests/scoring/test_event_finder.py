"""The finder of events against values worked out by hand, and by properties."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from amsl_tf.data.channel_states import DEAD, HEALTHY, MISSING, STUCK
from amsl_tf.scoring.event_finder import EventFinder, WindowDecisions
from amsl_tf.scoring.events import Event, MergeRule, group_events

RULE = MergeRule()
NAMES = ("Pressure", "Current")


def decide(first_row, flags, steps=4, **values):
    """Makes decisions on windows of T = 4 and 2 healthy channels, with their positions as scores."""
    first_row, flags = np.array(first_row), np.array(flags, bool)
    defaults = {
        "place": first_row,
        "last_place": first_row + steps - 1,
        "score": np.arange(len(flags), dtype=np.float32),
        "health": np.full((len(flags), 2), HEALTHY),
        "starts": np.zeros(len(flags), bool),
    }
    return WindowDecisions(first_row, first_row + steps - 1, flags, **(defaults | values))


def find(*batches, rule=RULE):
    finder = EventFinder("a.csv", rule, NAMES, ("signal", "latent"))
    return [event for batch in batches for event in finder.update(batch)] + finder.finish()


def cut(batch, places):
    """Cuts a batch at the given places."""
    flagged = np.cumsum(np.append(0, batch.is_anomaly))
    for low, high in zip([0, *places], [*places, len(batch.score)], strict=True):
        parts = {name: value if value is None else value[low:high] for name, value in vars(batch).items()}
        for name in ("channels", "members"):
            value = getattr(batch, name)
            parts[name] = None if value is None else value[flagged[low] : flagged[high]]
        yield WindowDecisions(**parts)


def test_an_event_by_hand():
    batch = decide(
        [0, 2, 4, 8],
        [1, 1, 0, 1],
        score=np.array([np.nan, 5.0, 9.0, 5.0], np.float32),
        health=np.array([[DEAD, HEALTHY], [STUCK, HEALTHY], [MISSING, MISSING], [STUCK, HEALTHY]]),
        start=np.array([0.0, 0.5, 1.0, 2.0]),
        end=np.array([0.75, 1.25, 1.75, 2.75]),
        p_value=np.array([np.nan, 0.5, 0.01, 0.25]),
        channels=np.array([[np.nan, 4.0], [1.0, -2.0], [2.0, 1.0]]),
        members=np.array([[np.nan, np.nan], [1.0, 2.0], [3.0, 6.0]]),
    )
    [event] = find(batch, rule=MergeRule(merge_rows=2))
    assert event == Event(
        recording="a.csv",
        first_row=0,
        last_row=11,
        start=0.0,
        end=2.75,
        windows=3,
        peak_score=5.0,
        peak_row=2,
        p_value=0.25,
        channels={"Pressure": 1.5, "Current": 1.0},
        members={"latent": 4.0, "signal": 2.0},
        health={"Pressure": "stuck"},
    )
    assert list(event.members) == ["latent", "signal"]
    assert event.duration == 2.75


def test_without_scores_and_contributions():
    [event] = find(decide([3], [1], score=np.array([np.nan])))
    assert (event.peak_row, event.channels, event.members, event.health, event.duration) == (3, {}, {}, {}, 4)
    assert np.isnan([event.peak_score, event.p_value]).all()


def test_at_most_five_channels():
    batch = WindowDecisions(
        *(np.array([0]), np.array([3]), np.array([True]), np.array([1.0]), np.zeros((1, 8), int), np.array([True])),
        *(np.array([0]), np.array([3])),
        channels=np.arange(8.0)[None],
    )
    finder = EventFinder("a", MergeRule(), "abcdefgh")
    assert finder.update(batch) == []
    assert list(finder.finish()[0].channels.items()) == [("h", 7.0), ("g", 6.0), ("f", 5.0), ("e", 4.0), ("d", 3.0)]


def test_events_are_returned_as_soon_as_they_are_complete():
    finder = EventFinder("a.csv", MergeRule(), NAMES)
    assert finder.update(decide([0, 2], [0, 1])) == []
    assert finder.update(decide([6], [0])) == []  # touches rows 2 to 5: an overlapping window may follow
    assert [event.first_row for event in finder.update(decide([7], [0]))] == [2]
    assert finder.update(decide([8], [1])) == []
    assert [event.first_row for event in finder.update(decide([9], [0], starts=np.array([True])))] == [8]
    assert finder.finish() == []


@st.composite
def decisions(draw):
    count = draw(st.integers(1, 12))
    flags = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    channels, members = (generator.normal(size=(flags.sum(), 2)) for _ in range(2))
    channels[generator.random(channels.shape) < 0.2] = np.nan
    first_row = np.cumsum(generator.integers(1, 7, count))
    return decide(
        first_row,
        flags,
        score=generator.integers(0, 3, count).astype(np.float32),
        health=generator.integers(0, 5, (count, 2)),
        starts=generator.random(count) < 0.2,
        start=np.datetime64("2024-01-01", "ns") + first_row,
        end=np.datetime64("2024-01-01", "ns") + first_row + 3,
        p_value=generator.random(count),
        channels=channels,
        members=members,
    )


rules = st.builds(MergeRule, st.integers(1, 3), st.integers(0, 4), st.integers(1, 9))


@given(decisions(), rules, st.data())
def test_events_do_not_depend_on_batches(batch, rule, data):
    places = sorted(data.draw(st.lists(st.integers(0, len(batch.score)), max_size=4)))
    assert find(*cut(batch, places), rule=rule) == find(batch, rule=rule)


@given(decisions(), rules)
def test_events_of_a_stream_are_those_of_the_grouping(batch, rule):
    numbers = group_events(batch.first_row, batch.last_row, batch.is_anomaly, np.cumsum(batch.starts), rule)
    found = [(event.first_row, event.last_row, event.windows) for event in find(batch, rule=rule)]
    windows = [np.flatnonzero(numbers == number) for number in range(numbers.max() + 1)]
    assert found == [(batch.first_row[rows[0]], batch.last_row[rows[-1]], len(rows)) for rows in windows]


@given(decisions(), rules)
def test_grouping_against_single_rows(batch, rule):
    """Rows are marked one by one, unmarked rows between marked ones filled, and runs of marked rows counted."""
    expected = set()
    segments = np.cumsum(batch.starts)
    for segment in np.unique(segments):
        windows = [w for w in np.flatnonzero(batch.is_anomaly) if segments[w] == segment]
        marked = sorted({row for w in windows for row in range(batch.first_row[w], batch.last_row[w] + 1)})
        runs = np.split(marked, np.flatnonzero(np.diff(marked) > rule.merge_rows + 1) + 1) if marked else []
        for run in runs:
            inside = [w for w in windows if batch.first_row[w] in run]
            if len(inside) >= rule.min_windows and run[-1] - run[0] + 1 >= rule.min_rows:
                expected.add(tuple(inside))
    numbers = group_events(batch.first_row, batch.last_row, batch.is_anomaly, segments, rule)
    assert {tuple(np.flatnonzero(numbers == number)) for number in range(numbers.max() + 1)} == expected
