"""Whether the server lives and is ready, and what it has counted."""

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from instructor_jax.server.device.item import Item
from instructor_jax.server.documented import errors
from instructor_jax.server.refusals import Refusal
from instructor_jax.server.routes.asked import service_of

router = APIRouter(tags=["Health"])
_PROBE_SECONDS = 5.0  # a text of one word takes milliseconds
_STATES = {200: {"description": "Yes."}, **errors("tei", (503,))}


@router.get("/health/live", summary="Whether the process lives", response_class=Response, responses=_STATES)
async def live(request: Request) -> Response:
    """Answers 200 unless the device hangs or the server has given up."""
    service = service_of(request)
    reason = service.broken or service.stalled()
    if reason:
        raise Refusal(503, reason)
    return Response()


@router.get("/health/ready", summary="Whether requests are welcome", response_class=Response, responses=_STATES)
@router.get("/health", summary="Whether requests are welcome", response_class=Response, responses=_STATES)
@router.get("/ping", include_in_schema=False)
async def ready(request: Request) -> Response:
    """Answers 200 once the model is compiled, while the device works; an idle device computes one word."""
    service = service_of(request)
    reason = service.unready()
    if reason is None and not service.requests and service.worker.busy_since is None:
        try:
            for model in service.models:
                await asyncio.wait_for(service.embed(model, [Item("", "ready")]), _PROBE_SECONDS)
        except TimeoutError:
            reason = f"the device did not compute one word within {_PROBE_SECONDS:g} s"
        except Refusal as refusal:
            reason = refusal.message
    if reason:
        raise Refusal(503, reason)
    return Response()


@router.get(
    "/metrics",
    summary="Counters for Prometheus",
    response_class=PlainTextResponse,
    responses=errors("tei", (401,)),
)
async def metrics(request: Request) -> Response:
    """Answers with all counters in Prometheus' format."""
    content, kind = service_of(request).metrics.text()
    return Response(content, media_type=kind)
