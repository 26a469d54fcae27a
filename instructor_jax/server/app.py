"""The application: routes, the shapes of errors, and the guard around them, over one service."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from instructor_jax.io.printable import one_line
from instructor_jax.server.device.failures import ClientGone
from instructor_jax.server.middleware import Guard
from instructor_jax.server.refusals import Refusal, dialect_of, error_body, in_dialect
from instructor_jax.server.routes import cohere, health, openai, page, tei
from instructor_jax.server.service import Service
from instructor_jax.server.tracing import Tracer
from instructor_jax.version import __version__


def create_app(service: Service, tracer: Tracer | None = None) -> Guard:
    """Returns the ASGI application over a service that has been started, with spans where a tracer is given."""
    app = FastAPI(
        title="instructor-jax",
        version=__version__,
        description="Text embeddings steered by an instruction for every item.",
        docs_url=None,  # its page loads scripts from other hosts; /openapi.json is there
        redoc_url=None,
    )
    app.state.service = service
    for router in (openai.router, tei.router, cohere.router, health.router, page.router):
        app.include_router(router)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientGone, _gone)
    app.add_exception_handler(Exception, _failed)
    return Guard(app, service, tracer)


def _answer(refusal: Refusal, request: Request) -> Response:
    dialect = dialect_of(request.url.path)
    refusal = in_dialect(refusal, dialect)
    return JSONResponse(error_body(refusal, dialect), refusal.status, headers=refusal.headers)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _answer(error, request)


def _invalid(request: Request, error: Exception) -> Response:
    """Tells the first thing that is wrong with a body; OpenAI's clients know 400 for that, TEI's 422."""
    assert isinstance(error, RequestValidationError)
    problem: Any = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"][1:]) or "the body"
    message = f"{one_line(place, 100)}: {one_line(str(problem['msg']), 200)}."
    return _answer(Refusal(400, message, param=one_line(place, 100)), request)


def _http(request: Request, error: Exception) -> Response:
    """Answers for unknown paths and methods, in the shape of the path's clients."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        message = f"there is no {one_line(request.url.path, 100)}; see /openapi.json."
    else:
        message = one_line(str(error.detail), 200)
    answer = _answer(Refusal(error.status_code, message), request)
    answer.headers.update(error.headers or {})
    return answer


def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it; the log does


def _failed(request: Request, error: Exception) -> Response:
    return _answer(Refusal(500, "the server failed on this request; its log says why."), request)
