"""URLs of file systems that pyarrow knows, such as those of S3."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from textwrap import shorten
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from amsl_tf.errors import AMSLError, DataError

CONNECT_TIMEOUT, REQUEST_TIMEOUT = 5, 10  # seconds, in each of three attempts at a request to S3
GCS_RETRIES = 30  # seconds in which a request to Google Cloud Storage is repeated
SCHEMES = "s3://, gs://, hdfs:// or file://"
NO_ACCESS = "ACCESS_DENIED|ACCESS_KEY|SIGNATURE|TOKEN|UNAUTHENTICATED|PERMISSION_DENIED|Authentication|access token"
_CAUSES = {  # what the libraries of the file systems report, the fault, and the advice
    r"NETWORK_CONNECTION|CURL error|timed out": ("no connection", "Check the network, the host and the endpoint."),
    NO_ACCESS: ("no access", "Check the credentials, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."),
}
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(path: str | Path) -> bool:
    """Returns whether a path is a URL, such as s3://bucket/recordings."""
    return _URL.match(str(path)) is not None


def remove_file_scheme(path: str | Path) -> str | Path:
    """Converts a file:// URL to a path of this machine; returns anything else as it is. Raises DataError for other hosts."""
    if not str(path).lower().startswith("file://"):
        return path
    parts = urlsplit(str(path), allow_fragments=False)
    if parts.netloc not in ("", "localhost") or not parts.path or parts.query:
        raise DataError(f"{path}: expected an absolute path, as in file:///data. Write file:// and the path.")
    return unquote(parts.path)


def plain_url(url: str) -> str:
    """Returns a URL without its options and credentials, KEY:SECRET."""
    return re.sub(r"(?<=://)[^/@]*:[^/]*@", "", url.partition("?")[0])


def open_file_system(url: str) -> tuple[Any, str]:
    """Returns the file system of a URL, and the path in it. Raises AMSLError if it is invalid, or pyarrow is not installed."""
    try:
        from pyarrow.fs import FileSystem
    except ImportError as error:
        raise AMSLError(f"URLs need pyarrow ({error}). Run pip install 'amsl_tf[parquet]'.") from error
    parts = urlsplit(url, allow_fragments=False)
    with arrow_errors(url, "opened", advice=f"Name a URL that begins with {SCHEMES}, with options that pyarrow knows."):
        if parts.scheme == "s3":
            credentials, _, bucket = parts.netloc.rpartition("@")
            if not bucket:
                raise ValueError("it names no bucket")
            endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
            return _connect_s3(bucket, credentials, parts.query, endpoint), f"{bucket}{unquote(parts.path)}".rstrip("/")
        if parts.scheme in ("gs", "gcs") and "retry_limit_seconds" not in parts.query:  # 15 minutes by default
            url += f"{'&' if parts.query else '?'}retry_limit_seconds={GCS_RETRIES}"
        return FileSystem.from_uri(quote(url, safe="%/:?#@!$&'()*+,;=~"))


@lru_cache(maxsize=16)  # the region of a bucket is a request
def _connect_s3(bucket: str, credentials: str, query: str, endpoint: str | None) -> Any:
    """Connects to S3 with limits of time, which `FileSystem.from_uri` cannot set.

    Args:
        bucket: The bucket.
        credentials: KEY:SECRET, or "" for those of the environment.
        query: Arguments of `S3FileSystem`.
        endpoint: The server, if the query names none; that of AWS if None.
    """
    from pyarrow.fs import S3FileSystem, resolve_s3_region

    options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, "request_timeout": REQUEST_TIMEOUT}
    if endpoint:
        options["endpoint_override"] = endpoint
    if credentials:
        options["access_key"], options["secret_key"] = map(unquote, credentials.split(":", 1))
    flags = {"true": True, "false": False}
    options |= {key: flags.get(value, value) for key, value in parse_qsl(query, strict_parsing=bool(query))}
    if not {"region", "endpoint_override"} & options.keys():
        options["region"] = resolve_s3_region(bucket)
    return S3FileSystem(**options)


@contextmanager
def arrow_errors(
    url: str, action: str, error_type: type[AMSLError] = AMSLError, advice: str = "Check the URL and the file system."
) -> Iterator[None]:
    """Converts the errors of pyarrow in the block to errors of one line that name the URL.

    These are no DataError, which would blame the recording: a network that fails must not leave out all that follow.
    """
    from pyarrow import ArrowException

    try:
        yield
    except AMSLError:
        raise
    except (ArrowException, ImportError, OSError, TypeError, ValueError) as error:
        name, fault = plain_url(url), f"cannot be {action}"
        reason = shorten(str(error).replace(url, name).rstrip(". \n"), 300, placeholder=" ...")
        for pattern, (cause, remedy) in _CAUSES.items():
            if re.search(pattern, str(error)):
                fault, advice = cause, remedy
                break
        raise error_type(f"{name}: {fault} ({reason}). {advice}") from error
