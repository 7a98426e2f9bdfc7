"""The embedded server: REST and gRPC on two ports, with limits on requests and a graceful stop."""

import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
import uvicorn
from tensorflow_serving.apis.model_service_pb2_grpc import add_ModelServiceServicer_to_server
from tensorflow_serving.apis.prediction_service_pb2_grpc import add_PredictionServiceServicer_to_server

from amsl_tf.errors import AMSLError
from amsl_tf.serving.app import build_app
from amsl_tf.serving.connection import Connection
from amsl_tf.serving.grpc_services import ModelService, PredictionService
from amsl_tf.serving.limits import Limits
from amsl_tf.serving.metrics import Metrics
from amsl_tf.serving.models import Model
from amsl_tf.serving.ports import Ports

GRACE = 30  # seconds for running requests when the server stops
CONNECTION_SECONDS = 60  # until a gRPC connection is replaced by a new one
CALL_SECONDS = 300  # for the calls of a gRPC connection that is being replaced: stalled uploads and slow readers end then


class Server:
    """A server of one model, with REST and gRPC on two ports.

    Args:
        model: The model.
        ports: The ports to listen on; the default ones if None.
        limits: The limits on requests; the defaults if None.

    Raises:
        AMSLError: A port is not available.

    Example:
        >>> ports = Ports("127.0.0.1", 8501, 8500)  # first, because loading a model takes seconds
        >>> model = Model("amsl", Path("saved_models/serving/amsl"))
        >>> Server(model, ports).run()
    """

    def __init__(self, model: Model, ports: Ports | None = None, limits: Limits | None = None) -> None:
        ports, limits, metrics = ports or Ports(), limits or Limits(), Metrics(model)
        self._socket = ports.rest
        self._grpc = grpc.server(
            # a thread for each upload, because a call occupies one from its start
            ThreadPoolExecutor(limits.connections, thread_name_prefix="grpc"),
            maximum_concurrent_rpcs=limits.connections,
            options=[
                ("grpc.max_receive_message_length", limits.max_body(model.window_values())),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_connection_age_ms", int(1000 * CONNECTION_SECONDS)),
                ("grpc.max_connection_age_grace_ms", int(1000 * CALL_SECONDS)),
                ("grpc.so_reuseport", 0),
            ],
        )
        add_PredictionServiceServicer_to_server(PredictionService(model, limits, metrics), self._grpc)
        add_ModelServiceServicer_to_server(ModelService(model, metrics), self._grpc)
        ports.grpc.close()  # gRPC cannot adopt a socket
        try:
            self._grpc.add_insecure_port(ports.grpc_address)
        except RuntimeError as error:
            ports.close()
            raise AMSLError(f"cannot listen on {ports.grpc_address} for gRPC. Name another port or host.") from error
        config = uvicorn.Config(
            build_app(model, limits, metrics),
            http=partial(Connection, limits),  # type: ignore[arg-type]
            ws="none",
            lifespan="on",
            log_level="error",  # malformed requests are faults of clients
            access_log=False,
            timeout_graceful_shutdown=GRACE,
        )
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
