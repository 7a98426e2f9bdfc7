"""The embedded server: REST and gRPC on two ports, with limits on requests and a graceful stop."""

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
from amsl_tf.serving.grpc_services import ModelService, PredictionService
from amsl_tf.serving.metrics import Metrics
from amsl_tf.serving.models import Model
from amsl_tf.serving.rest import RestInterface, error_response
from amsl_tf.serving.status import ServingError, invalid

log = logging.getLogger(__name__)

GRACE = 30  # seconds for running requests when the server stops
UPLOAD = 60  # seconds for the upload of a request
JSON = "application/json"


@dataclass(frozen=True)
class Limits:
    """Limits of a server on requests.

    Attributes:
        body_bytes: The maximum size of a request in bytes.
        batch: The maximum number of windows in a request.
        in_flight: The maximum number of requests that run or wait, of each of the two interfaces.
        threads: The number of requests of each interface that run concurrently.
    """

    body_bytes: int = 16 * 2**20
    batch: int = 128
    in_flight: int = 128
    threads: int = os.cpu_count() or 1


class Server:
    """A server of one model, with REST and gRPC on two ports.

    Args:
        model: The model.
        host: The address to listen on.
        port: The port for REST; any free port if 0.
        grpc_port: The port for gRPC; any free port if 0.
        limits: The limits on requests; the defaults if None.

    Attributes:
        port, grpc_port: The ports that the server listens on.

    Raises:
        AMSLError: A port is not available.
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
        add_PredictionServiceServicer_to_server(PredictionService(model, limits.batch, metrics), self._grpc)
        add_ModelServiceServicer_to_server(ModelService(model, metrics), self._grpc)
        try:
            self.grpc_port = self._grpc.add_insecure_port(f"{host}:{grpc_port}")
        except RuntimeError as error:
            self._socket.close()
            raise AMSLError(f"cannot listen on {host}:{grpc_port} for gRPC. Name another port or host.") from error
        self.port = self._socket.getsockname()[1]
        app = build_app(model, limits, metrics)
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE, lifespan="on")
        self._web = _WebServer(config, self._grpc)

    def run(self) -> None:
        """Serves until SIGTERM, SIGINT or `stop`; requests received before are answered.

        Raises:
            AMSLError: The web server did not start.
        """
        self._grpc.start()
        try:
            self._web.run(sockets=[self._socket])
        except (KeyboardInterrupt, SystemExit):  # uvicorn raises the signal again after its shutdown
            pass
        finally:
            self._grpc.stop(GRACE).wait()
        if not self._web.started:
            raise AMSLError("the web server did not start; see its log.")

    def stop(self) -> None:
        """Ends `run`, from another thread; requests received before are answered."""
        self._web.should_exit = True


class _WebServer(uvicorn.Server):
    """A web server that stops the gRPC server with itself: from then on neither accepts requests."""

    def __init__(self, config: uvicorn.Config, grpc_server: grpc.Server) -> None:
        super().__init__(config)
        self._grpc_server = grpc_server

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._grpc_server.stop(GRACE)
        await super().shutdown(sockets)


def build_app(model: Model, limits: Limits, metrics: Metrics) -> FastAPI:
    """Builds the REST interface as an ASGI application.

    Args:
        model: The model.
        limits: The limits on requests.
        metrics: The metrics that count requests, which the path /metrics shows.

    Returns:
        The application.
    """
    rest = RestInterface(model, limits.batch)
    waiting = 0

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.threads = anyio.CapacityLimiter(limits.threads)
        anyio.to_thread.current_default_thread_limiter().total_tokens = limits.threads  # 40 by default
        yield

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    @app.get("/metrics")
    async def show_metrics() -> Response:
        return Response(metrics.render(), media_type="text/plain; version=0.0.4")

    @app.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    async def respond(request: Request) -> Response:
        start = time.perf_counter()
        is_prediction = request.method == "POST"
        try:
            # status and metadata neither wait behind predictions nor count towards their limit
            status, text = await predict(request) if is_prediction else rest.respond(request.method, request.url.path, b"")
        except ClientDisconnect:
            status, text = 499, ""
        method = "predict" if is_prediction else "metadata" if request.url.path.endswith("/metadata") else "status"
        metrics.observe("rest", method, str(status), time.perf_counter() - start)
        return Response(text, status, media_type=JSON, headers={"Connection": "close"} if status in (408, 413) else None)

    @app.exception_handler(HTTPException)
    async def reject(request: Request, _: Exception) -> Response:
        status, text = error_response(invalid(f"Malformed request: {request.method} {request.url.path}"))
        return Response(text, status, media_type=JSON)

    async def predict(request: Request) -> tuple[int, str]:
        nonlocal waiting
        if waiting >= limits.in_flight:
            message = f"{limits.in_flight} requests are running or waiting. Try again later."
            return error_response(ServingError(grpc.StatusCode.RESOURCE_EXHAUSTED, message))
        waiting += 1
        try:
            with anyio.move_on_after(UPLOAD) as upload:
                body = await _read(request, limits.body_bytes)
            if upload.cancelled_caught:
                return 408, f'{{"error": "A request must be uploaded within {UPLOAD} seconds."}}'
            if body is None:
                return 413, f'{{"error": "A request must have at most {limits.body_bytes:,} bytes."}}'
            async with app.state.threads:
                if await request.is_disconnected():  # the client has given up
                    raise ClientDisconnect
                return await anyio.to_thread.run_sync(rest.respond, request.method, request.url.path, body)
        finally:
            waiting -= 1

    return app


async def _read(request: Request, limit: int) -> bytes | None:
    """Returns the body of a request, or None if it is too large; then the rest is not read."""
    if int(request.headers.get("content-length", 0)) > limit:
        return None
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
    return b"".join(parts)
