"""Spans for OpenTelemetry: one for each request, and in it one each for the tokenizer, the queue and the device.

They are written when the request is answered, from times that are measured anyway, so that nothing is slower where no
endpoint is given. A `traceparent` that comes with the request makes the span part of the caller's trace.
"""

import time
from typing import Any

_STAGES = ("tokenise", "queue", "device")
TIMES = "instructor_jax.times"  # key of an ASGI scope: when the work began, and what it took


def note_times(scope: Any, began: int, seconds: tuple[float, float, float]) -> None:
    """Keeps with a request what its spans are made of.

    Args:
        scope: The request's ASGI scope.
        began: Unix time in nanoseconds at which its work began.
        seconds: Time in the tokenizer, in the queue, and on the device.
    """
    scope[TIMES] = began, [round(value * 1e9) for value in seconds]


class Tracer:
    """Sends spans to an endpoint.

    Args:
        endpoint: Address that takes OTLP over HTTP, such as http://localhost:4318/v1/traces.
        exporter: Where spans go instead; for tests.

    Raises:
        ValueError: The extra `otel` is not installed.
    """

    def __init__(self, endpoint: str, exporter: Any = None) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as error:
            raise ValueError(f"--otlp-endpoint needs {error.name}: pip install 'instructor-jax[serve,otel]'") from None
        self._provider = TracerProvider(resource=Resource.create({"service.name": "instructor-jax"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter(endpoint=endpoint)))
        self._tracer = self._provider.get_tracer("instructor_jax")
        self._propagator = TraceContextTextMapPropagator()

    def answered(self, scope: Any, status: int, seconds: float) -> None:
        """Writes the spans of a request that was answered just now."""
        if TIMES not in scope:
            return
        from opentelemetry import trace

        told = scope.get("told", {})
        ended = time.time_ns()
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        span = self._tracer.start_span(
            f"POST {scope['path']}",
            self._propagator.extract(carrier),
            trace.SpanKind.SERVER,
            {
                "http.response.status_code": status,
                "gen_ai.operation.name": "embeddings",
                "gen_ai.request.model": told.get("model", ""),
                "gen_ai.usage.input_tokens": told.get("tokens", 0),
            },
            start_time=ended - round(seconds * 1e9),
        )
        inside = trace.set_span_in_context(span)
        at, durations = scope[TIMES]
        for name, duration in zip(_STAGES, durations, strict=True):
            self._tracer.start_span(name, inside, start_time=at).end(at + duration)
            at += duration
        span.end(ended)

    def close(self) -> None:
        """Sends what is left."""
        self._provider.shutdown()
