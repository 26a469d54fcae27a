"""Spans of a request: its stages in their order, inside the caller's trace; and none where nobody asks for them."""

import asyncio
from typing import Any

import httpx
import pytest

pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from instructor_jax.server.app import create_app
from instructor_jax.server.tracing import Tracer


def test_spans_of_a_request(server):
    kept = InMemorySpanExporter()
    tracer = Tracer("", kept)
    trace = "0af7651916cd43dd8448eb211c80319c"
    application = create_app(server.service, tracer)
    transport = httpx.ASGITransport(application)

    async def ask():
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
            answer = await client.post("/v1/embeddings", json={"input": "a"}, headers=headers)
            assert answer.status_code == 200
            await client.get("/health/live")

    asyncio.run(ask())
    tracer.close()
    spans: dict[str, Any] = {span.name: span for span in kept.get_finished_spans()}
    assert set(spans) == {"tokenise", "queue", "device", "POST /v1/embeddings"}
    whole = spans["POST /v1/embeddings"]
    assert f"{whole.context.trace_id:032x}" == trace
    assert whole.attributes["gen_ai.usage.input_tokens"] > 0
    at = whole.start_time
    for name in ("tokenise", "queue", "device"):
        assert spans[name].parent.span_id == whole.context.span_id
        assert at <= spans[name].start_time <= spans[name].end_time <= whole.end_time
        at = spans[name].end_time
