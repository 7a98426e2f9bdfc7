"""The embedded server: REST and gRPC on two ports, bounded in what it takes in, and stopped without dropping a request."""

import logging
import os
import socket
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import grpc
import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from tensorflow_serving.apis.model_service_pb2_grpc import add_ModelServiceServicer_to_server
from tensorflow_serving.apis.prediction_service_pb2_grpc import add_PredictionServiceServicer_to_server

from amsl_tf.errors import AMSLError
from amsl_tf.serving.grpc_services import Prediction, Status
from amsl_tf.serving.metrics import Metrics
from amsl_tf.serving.models import Model
from amsl_tf.serving.rest import Rest, refusal
from amsl_tf.serving.status import ServingError, invalid

log = logging.getLogger(__name__)

GRACE = 30  # seconds that requests have to end when the server stops
UPLOAD = 60  # seconds that a request has to come in
JSON = "application/json"


@dataclass(frozen=True)
class Limits:
    """What a server takes in.

    Attributes:
        body_bytes: Of a request, at most.
        batch: Windows in a request, at most.
        in_flight: Requests of each of the two interfaces that run or wait, at most.
        threads: Requests of each that run at the same time.
    """

    body_bytes: int = 16 * 2**20
    batch: int = 128
    in_flight: int = 128
    threads: int = os.cpu_count() or 1


class Server:
    """Serves a model on two ports.

    Args:
        model: The model.
        host: The address to listen on.
        port: For REST; any free one if 0.
        grpc_port: For gRPC; any free one if 0.
        limits: What is taken in.

    Attributes:
        port, grpc_port: Where it listens.

    Raises:
        AMSLError: A port cannot be had.
    """

    def __init__(
        self, model: Model, host: str = "127.0.0.1", port: int = 8501, grpc_port: int = 8500, limits: Limits | None = None
    ) -> None:
        limits = limits or Limits()
        metrics = Metrics(model)
        try:
            self._socket = socket.create_server((host, port))
        except (OSError, OverflowError) as error:
            raise AMSLError(f"cannot listen on {host}:{port} for REST: {error}. Name another port or host.") from error
        self._grpc = grpc.server(
            ThreadPoolExecutor(limits.threads, thread_name_prefix="grpc"),
            maximum_concurrent_rpcs=limits.in_flight,
            options=[
                ("grpc.max_receive_message_length", limits.body_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ],
        )
        add_PredictionServiceServicer_to_server(Prediction(model, limits.batch, metrics), self._grpc)
        add_ModelServiceServicer_to_server(Status(model, metrics), self._grpc)
        try:
            self.grpc_port = self._grpc.add_insecure_port(f"{host}:{grpc_port}")
        except RuntimeError as error:
            self._socket.close()
            raise AMSLError(f"cannot listen on {host}:{grpc_port} for gRPC. Name another port or host.") from error
        self.port = self._socket.getsockname()[1]
        app = build_app(model, limits, metrics)
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE, lifespan="on")
        self._web = _Web(config, self._grpc)

    def run(self) -> None:
        """Serves until SIGTERM, SIGINT or `stop`; requests that have come in are answered.

        Raises:
            AMSLError: The web server did not start; its log says why.
        """
        self._grpc.start()
        try:
            self._web.run(sockets=[self._socket])
        except (KeyboardInterrupt, SystemExit):  # uvicorn raises the signal again when it has stopped
            pass
        finally:
            self._grpc.stop(GRACE).wait()
        if not self._web.started:
            raise AMSLError("the web server did not start; its log says why.")

    def stop(self) -> None:
        """Ends `run`, from another thread."""
        self._web.should_exit = True


class _Web(uvicorn.Server):
    """A web server that has another one stop when it does: both take no more requests from then on."""

    def __init__(self, config: uvicorn.Config, other: grpc.Server) -> None:
        super().__init__(config)
        self._other = other

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._other.stop(GRACE)
        await super().shutdown(sockets)


def build_app(model: Model, limits: Limits, metrics: Metrics) -> FastAPI:
    """The REST interface as an ASGI application."""
    rest = Rest(model, limits.batch)
    waiting = 0

    @asynccontextmanager
    async def started(app: FastAPI) -> AsyncIterator[None]:
        app.state.threads = anyio.CapacityLimiter(limits.threads)
        anyio.to_thread.current_default_thread_limiter().total_tokens = limits.threads  # else 40, however many there may be
        yield

    app = FastAPI(lifespan=started, openapi_url=None)

    @app.get("/metrics")
    async def show_metrics() -> Response:
        return Response(metrics.page(), media_type="text/plain; version=0.0.4")

    @app.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    async def answer(request: Request) -> Response:
        start = time.perf_counter()
        predicts = request.method == "POST"
        try:
            # what does not predict does not wait behind what does, nor is it refused when there is much of that
            status, text = await predict(request) if predicts else rest.answer(request.method, request.url.path, b"")
        except ClientDisconnect:
            status, text = 499, ""
        method = "predict" if predicts else "metadata" if request.url.path.endswith("/metadata") else "status"
        metrics.observe("rest", method, str(status), time.perf_counter() - start)
        return Response(text, status, media_type=JSON, headers={"Connection": "close"} if status in (408, 413) else None)

    @app.exception_handler(HTTPException)
    async def refuse(request: Request, _: Exception) -> Response:
        status, text = refusal(invalid(f"Malformed request: {request.method} {request.url.path}"))
        return Response(text, status, media_type=JSON)

    async def predict(request: Request) -> tuple[int, str]:
        nonlocal waiting
        if waiting >= limits.in_flight:
            message = f"{limits.in_flight} requests are running or waiting. Try again later."
            return refusal(ServingError(grpc.StatusCode.RESOURCE_EXHAUSTED, message))
        waiting += 1
        try:
            with anyio.move_on_after(UPLOAD) as upload:
                body = await _read(request, limits.body_bytes)
            if upload.cancelled_caught:
                return 408, f'{{"error": "A request must have come in within {UPLOAD} seconds."}}'
            if body is None:
                return 413, f'{{"error": "A request must have at most {limits.body_bytes:,} bytes."}}'
            async with app.state.threads:
                if await request.is_disconnected():  # nobody waits any more
                    raise ClientDisconnect
                return await anyio.to_thread.run_sync(rest.answer, request.method, request.url.path, body)
        finally:
            waiting -= 1

    return app


async def _read(request: Request, limit: int) -> bytes | None:
    """The body of a request, or None where it is too large: then it is not read to its end."""
    if int(request.headers.get("content-length", 0)) > limit:
        return None
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
    return b"".join(parts)
