"""Scoring with Ray: the files of one machine, bit for bit, also after interruptions and with workers that stop."""

import re
import sys

import numpy as np
import pandas as pd
import pytest

from amsl_tf import AMSLDetector
from amsl_tf.data import urls
from amsl_tf.data.locations import find_locations, local_copy
from amsl_tf.data.uploads import upload
from amsl_tf.errors import AMSLError, DataError, StorageError
from amsl_tf.scale import cluster, connection, score_recordings, scoring
from amsl_tf.scale.cluster import Cluster
from amsl_tf.scale.parts import Parts
from amsl_tf.scoring.events import MergeRule
from tests.scale.conftest import (
    READING,
    Faulty,
    Stopping,
    assert_same_files,
    assert_same_result,
    make_frame,
    make_recording,
    score_plainly,
    set_block_items,
    use_local_cluster,
    write_recordings,
)


@pytest.fixture
def folders(tmp_path):
    """The folders of the tables with and without Ray."""
    for name in ("ray", "plain"):
        (tmp_path / name).mkdir()
    return tmp_path / "ray", tmp_path / "plain"


def score(detector, recordings, folder, *, suffixes=(".parquet", ".csv"), reading=READING, **settings):
    files = {"output": folder / f"windows{suffixes[0]}", "events_file": folder / f"events{suffixes[1]}"}
    return score_recordings(detector, recordings, reading=reading, **{**files, "workers": 2, **settings})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "block", "suffixes", "steps"),
    [(1, 2, (".parquet", ".csv"), False), (2, 16, (".csv", ".parquet"), False), (3, 1, (".parquet", ".parquet"), True)],
)
def test_files_do_not_depend_on_workers_and_blocks(
    ray, fitted, tmp_path, folders, monkeypatch, workers, block, suffixes, steps
):
    set_block_items(monkeypatch, block)
    recordings, settings = write_recordings(tmp_path / "in", "zones"), {"suffixes": suffixes, "steps": steps}
    expected = score_plainly(fitted, recordings, folders[1], **settings)
    found = score(fitted, recordings, folders[0], workers=workers, **settings)
    assert_same_files(*folders)
    assert_same_result(found, expected)
    assert found.flagged > 10
    assert found.incomplete > 5
    assert sum(map(len, found.events)) > 3


@pytest.mark.slow
@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize("kind", ["zones", "zone", "seconds", "none"])
def test_files_of_all_kinds_of_recordings(fitted, tmp_path, folders, monkeypatch, kind, steps):
    """With workers in this process, which get pickled recordings and return pickled tables."""
    use_local_cluster(monkeypatch, workers=1 + steps, seed=1)
    set_block_items(monkeypatch, 2)
    reading = READING if kind in ("zone", "zones") else None
    recordings, settings = write_recordings(tmp_path / "in", kind), {"reading": reading, "steps": steps, "stride": 8}
    settings |= {"rule": MergeRule(min_rows=40, merge_rows=10), "suffixes": (".parquet", ".parquet")}
    expected = score_plainly(fitted, recordings, folders[1], **settings)
    assert_same_result(score(fitted, recordings, folders[0], **settings), expected)
    assert_same_files(*folders)
    table, events = (pd.read_parquet(folders[0] / f"{name}.parquet") for name in ("windows", "events"))
    assert len(events) > 0
    time = table.get("time" if steps else "start")
    if kind in ("zone", "zones"):
        assert str(time.dt.tz) == "UTC"
        assert steps or table["label"].sum() > 0
    assert (time is None) == (kind == "none")
    assert table["file"].unique().tolist() == [
        str(file) for file in sorted((tmp_path / "in").iterdir(), key=lambda file: int(file.stem))
    ]


@pytest.mark.slow
def test_partitions_and_objects(fitted, tmp_path, folders, monkeypatch):
    """A partition of a Hive table is one recording, and so is each object."""
    use_local_cluster(monkeypatch, workers=1)
    for unit, seeds in {"unit=2": (0, 1), "unit=10": (2,)}.items():
        (tmp_path / "in" / unit).mkdir(parents=True)
        frame = pd.concat([make_frame(seed) for seed in seeds], ignore_index=True)
        frame["time"] = pd.date_range("2024-01-01", periods=len(frame), freq="100ms")
        frame[:250].to_parquet(tmp_path / "in" / unit / "1.parquet")
        frame[250:].to_parquet(tmp_path / "in" / unit / "2.parquet")
    frames = {f"frame {seed}": make_frame(seed) for seed in range(3)}
    objects = [make_recording(seed) for seed in range(3)]
    for recordings in (tmp_path / "in", frames, objects, make_recording(1)):
        expected = score_plainly(fitted, recordings, folders[1], reading=None)
        assert_same_result(score(fitted, recordings, folders[0], reading=None), expected)
        assert_same_files(*folders)
        if recordings == tmp_path / "in":
            assert expected.names == [str(tmp_path / "in/unit=2"), str(tmp_path / "in/unit=10")]
            rows = pd.read_parquet(folders[0] / "windows.parquet").groupby("file", sort=False)["last_row"].max()
            assert rows.tolist() == [799, 399]
    assert "file" not in pd.read_parquet(folders[0] / "windows.parquet")  # of a single recording


def test_detector_without_names_takes_those_of_the_first_recording(tmp_path, folders, monkeypatch, waves):
    use_local_cluster(monkeypatch)
    unnamed = AMSLDetector().fit(waves)
    (tmp_path / "in").mkdir()
    for number in range(2):
        frame = pd.DataFrame(waves[10 * number : 10 * number + 10].reshape(-1, 3), columns=[*"xyz"])
        (frame if number == 0 else frame[["z", "x", "y"]].assign(w=1)).to_csv(tmp_path / "in" / f"{number}.csv", index=False)
    score_plainly(unnamed, tmp_path / "in", folders[1], reading=None)
    score(unnamed, tmp_path / "in", folders[0], reading=None)
    assert_same_files(*folders)


def record_items(monkeypatch, numbers, *, interrupt=False):
    """Adds the numbers of the recordings of each run to a list."""
    run = Cluster.run

    def recorded(self, task, left, *arguments, **settings):
        numbers.append([item.number for item in left])
        if interrupt:
            raise KeyboardInterrupt
        return run(self, task, left, *arguments, **settings)

    monkeypatch.setattr(Cluster, "run", recorded)


def interrupt_second_write(monkeypatch):
    write, calls = Parts.write, iter(range(9))

    def interrupted(self, tables):
        if next(calls) == 1:
            raise KeyboardInterrupt
        write(self, tables)

    monkeypatch.setattr(Parts, "write", interrupted)


@pytest.mark.slow
def test_interrupted_job_goes_on(ray, fitted, tmp_path, folders, monkeypatch, caplog):
    caplog.set_level("INFO")
    set_block_items(monkeypatch, 2)
    recordings, work = write_recordings(tmp_path / "in", "zones"), tmp_path / "work"
    expected = score_plainly(fitted, recordings, folders[1])
    with monkeypatch.context() as patch:
        interrupt_second_write(patch)
        with pytest.raises(KeyboardInterrupt):
            score(fitted, recordings, folders[0], work_dir=work)
    assert list(folders[0].iterdir()) == []
    (folder,) = work.iterdir()
    assert len(list(folder.glob("part-*"))) == 1
    numbers = []
    record_items(monkeypatch, numbers)
    use_local_cluster(monkeypatch)
    assert_same_result(score(fitted, recordings, folders[0], work_dir=work), expected)
    assert numbers in ([[2, 3, 4]], [[0, 1, 4]], [[0, 1, 2, 3]])
    assert f"{5 - len(numbers[0])} of 5 recordings are finished in {folder}" in caplog.messages
    assert_same_files(*folders)
    assert not work.exists()


def test_only_parts_of_the_same_job_are_used(fitted, tmp_path, monkeypatch):
    """Other settings, detectors and versions are other jobs, whose parts stay."""
    use_local_cluster(monkeypatch)
    set_block_items(monkeypatch, 1)
    recordings, work = write_recordings(tmp_path / "in", "zones"), tmp_path / "work"
    with monkeypatch.context() as patch:
        interrupt_second_write(patch)
        with pytest.raises(KeyboardInterrupt):
            score(fitted, recordings, tmp_path, work_dir=work)
    numbers = []
    record_items(monkeypatch, numbers, interrupt=True)

    def count_left(detector=fitted, **settings):
        with pytest.raises(KeyboardInterrupt):
            score(detector, recordings, tmp_path, work_dir=work, **settings)
        return len(numbers[-1])

    assert count_left() == count_left(workers=1, output=None) == 4
    assert count_left(stride=8) == count_left(steps=True) == count_left(rule=MergeRule(min_rows=40)) == 5
    assert count_left(reading=None) == 5
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "__version__", "0")
        assert count_left() == 5
    threshold = fitted.threshold_
    try:
        assert count_left(fitted.set_threshold(threshold + 1e-6)) == 5
    finally:
        fitted.set_threshold(threshold)
    normal = {f"unit {seed}": make_frame(seed) for seed in (0, 2, 3, 6)}
    assert count_left(AMSLDetector().fit_recordings(normal, window=32, stride=16, max_gap="1s")) == 5
    assert count_left() == 4
    assert len(list(work.iterdir())) == 1  # only the first job has parts


def test_recordings_that_have_changed_are_scored_again(fitted, tmp_path, folders, monkeypatch):
    """As one that is mended after an error; the others are not."""
    use_local_cluster(monkeypatch, seed=3)
    recordings, work = write_recordings(tmp_path / "in", "zones"), tmp_path / "work"
    content = (recordings / "9.parquet").read_bytes()
    (recordings / "9.parquet").write_text("broken")
    with pytest.raises(DataError, match=r"9.parquet: expected the content"):
        score(fitted, recordings, folders[0], work_dir=work)
    (recordings / "9.parquet").write_bytes(content)
    numbers = []
    record_items(monkeypatch, numbers)
    found = score(fitted, recordings, folders[0], work_dir=work)
    assert 1 in numbers[0]
    assert len(numbers[0]) < 5
    assert_same_result(found, score_plainly(fitted, recordings, folders[1]))
    assert_same_files(*folders)
    assert not work.exists()


def test_work_folder_that_cannot_be_made_is_an_error(fitted, tmp_path):
    write_recordings(tmp_path / "in", "none")
    (tmp_path / "file").touch()
    with pytest.raises(AMSLError, match=r"file/work/[0-9a-f]{16}: cannot be used"):
        score_recordings(fitted, tmp_path / "in", work_dir=tmp_path / "file/work")


@pytest.mark.slow
def test_worker_that_is_killed(ray, fitted, tmp_path, folders, monkeypatch, caplog):
    """Its block is processed again, with the same result."""
    set_block_items(monkeypatch, 2)
    recordings = [make_recording(seed) for seed in range(5)]
    expected = score_plainly(fitted, recordings, folders[1], reading=None)
    recordings[2] = Stopping(recordings[2], tmp_path / "flag")
    assert_same_result(score(fitted, recordings, folders[0], reading=None), expected)
    assert (tmp_path / "flag").exists()
    assert "of 5 recordings have no result, as workers stopped: they are repeated." in caplog.text
    assert_same_files(*folders)


@pytest.mark.slow
def test_recording_that_kills_each_worker(ray, fitted, folders, monkeypatch):
    monkeypatch.setattr(cluster, "WHOLE_PASSES", 0)
    recordings = [make_recording(seed) for seed in (0, 1)]
    expected = score_plainly(fitted, recordings[:1], folders[1], reading=None)
    recordings[1] = Stopping(recordings[1])
    found = score(fitted, recordings, folders[0], reading=None, skipped=[])
    reason = "unit 1: each worker that processed it stopped, by a crash or for lack of memory."
    assert [tuple(own) for own in found.skipped] == [(1, "unit 1", reason)]
    assert (found.names, found.windows, found.flagged) == (["unit 0"], expected.windows, expected.flagged)
    with pytest.raises(DataError, match=r"^unit 1: each worker that processed it stopped, .*\. Leave it out\.$"):
        score(fitted, recordings[1:], folders[0], reading=None)  # though no worker has returned anything


@pytest.mark.slow
def test_fault_of_the_package(ray, fitted, tmp_path):
    recordings = [make_recording(0), Faulty(make_recording(1))]
    with pytest.raises(RuntimeError, match=r"(?s)a worker failed:\nTraceback.*TypeError: a fault of the package"):
        score(fitted, recordings, tmp_path, reading=None, skipped=[])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_unusable_files(ray, fitted, tmp_path, folders, monkeypatch):
    """Errors name files as they were given; with `skipped` the tables are those of the others."""
    monkeypatch.chdir(tmp_path)
    recordings = write_recordings(tmp_path / "in", "zones").relative_to(tmp_path)
    (recordings / "9.parquet").write_text("broken")
    make_frame(0, 20, "UTC").assign(fault=0).to_parquet(recordings / "11.parquet")
    settings = {"work_dir": tmp_path / "work"}
    skipped = []
    score_plainly(fitted, recordings, folders[1], skipped=skipped)
    found = score(fitted, recordings, folders[0], skipped=[], **settings)
    assert_same_files(*folders)
    assert found.skipped == skipped
    assert [own.name for own in found.skipped] == ["in/9.parquet", "in/11.parquet"]
    use_local_cluster(monkeypatch)
    with pytest.raises(DataError, match=r"^in/9.parquet: expected the content of a .parquet file") as error:
        score(fitted, "in/9.parquet", folders[0], **settings)
    assert "\n" not in str(error.value)
    assert_same_files(*folders)
    assert not (tmp_path / "work").exists()


def test_unusable_recordings_in_memory(fitted, folders, monkeypatch):
    """Those that cannot be opened count as given: the table names recordings even if one is left."""
    use_local_cluster(monkeypatch)
    recordings = [np.ones(3), make_recording(0)]
    plainly, skipped = [], []
    expected = score_plainly(fitted, recordings, folders[1], reading=None, skipped=plainly)
    assert_same_result(score(fitted, recordings, folders[0], reading=None, skipped=skipped), expected)
    assert_same_files(*folders)
    assert [(own.position, own.name) for own in skipped] == [(0, "recording 0")]
    assert skipped == plainly
    with pytest.raises(DataError, match="recording 0: expected"):
        score(fitted, recordings, folders[0], reading=None)


def test_unusable_recordings_alone(fitted, tmp_path, folders, monkeypatch):
    use_local_cluster(monkeypatch)
    write_recordings(tmp_path / "in", "zones", count=2)
    (tmp_path / "in/8.parquet").write_text("broken")
    settings = {"work_dir": tmp_path / "work"}
    with pytest.raises(DataError, match=rf"^{tmp_path}/in/8.parquet: expected the content of a .parquet file"):
        score(fitted, tmp_path / "in/8.parquet", folders[0], **settings)
    (tmp_path / "in/9.parquet").write_text("broken")
    with pytest.raises(DataError, match=r"^none of 2 recordings can be used\. The first: .*8.parquet: expected"):
        score(fitted, tmp_path / "in", folders[0], skipped=[], **settings)
    assert list(folders[0].iterdir()) == []
    assert not (tmp_path / "work").exists()


def test_messages_of_workers_name_the_recording_once(fitted, tmp_path, folders, monkeypatch, caplog):
    use_local_cluster(monkeypatch)
    caplog.set_level("INFO")
    monkeypatch.chdir(tmp_path)
    write_recordings(tmp_path / "in", "none", count=3)
    score(fitted, "in", folders[0], reading=None)
    told = [message for message in caplog.messages if "no times, which" in message]
    (message,) = told  # about the first of them that is done
    assert re.fullmatch(
        r"in/(8|9|10)\.npy: no times, .* column time: a row every 0\.1 s is assumed\. Name .* --time\.", message
    )


@pytest.fixture(scope="module")
def bucket():
    """A bucket of a server of S3, as a function that makes URLs of its keys."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host = "{}:{}".format(*server.get_host_and_port())
    client = pytest.importorskip("boto3").client(
        "s3", endpoint_url=f"http://{host}", region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    client.create_bucket(Bucket="scale")
    options = f"endpoint_override={host}&scheme=http&force_virtual_addressing=false"
    yield lambda key: f"s3://key:secret@scale/{key}?{options}"
    server.stop()
    urls._connect_s3.cache_clear()


@pytest.mark.slow
def test_recordings_and_tables_at_urls(ray, fitted, bucket, tmp_path, folders, monkeypatch):
    """Workers read the URLs; the tables are visible only when they are complete."""
    recordings = write_recordings(tmp_path / "in", "zones")
    for file in recordings.iterdir():
        upload(file, bucket(f"in/{file.name}"))
    output, events = bucket("out/windows.parquet"), bucket("out/events.csv")
    found = score_recordings(fitted, bucket("in"), reading=READING, output=output, events_file=events, workers=2)
    expected = score_plainly(fitted, recordings, folders[1])
    names = [name.replace(str(recordings), "s3://scale/in") for name in expected.names]
    assert (found.names, found.windows, found.flagged) == (names, expected.windows, expected.flagged)
    tables = []
    for url, read in ((output, pd.read_parquet), (events, pd.read_csv)):
        (location,) = find_locations([url])
        with local_copy(location) as copy:
            tables.append(read(copy))
        plain = read(folders[1] / copy.name)
        plain["file"] = plain["file"].str.replace(str(recordings), "s3://scale/in", regex=False)
        pd.testing.assert_frame_equal(tables[-1], plain)

    (tmp_path / "broken.parquet").write_text("broken")
    upload(tmp_path / "broken.parquet", bucket("in/9.parquet"))
    use_local_cluster(monkeypatch)
    with pytest.raises(DataError, match=r"^s3://scale/in/9.parquet: expected the content of a .parquet file") as error:
        score_recordings(fitted, bucket("in"), reading=READING, output=bucket("new/windows.parquet"), workers=2)
    assert "secret" not in str(error.value)
    with pytest.raises(DataError, match=r"^s3://scale/new: not found"):
        find_locations([bucket("new")])


def test_table_that_cannot_be_uploaded_keeps_the_parts(fitted, tmp_path, bucket, monkeypatch, caplog):
    use_local_cluster(monkeypatch)
    recordings, work = write_recordings(tmp_path / "in", "none", count=2), tmp_path / "work"
    url = bucket("windows.csv").replace("@scale/", "@typo/")
    with pytest.raises(StorageError, match=r"^s3://typo/windows.csv: the bucket typo is not found"):
        score_recordings(fitted, recordings, output=url, work_dir=work)
    assert not work.exists()  # found before anything was scored
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "check_upload", lambda url: None)
        with pytest.raises(StorageError, match=r"^s3://typo/windows.csv: cannot be written"):
            score_recordings(fitted, recordings, output=url, work_dir=work)
    (folder,) = work.iterdir()
    kept = f"{folder}: holds the finished recordings, from which the same call resumes. Remove it to start anew."
    assert caplog.messages[-1] == kept
    numbers = []
    record_items(monkeypatch, numbers)
    score_recordings(fitted, recordings, output=bucket("windows.csv"), work_dir=work)
    assert numbers == []  # nothing was scored again
    assert not work.exists()


@pytest.mark.slow
def test_cluster_without_cpus_is_reported(ray, monkeypatch, caplog):
    """Others may join it: head nodes often run no workers."""
    monkeypatch.setattr(ray, "cluster_resources", dict)
    with connection.connect() as cluster:
        assert cluster.workers == 1
    assert "the cluster has no CPUs yet. Waiting until a machine with some joins it." in caplog.text


def test_ray_that_is_not_installed(fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(AMSLError, match=r"^a cluster needs Ray .*\. Run pip install 'amsl_tf\[scale\]'\.$"):
        score_recordings(fitted, make_recording(0))
