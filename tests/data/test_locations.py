"""Recordings on this machine and at URLs."""

import errno
import os
import pickle
import socket
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from amsl_tf.data import uploads, urls
from amsl_tf.data.locations import find_locations, local_copy
from amsl_tf.data.recording_files import find_files, open_recording
from amsl_tf.data.uploads import check_upload, upload
from amsl_tf.data.urls import is_url, plain_url
from amsl_tf.errors import AMSLError, DataError, StorageError

fs = pytest.importorskip("pyarrow.fs")
FILES = (
    "s10.csv", "s2.csv.gz", "readme.txt", ".s3.csv", "_s4.csv", "a/x.npz", ".git/x.csv", "b.parquet/2.parquet",
    "b.parquet/10.parquet", "b.parquet/_metadata", "b.parquet/deep/1.parquet", "m=2/d=10/p.parquet", "m=2/d=9/p10.parquet",
    "m=2/d=9/p9.parquet", "m=2/d=9/_SUCCESS", "50 % of ü?*#[1].csv",
)  # fmt: skip
SHOWN = "50 %25 of ü%3F%2A#[1].csv"  # in a URL
FOUND = [SHOWN, "a/x.npz", "b.parquet", "m=2/d=9", "m=2/d=10", "s2.csv.gz", "s10.csv"]


@pytest.fixture(autouse=True)
def credentials(monkeypatch, tmp_path):
    """Removes the settings of the user, and sets credentials."""
    for name in (
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    urls._connect_s3.cache_clear()
    yield
    urls._connect_s3.cache_clear()


@pytest.fixture(scope="module")
def server():
    """The address of a server of S3."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(server, monkeypatch):
    """A bucket with FILES, whose content are their names, in `recordings/`; yields its client."""
    client = pytest.importorskip("boto3").client("s3", endpoint_url=server, region_name="us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    client.create_bucket(Bucket="data")
    for name in FILES:
        client.put_object(Bucket="data", Key=f"recordings/{name}", Body=name.encode())
    yield client
    for item in client.list_objects_v2(Bucket="data").get("Contents", []):
        client.delete_object(Bucket="data", Key=item["Key"])
    client.delete_bucket(Bucket="data")


@pytest.fixture
def folder(tmp_path):
    """A folder with FILES, whose content are their names."""
    for name in FILES:
        (tmp_path / "recordings" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "recordings" / name).write_text(name)
    return tmp_path / "recordings"


def names(*paths):
    return [location.name for location in find_locations(paths)]


def test_the_same_is_found_everywhere(bucket, folder):
    assert [file.relative_to(folder).as_posix() for file in find_files([folder])] == ["50 % of ü?*#[1].csv", *FOUND[1:]]
    for paths in ([folder], [f"{folder}/s*.csv*"], [folder / "s10.csv", folder / "a", folder, folder / "readme.txt"]):
        assert names(*paths) == [str(file) for file in find_files(paths)]
        assert names(*(f"file://{path}" for path in paths)) == [str(file) for file in find_files(paths)]
    url = "s3://data/recordings"
    assert names(url) == names(f"{url}/", url) == [f"{url}/{name}" for name in FOUND]
    assert names("s3://data") == names(url)
    for name in (SHOWN, "b.parquet", "m=2/d=9", "readme.txt", ".s3.csv"):  # what is named is not filtered
        assert names(f"{url}/{name}") == [f"{url}/{name}"]
    assert names(f"{url}/m=2") == [f"{url}/m=2/d=9", f"{url}/m=2/d=10"]
    assert names(f"{url}/s10.csv", f"{url}/a", f"{url}/s10.csv", folder / "a") == [
        f"{url}/s10.csv", f"{url}/a/x.npz", f"{folder}/a/x.npz",
    ]  # fmt: skip
    assert names(f"{url}/s*.csv*", f"{url}/m*") == [f"{url}/{name}" for name in ("s2.csv.gz", "s10.csv", "m=2/d=9", "m=2/d=10")]


def test_sizes_and_times(bucket, folder):
    sizes = [20, 7, 19 + 20 + 24, 19 + 18, 18, 9, 7]  # bytes of the names; the sum over the Parquet files of a folder
    for path in (folder, "s3://data/recordings"):
        found = find_locations([path])
        assert [location.size for location in found] == sizes
        assert all(location.changed > 1.7e18 for location in found)
        assert pickle.loads(pickle.dumps(found)) == found


def test_copies_have_the_same_content(bucket, folder, monkeypatch):
    parts = {
        "b.parquet": ["b.parquet/10.parquet", "b.parquet/2.parquet", "b.parquet/deep/1.parquet"],
        "m=2/d=9": ["m=2/d=9/p10.parquet", "m=2/d=9/p9.parquet"],
        "m=2/d=10": ["m=2/d=10/p.parquet"],
    }
    for path in (folder, "s3://data/recordings"):
        found = pickle.loads(pickle.dumps(find_locations([path])))
        for location, name in zip(found, FOUND, strict=True):
            with local_copy(location) as copy:
                assert copy.is_absolute()
                assert copy.name == Path("50 % of ü?*#[1].csv" if name == SHOWN else name).name
                files = copy.rglob("[!_]*.parquet") if copy.is_dir() else [copy]
                assert sorted(file.read_text() for file in files) == parts.get(name, [copy.name if name == SHOWN else name])
            assert copy.exists() == (path is folder)
    monkeypatch.chdir(folder.parent)
    (location,) = find_locations(["recordings/a"])
    monkeypatch.chdir(folder)
    assert location.name == "recordings/a/x.npz"
    with local_copy(location) as copy:
        assert copy == folder / "a/x.npz"


def test_recordings_are_read_from_a_copy(bucket, tmp_path):
    expected = np.arange(5.0)
    for part in (expected[:3], expected[3:]):
        pd.DataFrame({"x": part}).to_parquet(tmp_path / "part.parquet")
        upload(tmp_path / "part.parquet", f"s3://data/m=1/part-{int(part[0])}.parquet")
    (location,) = find_locations(["s3://data/m=1"])
    with local_copy(location) as copy:
        assert np.concatenate([rows.x[:, 0] for rows in open_recording(copy).parts()]).tolist() == expected.tolist()


def test_recording_that_changes_is_an_error(bucket, folder):
    changed = {
        "s10.csv": lambda: bucket.put_object(Bucket="data", Key="recordings/s10.csv", Body=b"s10"),
        "b.parquet": lambda: bucket.put_object(Bucket="data", Key="recordings/b.parquet/11.parquet", Body=b"123"),
    }
    for name, change in changed.items():
        (remote,), (local,) = find_locations([f"s3://data/recordings/{name}"]), find_locations([folder / name])
        change()
        (folder / name if name == "s10.csv" else folder / name / "11.parquet").write_text("s10")
        size = remote.size + (3 if name == "b.parquet" else -4)
        for location in (remote, local):
            message = rf"{name}: has changed since it was found \({location.size} bytes then, {size} now\)\. Wait until"
            with pytest.raises(DataError, match=message), local_copy(location):
                pass
    (local,) = find_locations([folder / "s2.csv.gz"])
    os.utime(folder / "s2.csv.gz", (1, 1))
    with pytest.raises(DataError, match=r"s2.csv.gz: has changed since it was found \(its time of change\)"), local_copy(local):
        pass
    (remote,), (local,) = find_locations(["s3://data/recordings/a"]), find_locations([folder / "a"])
    bucket.delete_object(Bucket="data", Key="recordings/a/x.npz")
    (folder / "a/x.npz").unlink()
    for location, message in (
        (remote, "x.npz: not found"),
        (local, r"x.npz: is gone\. Wait"),
    ):
        with pytest.raises(DataError, match=message), local_copy(location):
            pass


def test_copy_that_fails_is_no_fault_of_the_recording(bucket, monkeypatch):
    def fail(*arguments, **settings):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fs, "copy_files", fail)
    (location,) = find_locations(["s3://data/recordings/s10.csv"])
    with pytest.raises(AMSLError, match=r"s10.csv: cannot be copied \(.*No space left") as raised, local_copy(location):
        pass
    assert type(raised.value) is AMSLError


def test_recording_that_changes_during_the_copy_is_an_error(bucket, monkeypatch):
    def copy_and_change(*arguments, copy_files=fs.copy_files, **settings):
        copy_files(*arguments, **settings)
        bucket.put_object(Bucket="data", Key="recordings/s10.csv", Body=b"new")

    monkeypatch.setattr(fs, "copy_files", copy_and_change)
    (location,) = find_locations(["s3://data/recordings/s10.csv"])
    with pytest.raises(DataError, match=r"has changed since it was found \(7 bytes then, 3 now\)"), local_copy(location):
        pass


def test_options_and_credentials_are_not_shown(bucket, server, monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    urls._connect_s3.cache_clear()
    options = f"endpoint_override={server.removeprefix('http://')}&scheme=http&force_virtual_addressing=false"
    url = f"s3://a:b%2Fc@data/recordings?{options}"
    found = find_locations([url, url.replace("?", "/s*?")])
    assert [location.name for location in found] == [f"s3://data/recordings/{name}" for name in FOUND]
    assert "b%2Fc" not in repr(found)
    with local_copy(found[-1]) as copy:
        assert copy.read_text() == "s10.csv"
    for option, fault in (
        ("anonymous=true", r"no access \(.*\)\. Check the credentials, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY\."),
        ("region=x&typo=1", r"cannot be opened \(.*'typo'\)\. Name a URL .*, with options that pyarrow knows\."),
        ("typo", r"cannot be opened \(.*\)\. Name a URL"),
    ):
        with pytest.raises(AMSLError, match=f"^s3://data/recordings/s10.csv: {fault}") as raised:
            find_locations([f"s3://data/recordings/s10.csv?{options}&{option}"])
        assert type(raised.value) is AMSLError
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://data/typo", r"^s3://data/typo: not found\. Name files that end in .*, or folders of them\.$"),
        ("s3://typo/a.csv", "^s3://typo/a.csv: not found"),
        ("s3://data/recordings/*.xyz", r"^s3://data/recordings/\*.xyz: expected recordings that end in .*, found none"),
        ("s3://data/recordings/*/x.npz", r"expected \* in the last part of a URL only\. Name the folder"),
        ("s3:///a.csv", "^s3:///a.csv: cannot be opened .it names no bucket.. Name a URL that begins with s3://, gs://"),
        ("https://example.org/a.csv", "^https://example.org/a.csv: cannot be opened .Unrecognized filesystem type"),
        ("file://host/a.csv", "^file://host/a.csv: expected an absolute path, as in file:///data"),
        ("file:///no/such/a.csv", "^/no/such/a.csv: not found"),
    ],
)
def test_invalid_urls_are_errors(url, message, bucket):
    with pytest.raises(AMSLError, match=message) as raised:
        find_locations([url])
    assert "\n" not in str(raised.value)


def test_nothing_is_an_error():
    with pytest.raises(DataError, match="expected recordings, found none"):
        find_locations([])


def test_server_that_does_not_answer_is_an_error(monkeypatch):
    monkeypatch.setattr(urls, "CONNECT_TIMEOUT", 0.2)
    monkeypatch.setattr(urls, "REQUEST_TIMEOUT", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(AMSLError, match=r"^s3://data/a: no connection \(.*\)\. Check the network, the host and") as raised:
            find_locations(["s3://data/a"])
    assert type(raised.value) is AMSLError  # no DataError: it is not the fault of a recording
    assert "\n" not in str(raised.value)


def test_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.fs", None)
    with pytest.raises(AMSLError, match=r"URLs need pyarrow .*Run pip install 'amsl_tf\[parquet\]'"):
        find_locations(["s3://data/a.csv"])


def test_files_are_uploaded_whole(bucket, tmp_path):
    content = np.random.default_rng(0).bytes(12 * 2**20)  # more than a part of an upload
    (tmp_path / "a.bin").write_bytes(content)
    (tmp_path / "empty").touch()
    for name in ("empty", "a.bin"):
        for _ in range(2):  # an upload may be repeated
            upload(tmp_path / name, f"s3://data/new/{name}")
    objects = bucket.list_objects_v2(Bucket="data", Prefix="new/")["Contents"]
    assert [(item["Key"], item["Size"]) for item in objects] == [("new/a.bin", len(content)), ("new/empty", 0)]
    assert bucket.get_object(Bucket="data", Key="new/a.bin")["Body"].read() == content
    with pytest.raises(
        StorageError, match=r"^s3://typo/a: cannot be written .*NO_SUCH_BUCKET.*\. Check the URL and the file sys"
    ):
        upload(tmp_path / "empty", "s3://typo/a")


def test_place_of_an_upload_is_checked_before(bucket, tmp_path, monkeypatch):
    from botocore.exceptions import ClientError
    from moto.s3.exceptions import S3AccessDeniedError
    from moto.s3.models import S3Backend

    for url in ("s3://data/new/a.csv", "s3://data/recordings/s10.csv"):
        check_upload(url)
    with pytest.raises(StorageError, match=r"^s3://typo/a.csv: the bucket typo is not found\. Create it, or name"):
        check_upload("s3://typo/a.csv")
    with pytest.raises(StorageError, match=r"^s3://data/recordings: is a folder\. Name a file"):
        check_upload("s3://data/recordings")
    assert len(bucket.list_objects_v2(Bucket="data")["Contents"]) == len(FILES)

    def refuse(*arguments, **settings):
        raise S3AccessDeniedError

    with monkeypatch.context() as patch:
        for name in ("head_bucket", "head_object", "list_objects_v2"):
            patch.setattr(S3Backend, name, refuse)
        with pytest.raises(ClientError, match="403"):
            bucket.head_bucket(Bucket="data")
        check_upload("s3://data/new/a.csv")  # it may still be written


def test_upload_that_fails_leaves_the_former_file(bucket, tmp_path, monkeypatch):
    from moto.s3.exceptions import S3AccessDeniedError
    from moto.s3.models import S3Backend

    upload_part = S3Backend.upload_part

    def refuse_second(backend, bucket_name, upload_id, part, *arguments):
        if part == 2:
            raise S3AccessDeniedError
        return upload_part(backend, bucket_name, upload_id, part, *arguments)

    monkeypatch.setattr(S3Backend, "upload_part", refuse_second)
    (tmp_path / "a.bin").write_bytes(bytes(32 * 2**20))
    bucket.put_object(Bucket="data", Key="a.bin", Body=b"former")
    with pytest.raises(StorageError, match=r"^s3://data/a.bin: no access \(.*UploadPart"):
        upload(tmp_path / "a.bin", "s3://data/a.bin")
    assert bucket.get_object(Bucket="data", Key="a.bin")["Body"].read() == b"former"


def test_upload_to_file_systems_that_show_incomplete_files(tmp_path, monkeypatch):
    """They get a temporary name first; a folder of this machine stands for such a file system."""
    remote = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    monkeypatch.setattr(uploads, "open_file_system", lambda url: (remote, url.removeprefix("hdfs://host/")))
    (tmp_path / "a").write_text("new")
    for _ in range(2):
        upload(tmp_path / "a", "hdfs://host/x/y/b")
    (tmp_path / "x/y/folder").mkdir()
    with pytest.raises(StorageError, match=r"^hdfs://host/x/y/folder: cannot be written"):
        upload(tmp_path / "a", "hdfs://host/x/y/folder")
    assert sorted(file.name for file in (tmp_path / "x/y").iterdir()) == ["b", "folder"]
    assert (tmp_path / "x/y/b").read_text() == "new"


def test_urls():
    assert [is_url(path) for path in ("s3://a/b", "gs://a", "file:///a", "a/b", "/a", Path("/a"), "C://a", "a=b/c")] == [
        True, True, True, False, False, False, False, False,
    ]  # fmt: skip
    shown = [plain_url(url) for url in ("s3://a:b@c/d@e?f", "s3://c/d:e@f", "abfs://a@b/c", "s3://a")]
    assert shown == ["s3://c/d@e", "s3://c/d:e@f", "abfs://a@b/c", "s3://a"]
