"""What a server is started with: its limits and habits, each with the reason for its default."""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What is refused before any work is done for it.

    Attributes:
        body_bytes: Most bytes of a request's body, after decompression; 2,048 texts of 8,000 characters fit.
        body_seconds: Longest time in which a body must arrive, so that slow senders hold no connection for ever.
        items: Most texts of a request; OpenAI's own limit.
        request_tokens: Most tokens of a request after truncation; OpenAI's own limit.
        queued_tokens: Most tokens that wait for the device; more are refused with 429.
        queue_seconds: Longest time a request waits for the device. One that would wait longer, by the throughput of the
            last calls, is refused with 429; one that did, with 503. Half of the minute after which proxies give up.
        requests: Most requests that are being worked on or wait; TEI's own limit.
    """

    body_bytes: int = 20_000_000
    body_seconds: float = 30.0
    items: int = 2048
    request_tokens: int = 300_000
    queued_tokens: int = 600_000
    queue_seconds: float = 30.0
    requests: int = 512


@dataclasses.dataclass(frozen=True, kw_only=True)
class Habits:
    """How requests are answered.

    Attributes:
        deterministic: Whether each request is packed by itself, so that its bits are those of the library.
        strict: Whether unknown fields of a request are refused; clients of OpenAI add some.
        api_keys: Keys of which each request must bring one; none are asked for where it is empty.
        open_metrics: Whether `/metrics` is answered without a key.
        metrics_names: Whose names the metrics have; "tei" keeps the dashboards of Text Embeddings Inference.
        max_failures: Device calls that fail one after another before the server gives up and exits.
        stall_seconds: Longest time of a device call before the device is taken for hung and the server exits.
        drain_seconds: Longest time in which the requests that are there are finished after SIGTERM.
    """

    deterministic: bool = False
    strict: bool = False
    api_keys: tuple[str, ...] = ()
    open_metrics: bool = True
    metrics_names: Literal["own", "tei"] = "own"
    max_failures: int = 3
    stall_seconds: float = 300.0
    drain_seconds: float = 20.0
