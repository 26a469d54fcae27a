"""The options of `instructor-jax serve`, as records that the command line fills."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from instructor_jax.option_types import WholeNumber
from instructor_jax.server.settings import Habits, Limits

_LIMITS, _HABITS = Group("Limits", sort_key=3), Group("Operation", sort_key=4)


@Parameter(name="*", group=Group("Models", sort_key=2))
@dataclasses.dataclass(frozen=True, kw_only=True)
class ServedOptions:
    """What is served.

    Attributes:
        served_model_name: Name for clients, for each model in turn; by default the last part of MODEL.
        instruction: Instruction of texts for which a request names none.
        alias: Name of a further model for clients that can send nothing but a name, as NAME="INSTRUCTION"; repeatable.
        dtype: Type that the encoder computes in; auto: the device's fastest that keeps a cosine of 0.999. Vectors are
            float32 in each.
        device: Device to compute on, such as cuda:1; repeatable; by default all of this machine.
        max_length: Longest input in tokens, instruction included; the model's own limit by default.
        local_files_only: Never ask the hub; use what is in the cache.
        int8_texts: File of typical texts, one a line, by which int8 and uint8 vectors are scaled; only for models
            without stored ranges.
    """

    served_model_name: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    instruction: Annotated[str | None, Parameter(name=["--instruction", "-i"])] = None
    alias: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    dtype: Literal["float32", "bfloat16", "auto"] = "float32"
    device: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    max_length: WholeNumber | None = None
    local_files_only: Annotated[bool, Parameter(negative="")] = False
    int8_texts: Path | None = None


@Parameter(name="*", group=_LIMITS)
@dataclasses.dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """What is refused before any work is done for it.

    Attributes:
        max_body_bytes: Most bytes of a request's body, after decompression (413).
        max_items: Most texts of a request (413).
        max_request_tokens: Most tokens of a request (413).
        max_queued_tokens: Most tokens that wait for the device (429).
        max_queue_seconds: Longest time that a request waits for the device (429 if it would, 503 if it did).
        max_requests: Most requests at a time (429).
    """

    max_body_bytes: WholeNumber = Limits.body_bytes
    max_items: WholeNumber = Limits.items
    max_request_tokens: WholeNumber = Limits.request_tokens
    max_queued_tokens: WholeNumber = Limits.queued_tokens
    max_queue_seconds: float = Limits.queue_seconds
    max_requests: WholeNumber = Limits.requests


@Parameter(name="*", group=_HABITS)
@dataclasses.dataclass(frozen=True, kw_only=True)
class OperationOptions:
    """How the server runs.

    Attributes:
        deterministic: Pack each request by itself: the same bits whatever else is asked, at some cost in speed.
        strict: Refuse unknown fields of requests.
        api_key: Key of which every request must bring one; repeatable; or INSTRUCTOR_JAX_API_KEYS, separated by commas.
        metrics_key: Ask for a key at /metrics too.
        metrics_names: Names of the metrics: this server's own, or those of Text Embeddings Inference (tei).
        warmup: Compile before the port opens, or in the background while /health/ready says 503.
        drain_seconds: Longest time to finish requests after SIGTERM.
        otlp_endpoint: Address for OpenTelemetry spans, such as http://localhost:4318/v1/traces; needs the extra otel.
        access_log: Write a line of JSON about each request, without its texts, to standard error.
    """

    deterministic: Annotated[bool, Parameter(negative="")] = False
    strict: Annotated[bool, Parameter(negative="")] = False
    api_key: Annotated[tuple[str, ...], Parameter(negative="")] = ()
    metrics_key: Annotated[bool, Parameter(negative="")] = False
    metrics_names: Literal["own", "tei"] = "own"
    warmup: Literal["first", "background"] = "first"
    drain_seconds: float = Habits.drain_seconds
    otlp_endpoint: str | None = None
    access_log: bool = True
