"""The REST interface as an ASGI application: uploads, queue and metrics around `RestInterface`."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from amsl_tf.serving.limits import Limits
from amsl_tf.serving.metrics import Metrics
from amsl_tf.serving.models import Model
from amsl_tf.serving.rest import RestInterface, error_response
from amsl_tf.serving.status import invalid, too_many
from amsl_tf.serving.uploads import Uploads, decompress, encoding

JSON = "application/json"


def build_app(model: Model, limits: Limits, metrics: Metrics) -> FastAPI:
    """Builds the REST interface as an ASGI application.

    Args:
        model: The model.
        limits: The limits on requests.
        metrics: The metrics that count requests, which the path /metrics shows.

    Returns:
        The application.
    """
    rest, uploads = RestInterface(model, limits.batch), Uploads(limits)
    waiting = 0

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.threads = anyio.CapacityLimiter(limits.threads)
        anyio.to_thread.current_default_thread_limiter().total_tokens = limits.threads  # 40 by default
        yield

    app = FastAPI(lifespan=lifespan, openapi_url=None)

    @app.api_route("/metrics", methods=["GET", "HEAD"])
    async def show_metrics() -> Response:
        return Response(metrics.render(), media_type="text/plain; version=0.0.4")

    @app.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    async def respond(request: Request) -> Response:
        start, path, headers = time.perf_counter(), request.scope["path"], None
        is_prediction = request.method == "POST"
        try:
            # status and metadata neither wait behind predictions nor count towards their limit
            status, text = await predict(request) if is_prediction else rest.respond(request.method, path, b"")
        except HTTPException as error:
            status, text, headers = error.status_code, json.dumps({"error": error.detail}), error.headers
        except ClientDisconnect:
            status, text = 499, ""
        method = "predict" if is_prediction else "metadata" if path.endswith("/metadata") else "status"
        metrics.observe("rest", method, str(status), time.perf_counter() - start)
        return Response(text, status, headers, JSON)

    @app.exception_handler(HTTPException)
    async def reject(request: Request, _: Exception) -> Response:
        status, text = error_response(invalid(f"Malformed request: {request.method} {request.scope['path']}"))
        return Response(text, status, media_type=JSON)

    async def predict(request: Request) -> tuple[int, str]:
        nonlocal waiting
        max_bytes = limits.max_body(model.window_values())
        body = await uploads.read(request, max_bytes)
        if waiting >= limits.in_flight:  # uploads do not count, else slow ones would keep others out
            return error_response(too_many(limits.in_flight))
        waiting += 1
        try:
            async with app.state.threads:
                if await request.is_disconnected():  # the client has given up
                    raise ClientDisconnect
                return await anyio.to_thread.run_sync(answer, request, body, max_bytes)
        finally:
            waiting -= 1

    def answer(request: Request, body: bytes, max_bytes: int) -> tuple[int, str]:
        text = decompress(body, max_bytes) if encoding(request) == "gzip" else body
        return rest.respond(request.method, request.scope["path"], text)

    return app
