"""The ports of a server, reserved before a model is loaded. No TensorFlow is imported."""

import socket

from amsl_tf.errors import AMSLError


class Ports:
    """The two ports of a server, reserved until it starts.

    REST clients that connect earlier wait; gRPC clients are refused once and must try again, since gRPC cannot adopt a socket.

    Args:
        host: The address or name to listen on, IPv4 or IPv6. `::` is every network of both, where the system allows it.
        port: The port for REST; any free port if 0.
        grpc_port: The port for gRPC; any free port if 0.

    Attributes:
        rest, grpc: The listening sockets.
        rest_address, grpc_address: Their addresses, such as `127.0.0.1:8501` or `[::1]:8501`.

    Raises:
        AMSLError: The host is unknown, or a port is not available.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 8501, grpc_port: int = 8500) -> None:
        self.rest = _listen(host, port, "REST")
        try:
            self.grpc = _listen(host, grpc_port, "gRPC")
        except AMSLError:
            self.rest.close()
            raise
        self.rest_address, self.grpc_address = _address(self.rest), _address(self.grpc)

    def close(self) -> None:
        """Releases the ports."""
        self.rest.close()
        self.grpc.close()


def _listen(host: str, port: int, interface: str) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, *_, address = min(found, key=lambda item: item[0] != socket.AF_INET)  # a name with both is IPv4 for all clients
        both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        return socket.create_server(address[:2], family=family, dualstack_ipv6=both)
    except (OSError, OverflowError, ValueError) as error:  # ValueError: not the name of a host
        raise AMSLError(f"cannot listen on {host} port {port} for {interface}: {error}. Name another port or host.") from error


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
