"""Bodies of requests: encodings, slow uploads, and the memory of all uploads."""

import gzip
import json

import anyio
import pytest
import requests
from starlette.exceptions import HTTPException
from starlette.requests import Request

from amsl_tf.serving import Limits
from amsl_tf.serving.uploads import Uploads, decompress
from tests.serving.conftest import WINDOW, connect, embedded, post

BODY = json.dumps({"instances": WINDOW}).encode()
GZIPPED = gzip.compress(BODY, mtime=0)  # without the time, which would differ between the processes of a test run


@pytest.fixture(scope="module")
def address(exported):
    with embedded(exported.parent, Limits(body_bytes=100_000)) as (address, _):
        yield address


def send(address, body, encoding):
    url = f"{address.rest}/v1/models/waves:predict"
    return requests.post(url, data=body, headers={"Content-Encoding": encoding}, timeout=60)


@pytest.mark.parametrize(("encoding", "body"), [("gzip", GZIPPED), ("GZIP", GZIPPED), ("identity", BODY)])
def test_encodings(address, encoding, body):
    response = send(address, body, encoding)
    assert (response.status_code, response.json()) == (200, post(address).json())


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
def test_other_encodings_are_rejected_by_name(address, encoding):
    response = send(address, BODY, encoding)
    assert (response.status_code, response.headers["Accept-Encoding"]) == (415, "gzip")
    assert response.json() == {"error": f"Content-Encoding must be gzip or identity. Received: '{encoding}'."}


def test_decompression_ends_at_the_limit(address):
    response = send(address, gzip.compress(b"[" * 50_000_000), "gzip")
    assert (response.status_code, response.json()["error"]) == (
        413,
        "A request must have at most 100,000 bytes. Send fewer windows at once.",
    )
    assert len(decompress(gzip.compress(b"[" * 1000), 1000)) == 1000
    with pytest.raises(HTTPException, match="at most 999 bytes"):
        decompress(gzip.compress(b"[" * 1000), 999)


@pytest.mark.parametrize("body", [b"", b"no gzip", GZIPPED[:-4], GZIPPED + b"x"])
def test_incomplete_streams_are_rejected(address, body):
    response = send(address, body, "gzip")
    assert response.status_code == 400
    assert "A body of Content-Encoding gzip must be" in response.json()["error"]


def test_slow_uploads_do_not_count_as_requests_in_flight(folder):
    with embedded(folder, Limits(in_flight=1)) as (address, _), connect(address) as slow:
        head = b"POST /v1/models/waves:predict HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        slow.sendall(head % len(BODY))
        assert slow.recv(100).startswith(b"HTTP/1.1 100")  # the server waits for the body
        slow.sendall(BODY[:5])
        assert post(address).status_code == 200
        slow.sendall(BODY[5:])
        assert slow.recv(100).startswith(b"HTTP/1.1 200")


def test_uploads_are_limited_in_memory_together(monkeypatch):
    monkeypatch.setattr("amsl_tf.serving.uploads.UPLOADS", 2)
    uploads = Uploads(Limits())

    async def upload(*parts):
        """Uploads parts; an event in place of a part is awaited."""
        remaining = list(parts)

        async def receive():
            while isinstance(remaining[0], anyio.Event):
                await remaining.pop(0).wait()
            return {"type": "http.request", "body": remaining.pop(0), "more_body": bool(remaining)}

        return await uploads.read(Request({"type": "http", "headers": []}, receive), 10)

    async def run():
        rest = anyio.Event()
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(upload, b"x" * 8, rest, b"y")
            await anyio.wait_all_tasks_blocked()
            assert await upload(b"x" * 4) == b"x" * 4  # 20 bytes in total
            with pytest.raises(HTTPException, match="Too many bytes are being uploaded") as caught:
                await upload(b"x" * 5)
            assert caught.value.status_code == 429
            rest.set()
        assert await upload(b"x" * 10) == b"x" * 10

    anyio.run(run)
