"""HTTP connections with time limits, which uvicorn lacks: slow clients cannot hold a connection."""

import asyncio
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from amsl_tf.serving.limits import Limits

_BUSY = b'{"error": "Too many connections are open. Try again later."}'
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BUSY), _BUSY)
)


class Connection(H11Protocol):
    """An HTTP/1.1 connection of uvicorn, limited in number and time.

    It is closed if the headers of a request, or the rest of a body that nobody reads, do not arrive in time, and if the client
    does not read a response in time.

    Args:
        limits: The limits of the server.
        settings: The arguments of uvicorn.
    """

    def __init__(self, limits: Limits, **settings: Any) -> None:
        super().__init__(**settings)
        self._limits = limits
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # so that pause_writing is called for every byte that the client has not read
        self._limit_request()
        if len(self.connections) > self._limits.connections:
            transport.write(_REFUSAL)
            transport.close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._limit_request()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._limit_request()

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None:
            self.cycle.disconnected = True  # the application must not respond as well
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start("response", self._limits.transfer_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel("response")

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for name in ("request", "response"):
            self._cancel(name)

    def _limit_request(self) -> None:
        """Runs the timer of the request while no request is being answered."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._cancel("request")
        else:
            self._start("request", self._limits.header_seconds, self.transport.close)

    def _start(self, name: str, seconds: float, end: Callable[[], None]) -> None:
        if name not in self._timers:
            self._timers[name] = self.loop.call_later(seconds, end)

    def _cancel(self, name: str) -> None:
        if name in self._timers:
            self._timers.pop(name).cancel()
