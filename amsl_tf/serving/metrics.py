"""Metrics of the server for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from amsl_tf.serving.models import Model


class Metrics:
    """The counts and durations of requests, except those that gRPC itself rejects because they are too large or too many.

    Args:
        model: The served model.
    """

    def __init__(self, model: Model) -> None:
        self._registry = CollectorRegistry()
        labels = ("protocol", "method")
        self._requests = Counter("amsl_requests", "Requests answered.", (*labels, "code"), registry=self._registry)
        self._seconds = Histogram(
            "amsl_request_seconds",
            "Duration of requests, including the time in the queue.",
            labels,
            registry=self._registry,
        )
        newest = Gauge("amsl_model_version", "The newest version that is served.", ("model",), registry=self._registry)
        newest.labels(model.name).set_function(lambda: model.version().number)

    def observe(self, protocol: str, method: str, code: str, seconds: float) -> None:
        """Counts an answered request and its duration.

        Args:
            protocol: `rest` or `grpc`.
            method: `predict`, `metadata` or `status`.
            code: The HTTP status or the name of the gRPC status.
            seconds: The duration in seconds.
        """
        self._seconds.labels(protocol, method).observe(seconds)
        self._requests.labels(protocol, method, code).inc()

    def render(self) -> bytes:
        """Returns all metrics in the text format of Prometheus."""
        return generate_latest(self._registry)
