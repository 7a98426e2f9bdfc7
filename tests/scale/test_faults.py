"""Workers and nodes that stop: recordings are processed again until all are done, each once."""

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amsl_tf.data.recordings import Recording
from amsl_tf.errors import AMSLError, DataError
from amsl_tf.scale import score_recordings
from amsl_tf.scale.cluster import SHOWN_MESSAGES, WHOLE_PASSES, _Messages
from amsl_tf.scale.items import Item, Message
from amsl_tf.scale.parts import Parts
from tests.scale.conftest import LocalCluster, Stopping, assert_same_files, make_recording, score_plainly, set_block_items

ALWAYS = 10**6


class Double:
    """A task: the double of the number of a recording; those named `bad` are unusable."""

    def open(self, recording):
        return recording

    def process(self, number, source):
        if source.name == "bad":
            raise DataError("bad: is unusable.")
        return 2 * number


def run(kills, is_bad=(), skipped=None, seed=0):
    """Runs a task for recordings that stop their workers some times. Returns the numbers and results."""
    kills = dict(enumerate(kills))

    def is_lost(block):
        stopping = [item.number for item in block if kills[item.number]]
        for number in stopping:
            kills[number] -= 1
        return bool(stopping)

    names = ["bad" if number in is_bad else f"unit {number}" for number in kills]
    listed = [Item(number, Recording(np.ones((1, 1)), name)) for number, name in enumerate(names)]
    cluster = LocalCluster(2, seed, is_lost)
    parts = cluster.run(Double(), listed, "testing", skipped=skipped)
    return [(own.number, own.value) for part in parts for own in part]


@given(
    kills=st.lists(st.sampled_from([0, 0, 0, 1, WHOLE_PASSES, ALWAYS]), min_size=1, max_size=12),
    bad=st.sets(st.integers(0, 11)),
    block=st.integers(1, 5),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_each_recording_is_done_once_or_listed(kills, bad, block, seed):
    skipped = []
    with pytest.MonkeyPatch.context() as patch:
        set_block_items(patch, block)
        found = run(kills, bad, skipped, seed)
    numbers = {*range(len(kills))}
    stopping = {number for number in numbers if kills[number] == ALWAYS}
    unusable = (bad & numbers) - stopping
    assert sorted(found) == [(number, 2 * number) for number in sorted(numbers - stopping - unusable)]
    names = {number: "bad" if number in bad else f"unit {number}" for number in stopping}
    reason = "each worker that processed it stopped, by a crash or for lack of memory."
    listed = [(number, name, f"{name}: {reason}") for number, name in names.items()]
    assert sorted(skipped) == sorted([*listed, *((number, "bad", "bad: is unusable.") for number in unusable)])
    assert [own.position for own in skipped] == sorted(stopping | unusable)


def test_first_unusable_recording_is_an_error():
    with pytest.raises(DataError, match=r"^bad: is unusable\.$"):
        run([0, 0, 0], is_bad={1})
    with pytest.raises(DataError, match=r"^unit 1: each worker that processed it stopped, .*\. Leave it out\.$"):
        run([0, ALWAYS, 0])


class Failing(Double):
    """A task that fails for the recording `unit 1`, not by its fault."""

    def __init__(self, error):
        self._error = error

    def process(self, number, source):
        if source.name == "unit 1":
            raise self._error
        return super().process(number, source)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device"), "^unit 1: cannot be processed .*No space left on device.*"),
        (AMSLError("no connection"), "^no connection$"),
    ],
)
def test_faults_of_a_machine_end_the_job(error, message):
    """With `skipped` too: an outage must not leave out all recordings that follow."""
    cluster, skipped = LocalCluster(2), []
    listed = [Item(number, Recording(np.ones((1, 1)), f"unit {number}")) for number in range(3)]
    with pytest.raises(AMSLError, match=message) as raised:
        list(cluster.run(Failing(error), listed, "testing", skipped=skipped))
    assert type(raised.value) is AMSLError
    assert skipped == []
    list(cluster.run(Failing(MemoryError()), listed, "testing", skipped=skipped))
    assert skipped == [(1, "unit 1", "unit 1: does not fit in memory.")]


class FailedCluster(LocalCluster):
    """A cluster that fails in each pass, without a result."""

    def _pass(self, task, blocks):
        self._failure = RuntimeError("the head node has stopped")
        yield from ()


def test_cluster_that_fails_is_no_fault_of_recordings():
    skipped = []
    listed = [Item(number, Recording(np.ones((1, 1)), f"unit {number}")) for number in range(3)]
    with pytest.raises(AMSLError, match=r"^the cluster failed \(the head node has stopped\)\. Start the same command again\.$"):
        list(FailedCluster().run(Double(), listed, "testing", skipped=skipped))
    assert skipped == []


def test_messages_are_not_repeated(caplog):
    caplog.set_level("INFO")
    messages = _Messages()
    for number in range(3):
        messages.add([Message(20, f"unit {number}", "has gaps")])
    messages.add(Message(20, "unit 9", f"text {number}") for number in range(SHOWN_MESSAGES + 5))
    assert caplog.messages[:2] == ["unit 0: has gaps", "unit 9: text 0"]
    assert caplog.messages[-1] == "... further messages about recordings are not shown."
    assert len(caplog.messages) == SHOWN_MESSAGES + 1
    messages.add([Message(30, "unit 9", "a warning")])
    assert caplog.messages[-1] == "unit 9: a warning"


class Waiting(Stopping):
    """A recording that is read only once a file `killed` in a folder names another node; it leaves there that of its own."""

    def __init__(self, recording: Recording, folder: Path) -> None:
        super().__init__(recording)
        self._folder = folder

    def parts(self):
        import ray

        node, killed = ray.get_runtime_context().get_node_id(), self._folder / "killed"
        (self._folder / node).touch()
        while not killed.exists() or killed.read_text() in ("", node):
            time.sleep(0.05)
        yield from self._recording.parts()


@pytest.fixture
def nodes(monkeypatch):
    """A cluster of a head without workers and two nodes with one CPU each."""
    ray = pytest.importorskip("ray", reason="needs the extra scale")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        ray.init(cluster.address, log_to_driver=False)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.mark.slow
def test_node_that_is_killed(nodes, fitted, tmp_path, monkeypatch, caplog):
    """While both nodes are at work; the other one does the rest."""
    for name in ("nodes", "ray", "plain"):
        (tmp_path / name).mkdir()
    recordings = [make_recording(seed) for seed in range(8)]
    expected = score_plainly(fitted, recordings, tmp_path / "plain", reading=None)
    recordings[3:] = [Waiting(recording, tmp_path / "nodes") for recording in recordings[3:]]
    set_block_items(monkeypatch, 1)
    write, killed = Parts.write, []

    def write_and_kill(self, tables):
        write(self, tables)
        deadline = time.monotonic() + 120
        while not killed:
            working = [node for node in nodes.worker_nodes if (tmp_path / "nodes" / node.node_id).exists()]
            if len(working) == 2:
                nodes.remove_node(working[0], allow_graceful=False)
                killed.append(working[0])
                (tmp_path / "nodes/killed").write_text(working[0].node_id)
            assert time.monotonic() < deadline, "only one node works"
            time.sleep(0.05)

    monkeypatch.setattr(Parts, "write", write_and_kill)
    files = {"output": tmp_path / "ray/windows.parquet", "events_file": tmp_path / "ray/events.csv"}
    found = score_recordings(fitted, recordings, workers=2, **files)
    assert len(killed) == 1
    assert "of 8 recordings have no result, as workers stopped: they are repeated." in caplog.text
    assert (found.names, found.windows) == (expected.names, expected.windows)
    assert_same_files(tmp_path / "ray", tmp_path / "plain")
