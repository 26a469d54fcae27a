"""What the server counts, for Prometheus: under names of its own, or under those of Text Embeddings Inference."""

from collections.abc import Iterator
from typing import Any, Literal, Protocol, runtime_checkable

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from instructor_jax.server.device.served_model import ServedModel
from instructor_jax.text.batches import TokenizedTexts

# TEI's own 35 buckets: 1e-5 * 1.5^k seconds, so that its dashboards can be kept.
_SECONDS = tuple(1e-5 * 1.5**k for k in range(35))
_TOKENS = tuple(float(2**k) for k in range(4, 14))


@runtime_checkable  # beartype asks in tests
class Watchable(Protocol):
    """What is measured when somebody asks: `instructor_jax.server.service.Service`."""

    models: list[ServedModel]
    worker: Any  # DeviceWorker, whose module imports more than a counter should

    def unready(self) -> str | None:
        """Returns why the server should get no requests."""
        ...


class Metrics:
    """Counters of one server, in a registry of its own.

    Args:
        names: "own" for names that begin with `instructor_`, "tei" for those of Text Embeddings Inference.
    """

    def __init__(self, names: Literal["own", "tei"] = "own") -> None:
        self.names: Literal["own", "tei"] = names
        self.registry: CollectorRegistry = CollectorRegistry()
        tei = names == "tei"

        def counter(own: str, other: str, text: str, labels: tuple[str, ...] = ()) -> Counter | Gauge:
            # The library ends every counter's name in _total, which TEI's do not; a gauge keeps its name.
            return (
                Gauge(other, text, labels, registry=self.registry)
                if tei
                else Counter(own, text, labels, registry=self.registry)
            )

        def histogram(own: str, other: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(other if tei else own, text, registry=self.registry, buckets=buckets)

        self._requests = counter(
            "instructor_requests", "te_request_count", "Requests by route and status.", ("route", "status")
        )
        self._succeeded = counter("instructor_request_success", "te_request_success", "Requests answered with 2xx.")
        self._failures = counter("instructor_failures", "te_request_failure", "Requests without vectors.", ("err",))
        self._seconds = histogram(
            "instructor_request_seconds", "te_request_duration", "Time from the request to its answer.", _SECONDS
        )
        self._waited = histogram(
            "instructor_queue_seconds", "te_request_queue_duration", "Time in the device's queue.", _SECONDS
        )
        self._lengths = histogram(
            "instructor_text_tokens", "te_request_input_length", "Tokens of a text, instruction included.", _TOKENS
        )
        self._texts = counter("instructor_texts", "te_embed_count", "Texts embedded.", ("model",))
        self._tokens = counter("instructor_tokens", "te_embed_tokens", "Tokens embedded.", ("model",))
        self._truncated = counter("instructor_truncated", "te_embed_truncated", "Texts that were cut.", ("model",))

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Counts a request that was answered."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.observe(seconds)
        if status < 300:
            self._succeeded.inc()

    def embedded(self, model: ServedModel, texts: TokenizedTexts, waited: float, truncated: int) -> None:
        """Counts the texts of a request that was embedded."""
        self._texts.labels(model.name).inc(len(texts))
        self._tokens.labels(model.name).inc(int(texts.offsets[-1]))
        self._truncated.labels(model.name).inc(truncated)
        self._waited.observe(waited)
        for length in texts.lengths.tolist():
            self._lengths.observe(length)

    def refused(self, reason: str) -> None:
        """Counts a request that was refused, or left the queue."""
        self._failures.labels(reason).inc()

    def failed(self, reason: str, model: ServedModel) -> None:
        """Counts a request on which the device failed."""
        self._failures.labels(reason).inc()

    def watch(self, service: Watchable) -> None:
        """Adds what is measured when somebody asks: the queue and the device."""
        self.registry.register(_Watched(service, self.names))

    def text(self) -> tuple[bytes, str]:
        """Returns all of it as Prometheus reads it, and the content type."""
        return prometheus_client.generate_latest(self.registry), prometheus_client.CONTENT_TYPE_LATEST


class _Watched(Collector):
    """Gauges and counters that the queue and the worker keep themselves."""

    def __init__(self, service: Watchable, names: Literal["own", "tei"]) -> None:
        self._service, self._tei = service, names == "tei"

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield from ()

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        service, work = self._service, self._service.worker.work
        waiting = sum(len(model.queue) for model in service.models)
        yield GaugeMetricFamily(
            "te_queue_size" if self._tei else "instructor_queue_requests", "Requests that wait.", waiting
        )
        yield GaugeMetricFamily(
            "instructor_queue_tokens",
            "Tokens that wait for the device.",
            sum(model.queue.tokens for model in service.models),
        )
        yield GaugeMetricFamily("instructor_ready", "1 where requests are welcome.", float(not service.unready()))
        yield GaugeMetricFamily("instructor_tokens_per_second", "Measured speed.", work.tokens_per_second)
        yield CounterMetricFamily("instructor_device_calls", "Device calls.", work.calls)
        yield CounterMetricFamily("instructor_device_texts", "Texts in device calls.", work.texts)
        yield CounterMetricFamily("instructor_device_seconds", "Time in which the device had work.", work.seconds)
        yield CounterMetricFamily("instructor_computed_tokens", "Tokens computed, with padding.", work.computed_tokens)
        yield CounterMetricFamily("instructor_retried_texts", "Texts computed again by themselves.", work.retried)
