"""What Prometheus is told."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from amsl_tf.serving.models import Model


class Metrics:
    """Counts requests; not those that gRPC itself refuses, as too large or one too many.

    Args:
        model: Which is served.
    """

    def __init__(self, model: Model) -> None:
        self._registry = CollectorRegistry()
        labels = ("protocol", "method")
        self._requests = Counter("amsl_requests", "Requests answered.", (*labels, "code"), registry=self._registry)
        self._seconds = Histogram(
            "amsl_request_seconds",
            "REST: all of it. gRPC: without waiting.",
            labels,
            registry=self._registry,
        )
        newest = Gauge("amsl_model_version", "The newest version that is served.", ("model",), registry=self._registry)
        newest.labels(model.name).set_function(lambda: model.version().number)

    def observe(self, protocol: str, method: str, code: str, seconds: float) -> None:
        """Counts a request that has been answered."""
        self._seconds.labels(protocol, method).observe(seconds)
        self._requests.labels(protocol, method, code).inc()

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
