"""What a server counts, for Prometheus. Labels come from closed sets: the served models, outcomes, codes."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
NO_MODEL = "-"


class Metrics:
    """The counters of one server; `of(model)` binds a model's once, so that a request pays no look-up."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        names, registry = ("model",), self.registry
        self._requests = Counter("modelyard_requests", "Predict requests answered.", names, registry=registry)
        self._rows = Counter("modelyard_rows", "Rows answered.", names, registry=registry)
        self._errors = Counter("modelyard_errors", "Error replies.", ("model", "code"), registry=registry)
        self._seconds = Histogram(
            "modelyard_request_seconds", "From the whole request received to its answer.", names, buckets=SECONDS,
            registry=registry,
        )  # fmt: skip
        self._batch_rows = Histogram(
            "modelyard_batch_rows", "Rows computed together.", names, buckets=ROWS, registry=registry
        )
        self._batch_seconds = Histogram(
            "modelyard_batch_seconds", "Time of one batch in the runtime.", names, buckets=SECONDS, registry=registry
        )
        self._queue = Gauge("modelyard_queue_rows", "Rows waiting for a worker.", names, registry=registry)
        self._in_flight = Gauge("modelyard_in_flight", "Predict requests being answered.", names, registry=registry)
        self.ready = Gauge("modelyard_ready", "1 while /readyz says so.", registry=registry)
        self.connections = Gauge("modelyard_connections", "Open connections.", registry=registry)
        self._info = Gauge(
            "modelyard_model_info", "What is served; always 1.", ("model", "version", "digest", "runtime"),
            registry=registry,
        )  # fmt: skip

    def of(self, model: str) -> ModelMetrics:
        return ModelMetrics(self, model)

    def error(self, code: str, model: str = NO_MODEL) -> None:
        """Count one error reply. `model` is a served name or NO_MODEL: never text from a client."""
        self._errors.labels(model, code).inc()

    def info(self, model: str, version: int, digest: str, runtime: str) -> None:
        self._info.labels(model, str(version), digest, runtime).set(1)

    def render(self) -> bytes:
        return generate_latest(self.registry)


class ModelMetrics:
    """One model's counters, bound."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._requests = metrics._requests.labels(model)
        self._rows = metrics._rows.labels(model)
        self._seconds = metrics._seconds.labels(model)
        self._batch_rows = metrics._batch_rows.labels(model)
        self._batch_seconds = metrics._batch_seconds.labels(model)
        self._queue = metrics._queue.labels(model)
        self._in_flight = metrics._in_flight.labels(model)

    def answered(self, rows: int, seconds: float) -> None:
        self._requests.inc()
        self._rows.inc(rows)
        self._seconds.observe(seconds)

    def batch(self, rows: int, seconds: float) -> None:
        self._batch_rows.observe(rows)
        self._batch_seconds.observe(seconds)

    def watch(self, queue: Callable[[], float], in_flight: Callable[[], float]) -> None:
        """Gauges read when scraped."""
        self._queue.set_function(queue)
        self._in_flight.set_function(in_flight)
