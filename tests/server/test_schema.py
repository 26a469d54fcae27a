"""Requests drawn from the server's own OpenAPI document: none breaks it, and none gets an undocumented answer."""

import hypothesis
import pytest

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")

from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


def requests_of_each_operation(server, count: int) -> list[str]:
    """Sends so many drawn requests to each operation; returns the operations."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    names = []
    for found in schema.get_all_operations():
        operation = found.ok()
        names.append(f"{operation.method} {operation.path}")

        @hypothesis.settings(
            max_examples=count,
            deadline=None,
            database=None,
            suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.filter_too_much],
        )
        @hypothesis.seed(7)
        @hypothesis.given(case=operation.as_strategy())
        def send(case) -> None:
            case.call_and_validate(base_url=server.url, checks=CHECKS, timeout=60)

        send()
    return names


@pytest.mark.slow
def test_drawn_requests(server):
    names = requests_of_each_operation(server, 15)
    assert {"post /v1/embeddings", "post /embed", "post /v2/embed", "get /health"} <= {name.lower() for name in names}


@pytest.mark.slow
def test_many_drawn_requests(server):
    requests_of_each_operation(server, 400)
