"""The page of a recording: one file that works offline, with the recording's own names and times."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from amsl_tf.data.channel_states import DEAD, MISSING
from amsl_tf.data.recordings import Recording
from amsl_tf.errors import DataError
from amsl_tf.evaluation.report.recording import write_recording_report
from amsl_tf.scoring.events import Event
from amsl_tf.scoring.recording_scores import RecordingScores

START = np.datetime64("2024-03-31T00:00:00", "ns")  # in UTC; clocks in Berlin go from 2 to 3 o'clock an hour later
RANGE = 4.0  # the normal range of each channel is from -RANGE to RANGE


def make_scores(
    rows=4000, channels=4, events=3, window=40, stride=10, zone="Europe/Berlin", has_times=True, named=None, gap=True
):
    """Returns a recording of one row a second with a gap, labels, events and unhealthy channels, and its scores."""
    rng = np.random.default_rng(0)
    names = tuple(named or (f"channel {place}" for place in range(channels)))
    x = np.sin(np.arange(rows)[:, None] / np.arange(20, 20 + channels)) + rng.normal(0, 0.1, (rows, channels))
    label, seconds = np.zeros(rows, int), np.arange(rows)
    if gap:
        seconds[rows // 2 :] += rows // 10
    time = START + seconds.astype("m8[s]").astype("m8[ns]") if has_times else None
    first = np.arange(0, rows - window + 1, stride)
    first = first[(first >= rows // 2) | (first + window <= rows // 2)] if gap else first
    last = first + window - 1
    score = rng.gamma(4, 0.25, len(first)).astype(np.float32)
    found = []
    for place in range(events):
        begin = (place + 1) * rows // (events + 1) + rows // 50
        stop = begin + max(rows // 400, 2)
        label[begin:stop] = 1
        x[begin:stop, place % channels] += 6 + place
        hit = (last >= begin) & (first < stop)
        score[hit] = 4 + place + rng.uniform(0, 1, hit.sum())
        a, b = first[hit][0], last[hit][-1]
        order = np.roll(names, -(place % channels))
        found.append(
            Event(
                recording="pump <3>.csv",
                first_row=int(a),
                last_row=int(b),
                start=None if time is None else time[a],
                end=None if time is None else time[b],
                windows=int(hit.sum()),
                peak_score=float(score[hit].max()),
                peak_row=int(first[hit][score[hit].argmax()]),
                p_value=0.0012,
                channels={str(name): 3.0 / (k + 1) for k, name in enumerate(order)},
                members={"levels": 2.5, "powers": 1.5, "kernels": -0.1},
                health={names[-1]: "dead"} if place == 0 else {},
            )
        )
    health = np.zeros((len(first), channels), np.int32)
    health[first > 0.7 * rows, -1] = DEAD
    health[(first > 0.3 * rows) & (first < 0.35 * rows), 1] = MISSING
    x[int(0.7 * rows) :, -1] = 0
    x[int(0.3 * rows) : int(0.35 * rows), 1] = np.nan
    recording = Recording(x, "pump <3>.csv", label, time)
    scores = RecordingScores(
        "pump <3>.csv",
        names,
        zone if has_times else None,
        first,
        last,
        None if time is None else time[first],
        None if time is None else time[last],
        score,
        None,
        score >= 3.5,
        health,
        None,
        np.append(True, np.diff(first) != stride),
        3.5,
        found,
    )
    return recording, scores


def page_of(folder, recording, scores, **settings):
    """Returns the text of the page and its data."""
    file = folder / "recording.html"
    limits = np.tile([[-RANGE], [RANGE]], recording.x.shape[1])
    write_recording_report(file, recording, scores, **{"normal_range": limits, "detector_name": "saved", **settings})
    text = file.read_text("utf-8")
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return text, json.loads(data)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    recording, scores = make_scores()
    return (*page_of(tmp_path_factory.mktemp("page"), recording, scores), recording, scores)


def test_times_are_those_of_the_time_zone(page):
    """Rows are seconds from 00:00 UTC; at 01:00 UTC, row 3200 after the gap of 400 s, Berlin's offset becomes 2 hours."""
    text, data, _, scores = page
    assert "from 2024-03-31 01:00:00+01:00 to 2024-03-31 03:13:19+02:00 (Europe/Berlin)" in text
    assert data["axis"] == {"kind": "dates", "origin": 1711843200, "end": 4399, "shifts": [[0, 3600], [3600, 7200]]}
    event = scores.events[0]
    assert data["events"][0] == [event.first_row, event.last_row]  # before the gap a place is a row
    assert f"{str(event.start + np.timedelta64(1, 'h'))[:19].replace('T', ' ')}+01:00" in text


def test_score_is_at_the_middle_of_windows_and_breaks_at_the_gap(page):
    _, data, _, scores = page
    x, y = data["score"]["x"], data["score"]["y"]
    assert x[:2] == [19.5, 29.5]
    assert y[0] == pytest.approx(scores.score[0], rel=5e-5)
    (gap,) = [place for place, value in enumerate(y) if value is None]
    assert x[gap - 1] == 1960 + 19.5
    assert x[gap + 1] == 2400 + 19.5
    assert data["score"]["threshold"] == 3.5


def test_labels_and_health_are_strips(page):
    """Windows start every 10 rows: channel 3 is dead from row 2810 on, and channel 1 missing from row 1210 to 1390."""
    _, data, recording, _ = page
    assert np.flatnonzero(recording.label)[:10].tolist() == list(range(1080, 1090))
    assert data["labels"] == [[1080, 1090, 1], [2480, 2490, 1], [3480, 3490, 1]]
    assert data["names"] == ["channel 3", "channel 1"]  # the more faults, the higher
    assert data["health"] == [[[2810 + 400, 3999 + 400 + 1, DEAD]], [[1210, 1400, MISSING]]]


def test_events_have_figures_of_their_surroundings(page):
    text, data, recording, scores = page
    event = scores.events[0]
    figure = data["figures"]["0"]
    length = event.last_row - event.first_row + 1
    assert figure["x"][0] == event.first_row - length
    assert figure["x"][-1] == event.last_row + length
    assert figure["ranges"] == [[-4, 4]] * 3
    np.testing.assert_allclose(
        figure["y"][0], recording.x[event.first_row - length : event.last_row + length + 1, 0], rtol=5e-5
    )
    assert "Not healthy: channel 3 dead." in text
    for place in range(3):
        assert f'id="event-{place + 1}"' in text
        assert f'href="#event-{place + 1}"' in text


def test_page_is_one_file_that_works_offline(page):
    text, *_ = page
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", text)
    assert "@import" not in text
    assert "url(" not in text
    assert "Permission is hereby granted" in text  # the licence of the library


def test_names_are_escaped(tmp_path):
    names = ("</script><script>alert(1)", "a & b", "\"quoted'", "<b>bold</b>")
    text, data = page_of(tmp_path, *make_scores(named=names), detector_name="<i>it", title="A & B")
    assert text.count("<script") == 3
    assert data["names"] == [names[3], names[1]]
    for raw in ("<b>bold", "pump <3>", "<i>it", "A & B", "a & b"):
        assert raw not in text


def test_page_without_times_events_labels_and_range(tmp_path):
    recording, scores = make_scores(events=0, has_times=False, gap=False)
    plain = Recording(recording.x[100:], "part", first_row=100)
    text, data = page_of(tmp_path, plain, scores, normal_range=None)
    assert "No events were found." in text
    assert "from 100 to 3,999" in text
    for absent in ('id="events"', "labelled abnormal", "normal range in training"):
        assert absent not in text
    assert data["axis"] == {"kind": "rows", "origin": 100, "end": 3899, "shifts": [[0, 0]]}
    assert data["channels"]["ranges"] == [None] * 4
    assert None not in data["channels"]["y"][0]


def test_times_in_seconds_and_times_that_fall(tmp_path):
    recording, scores = make_scores(events=0)
    seconds, start, end = ((time - START).astype(float) / 1e9 + 1.7e9 for time in (recording.time, scores.start, scores.end))
    scores = replace(scores, start=start, end=end, time_zone=None)
    text, data = page_of(tmp_path, Recording(recording.x, "numbers", time=seconds.copy()), scores)
    assert "from 1700000000 s to 1700004399 s" in text
    assert data["axis"] == {"kind": "seconds", "origin": 1.7e9, "end": 4399, "shifts": [[0, 0]]}
    seconds[7] = 0
    text, data = page_of(tmp_path, Recording(recording.x, "numbers", time=seconds), scores)
    assert "Times are missing or fall, so rows are shown" in text
    assert data["axis"]["kind"] == "rows"


def test_scores_without_threshold_value_and_windows_without_score(tmp_path):
    """A window without a usable channel has no score; it has an event without a peak."""
    recording, scores = make_scores(events=1)
    scores.score[:3] = np.nan
    event = replace(
        scores.events[0], peak_score=np.nan, p_value=np.nan, channels={}, members={}, health={"channel 1": "missing"}
    )
    text, data = page_of(tmp_path, recording, replace(scores, events=[event], threshold=np.inf))
    assert data["score"]["y"][:3] == [None] * 3
    assert data["score"]["threshold"] is None
    assert "No score: no channel could be used." in text
    assert "p-value" not in text
    assert not re.search(r"\b(nan|None)\b", text.partition("<script")[0])
    assert len(data["figures"]["0"]["y"]) == 1


def test_only_channels_with_a_fault_are_named_if_the_score_is_below_the_threshold(tmp_path):
    recording, scores = make_scores(events=2)
    low = replace(scores.events[0], peak_score=3.4, health={"channel 3": "missing", "channel 2": "dead"})
    text, _ = page_of(tmp_path, recording, replace(scores, events=[low, replace(low, peak_score=3.5)]))
    assert re.findall(r">(channel \d, .*?)<", text) == ["channel 3, channel 2", "channel 0, channel 1, channel 2"]


def widths(text, name):
    """Returns the lengths of the bars in the first table of contributions with this name, in percent."""
    table = text.partition(f'aria-label="Contributions of {name}"')[2].partition("</table>")[0]
    return [float(width) for width in re.findall(r"width: ([\d.]+)%", table)]


def test_bars_are_relative_to_the_peak_score_or_the_largest_contribution(tmp_path):
    recording, scores = make_scores(events=1)
    members, channels = {"levels": 1e-8, "powers": -4.0}, {"channel 0": 3.0, "channel 1": 1.5, "channel 2": 0.0}
    event = replace(scores.events[0], peak_score=-2.0, channels=channels, members=members)
    text, _ = page_of(tmp_path, recording, replace(scores, events=[event]))
    assert widths(text, "channels") == [100, 50]
    assert widths(text, "parts of the score") == [0]
    text, _ = page_of(tmp_path, recording, replace(scores, events=[replace(event, peak_score=6.0)]))
    assert widths(text, "channels") == [50, 25]
    text, _ = page_of(tmp_path, recording, replace(scores, events=[replace(event, peak_score=np.nan)]))
    assert widths(text, "channels") == [100, 50]


def test_parts_of_the_ensemble_are_described(page, tmp_path):
    text, *_ = page
    assert "<b>levels</b> (the values of the channels)" in text
    assert "Lasts 1 min" in text
    recording, scores = make_scores(events=1)
    event = replace(scores.events[0], members={"latents": 1.0, "signal": 2.0})
    text, _ = page_of(tmp_path, recording, replace(scores, events=[event]))
    assert "Parts of the score, each" not in text


def test_labels_are_one_strip_over_steps_that_windows_span(tmp_path):
    """Every 20th step is 2 s instead of 1 s."""
    recording, scores = make_scores(events=1, gap=False)
    seconds = np.arange(len(recording)) + np.arange(len(recording)) // 20
    time = START + seconds.astype("m8[s]").astype("m8[ns]")
    label = np.zeros(len(recording), int)
    label[1010:1090] = 1
    scores = replace(scores, start=time[scores.first_row], end=time[scores.last_row])
    text, data = page_of(tmp_path, Recording(recording.x, "part", label, time), replace(scores, time_zone=None, events=[]))
    assert data["labels"] == [[seconds[1010], seconds[1090], 1]]
    assert "The recording gives no time zone." in text


def test_many_events_have_figures_for_the_highest_only(tmp_path):
    """The peaks of `make_scores` rise with the place, so that of 30 events the last 20 have figures."""
    text, data = page_of(tmp_path, *make_scores(rows=20_000, events=30))
    assert list(map(int, data["figures"])) == list(range(10, 30))
    assert "The 20 events with the highest peaks have figures" in text
    assert len(re.findall(r"<tr><td>(?:<a [^>]*>)?\d+<", text)) == 30


def test_long_recordings_are_decimated(tmp_path):
    recording, scores = make_scores(rows=100_000, channels=20, events=5, stride=4)
    _, data = page_of(tmp_path, recording, scores)
    assert (tmp_path / "recording.html").stat().st_size < 5e6
    assert len(data["score"]["x"]) <= 20_001  # and the gap
    assert np.nanmax(np.array(data["score"]["y"], float)) == pytest.approx(np.nanmax(scores.score), rel=5e-5)
    worst = recording.x[:, 4]  # of the highest event
    shown = np.array(data["channels"]["y"], float)
    assert [len(channel) for channel in shown] == [8_001] * 8
    assert np.isclose(np.nanmax(shown, axis=1), worst.max(), rtol=5e-5).any()


def test_scores_of_other_channels_are_an_error(tmp_path):
    recording, _ = make_scores()
    _, scores = make_scores(channels=3)
    with pytest.raises(DataError, match=r"expected the scores of a recording with 4 channels. Received: scores of 3 channels"):
        page_of(tmp_path, recording, scores)
    assert not list(tmp_path.iterdir())
