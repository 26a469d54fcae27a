"""`instructor-jax serve`: loads the models, compiles them, opens the port, and shuts down in order."""

import logging
import os
import sys

from instructor_jax.arguments import whole_number
from instructor_jax.io.default_model import DEFAULT_MODEL
from instructor_jax.option_types import WholeNumber
from instructor_jax.server.options import LimitOptions, OperationOptions, ServedOptions
from instructor_jax.server.settings import Habits, Limits

_KEYS = "INSTRUCTOR_JAX_API_KEYS"


def serve(
    *models: str,
    host: str = "127.0.0.1",
    port: WholeNumber = 8080,
    served: ServedOptions = ServedOptions(),
    limits: LimitOptions = LimitOptions(),
    operation: OperationOptions = OperationOptions(),
) -> int:
    """Serve embeddings over HTTP, with an instruction for every text.

    OpenAI's clients (/v1/embeddings), those of Text Embeddings Inference
    (/embed) and Cohere's (/v2/embed) talk to it; a page for trying is at /.

      instructor-jax serve

      instructor-jax serve hkunlp/instructor-large --port 9000 \\
          --alias docs="Represent the document for retrieval: " \\
          --alias queries="Represent the question for retrieving documents: "

      curl -s localhost:8080/v1/embeddings -H 'content-type: application/json' \\
          -d '{"input": [{"text": "A river bank", "instruction":
               "Represent the sentence for clustering: "}]}'

    Texts of several requests are packed together whenever the device is free.
    It ends with exit code 0 after SIGTERM or Ctrl-C, once the requests that
    are there are answered, and with 1 when the device keeps failing.

    Args:
        models: Model folders, or names on the Hugging Face hub; by default the package's own small English model.
        host: Address to listen on; 0.0.0.0 lets other machines in.
        port: Port to listen on; 0 takes a free one.
        served: See ServedOptions.
        limits: See LimitOptions.
        operation: See OperationOptions.
    """
    _require_extra()
    whole_number("--port", port, 0, 65535)
    from instructor_jax.server.app import create_app
    from instructor_jax.server.running import run_server
    from instructor_jax.server.startup import load_models, parse_aliases
    from instructor_jax.server.tracing import Tracer

    tracer = None if operation.otlp_endpoint is None else Tracer(operation.otlp_endpoint)

    service = load_models(
        models or (DEFAULT_MODEL,),
        served,
        parse_aliases(served.alias),
        _limits(limits),
        _habits(operation),
    )
    if operation.access_log:
        _log_access()
    app = create_app(service, tracer)
    return run_server(app, service, (host, port), warm_first=operation.warmup == "first", tracer=tracer)


def _limits(limits: LimitOptions) -> Limits:
    return Limits(
        body_bytes=_positive("--max-body-bytes", limits.max_body_bytes),
        items=_positive("--max-items", limits.max_items),
        request_tokens=_positive("--max-request-tokens", limits.max_request_tokens),
        queued_tokens=_positive("--max-queued-tokens", limits.max_queued_tokens),
        queue_seconds=_seconds("--max-queue-seconds", limits.max_queue_seconds),
        requests=_positive("--max-requests", limits.max_requests),
    )


def _habits(operation: OperationOptions) -> Habits:
    keys = (*operation.api_key, *(key for key in os.environ.get(_KEYS, "").split(",") if key.strip()))
    return Habits(
        deterministic=operation.deterministic,
        strict=operation.strict,
        api_keys=_checked_keys(keys),
        open_metrics=not operation.metrics_key,
        metrics_names=operation.metrics_names,
        drain_seconds=_seconds("--drain-seconds", operation.drain_seconds),
    )


def _require_extra() -> None:
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ValueError(f"serve needs {error.name}: pip install 'instructor-jax[serve]'") from None


def _positive(option: str, value: int) -> int:
    return whole_number(option, value, 1, 2**62)


def _seconds(option: str, value: float) -> float:
    if not 0 < value < 1e9:
        raise ValueError(f"{option} {value} must be a positive number of seconds")
    return value


def _checked_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    for key in keys:
        if not key.strip() or not key.isascii() or not key.isprintable() or " " in key.strip():
            raise ValueError("--api-key must be printable ASCII without blanks; a header cannot carry others")
    return tuple(key.strip() for key in keys)


def _log_access() -> None:
    logger = logging.getLogger("instructor_jax.server.access")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
