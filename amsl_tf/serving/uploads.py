"""The bodies of requests: read within limits on size, time and memory, and decompressed."""

import zlib

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request

from amsl_tf.serving.limits import Limits

UPLOADS = 16  # bodies of the maximum size whose bytes all uploads together may hold
GZIP = 16 + zlib.MAX_WBITS  # tells zlib to expect the header of gzip


class Uploads:
    """The uploads of bodies that are not complete yet.

    Args:
        limits: The limits of the server.
    """

    def __init__(self, limits: Limits) -> None:
        self._seconds = limits.transfer_seconds
        self._held = 0  # bytes

    async def read(self, request: Request, max_bytes: int) -> bytes:
        """Reads the body of a request.

        Args:
            request: The request.
            max_bytes: The maximum size of the body in bytes.

        Returns:
            The body as it was sent, possibly compressed.

        Raises:
            HTTPException: The body is too large, takes too long, or does not fit into memory beside other uploads, or its
                encoding is not supported.
            ClientDisconnect: The client has closed the connection.
        """
        encoding(request)
        if int(request.headers.get("content-length", 0)) > max_bytes:
            raise too_large(max_bytes)
        body = bytearray()
        try:
            with anyio.fail_after(self._seconds):
                async for part in request.stream():
                    body += part
                    self._held += len(part)
                    if len(body) > max_bytes:
                        raise too_large(max_bytes)
                    if self._held > UPLOADS * max_bytes:
                        raise HTTPException(429, "Too many bytes are being uploaded. Try again later.")
        except TimeoutError as error:
            raise HTTPException(408, f"A request must be uploaded within {self._seconds:g} seconds.") from error
        finally:
            self._held -= len(body)
        return bytes(body)


def encoding(request: Request) -> str:
    """Returns the encoding of a body, `gzip` or `identity`. Raises HTTPException if it is another one."""
    name = ", ".join(request.headers.getlist("content-encoding")).strip().lower() or "identity"
    if name not in ("gzip", "identity"):
        message = f"Content-Encoding must be gzip or identity. Received: {name[:100]!r}."
        raise HTTPException(415, message, {"Accept-Encoding": "gzip"})
    return name


def decompress(body: bytes, max_bytes: int) -> bytes:
    """Decompresses a body of encoding `gzip`.

    Args:
        body: One gzip stream.
        max_bytes: The maximum size of the result; decompression ends there.

    Raises:
        HTTPException: The result is too large, or the body is not one complete gzip stream.
    """
    stream = zlib.decompressobj(GZIP)
    try:
        text = stream.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise HTTPException(400, f"A body of Content-Encoding gzip must be a gzip stream. Received: {error}.") from error
    if len(text) > max_bytes:
        raise too_large(max_bytes)
    if not stream.eof or stream.unused_data:
        raise HTTPException(400, "A body of Content-Encoding gzip must be one complete gzip stream.")
    return text


def too_large(max_bytes: int) -> HTTPException:
    """Returns the error for a body of more than `max_bytes`."""
    return HTTPException(413, f"A request must have at most {max_bytes:,} bytes. Send fewer windows at once.")
