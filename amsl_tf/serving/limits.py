"""The limits of a server: on the size, number and duration of requests. No TensorFlow is imported."""

import os
from dataclasses import dataclass

VALUE_BYTES = 32  # a float64 in JSON takes at most 24 characters; the rest is for separators, brackets and spaces
WINDOW_BYTES = 64  # of JSON around a window
REQUEST_BYTES = 2**16  # of JSON or Protocol Buffers around all windows


@dataclass(frozen=True)
class Limits:
    """Limits of a server on requests.

    Attributes:
        body_bytes: The maximum size of a request in bytes; if None, the size that a full batch of windows can take as JSON.
        batch: The maximum number of windows in a request.
        in_flight: The maximum number of predictions that run or wait, of each of the two interfaces.
        threads: The number of predictions of each interface that run concurrently.
        connections: The maximum number of open REST connections, and of gRPC calls.
        header_seconds: The time limit for the headers of a REST request, from the start of the connection or from the
            previous response.
        transfer_seconds: The time limit for the upload of a REST request, and for a client to read its response.
    """

    body_bytes: int | None = None
    batch: int = 128
    in_flight: int = 128
    threads: int = os.cpu_count() or 1
    connections: int = 512
    header_seconds: float = 10.0
    transfer_seconds: float = 60.0

    def max_body(self, window_values: int) -> int:
        """Returns the maximum size of a request in bytes, for windows of so many values."""
        if self.body_bytes is not None:
            return self.body_bytes
        return REQUEST_BYTES + self.batch * (WINDOW_BYTES + VALUE_BYTES * window_values)
