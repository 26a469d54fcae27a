"""What every request passes before its route: keys, the bounded reading of its body, one shape of errors, the log."""

import asyncio
import hmac
import json
import logging
import time
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from instructor_jax.server.device.failures import ClientGone
from instructor_jax.server.refusals import Refusal, dialect_of, error_body, in_dialect
from instructor_jax.server.service import Service
from instructor_jax.server.tracing import Tracer

logger: logging.Logger = logging.getLogger(__name__)
access: logging.Logger = logging.getLogger("instructor_jax.server.access")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_OPEN = ("/health", "/health/live", "/health/ready", "/ping")  # probes of clusters bring no key
_HELD_BODIES = 16  # as many of the largest size may be held at a time; more would fill the memory


class Guard:
    """The outermost layer of the application: nothing that it wraps can end without an answer.

    Args:
        app: What answers.
        service: Limits, keys and metrics.
        tracer: What writes spans, where they are wanted.
    """

    def __init__(self, app: App, service: Service, tracer: Tracer | None = None) -> None:
        self._app, self._service, self._tracer = app, service, tracer
        self._keys = [key.encode() for key in service.habits.api_keys]
        self._held = 0  # bytes of bodies whose requests are not answered yet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, and writes one line about it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status = held = 0

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._service.draining:
                    message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
            await send(message)

        try:
            self._check_key(scope)
            body = await self._body(scope, receive)
            held = len(body)
            self._held += held
            await self._app(scope, _replayed(body, receive), watched)
        except Refusal as refusal:
            await _refuse(refusal, scope["path"], watched)
        except ClientGone:
            status = 499
        except asyncio.CancelledError:  # the time for finishing after SIGTERM is over
            if not status:
                await _refuse(
                    Refusal(503, "the server ended before it was done; ask another one."), scope["path"], watched
                )
        except Exception:  # a fault of ours: told in the log alone
            logger.exception("a request to %s failed", scope["path"])
            if not status:
                await _refuse(
                    Refusal(500, "the server failed on this request; its log says why."), scope["path"], watched
                )
        finally:
            self._held -= held
            self._told(scope, status, time.monotonic() - began)

    def _check_key(self, scope: Scope) -> None:
        path = scope["path"]
        page = path == "/" and scope["method"] in ("GET", "HEAD")  # it asks for the key itself
        if not self._keys or path in _OPEN or page or (path == "/metrics" and self._service.habits.open_metrics):
            return
        given = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, key = given.partition(b" ")
        # every key is compared, in constant time, so that the time tells neither which nor how far one matched
        matches = [hmac.compare_digest(key.strip(), known) for known in self._keys]
        if scheme.lower() != b"bearer" or not any(matches):
            raise Refusal(401, "this server asks for a key: Authorization: Bearer KEY.", code="invalid_api_key")

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        limits = self._service.limits
        headers = dict(scope["headers"])
        try:
            announced = int(headers.get(b"content-length", b"0"))
        except ValueError:
            raise Refusal(400, "content-length is no number.") from None
        if announced > limits.body_bytes:
            raise _too_large(limits.body_bytes)
        inflate = _Inflater(headers.get(b"content-encoding", b"").strip().lower())
        body = bytearray()
        try:
            async with asyncio.timeout(limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    body += inflate(message.get("body", b""), limits.body_bytes - len(body) + 1)
                    if len(body) > limits.body_bytes:
                        raise _too_large(limits.body_bytes)
                    if self._held + len(body) > _HELD_BODIES * limits.body_bytes:
                        raise Refusal(429, "too many large requests at a time; try again.", retry_after=1)
                    if not message.get("more_body", False):
                        break
                inflate.check_end()
        except TimeoutError:
            raise Refusal(408, f"the body did not arrive within {limits.body_seconds:g} s.") from None
        except zlib.error:
            raise Refusal(400, "the body is no gzip, as content-encoding says.") from None
        return bytes(body)

    def _told(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self._service.metrics.answered(route, status or 499, seconds)
        if self._tracer is not None:
            self._tracer.answered(scope, status or 499, seconds)
        probe = scope["path"] in (*_OPEN, "/metrics") and status < 400  # asked every few seconds; would hide the rest
        if access.isEnabledFor(logging.INFO) and not probe:
            client = scope.get("client")
            line = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "method": scope["method"],
                "path": scope["path"][:200],
                "status": status or 499,  # nginx's number for a client that went away
                "ms": round(seconds * 1000, 2),
                "client": client[0] if client else None,
                **scope.get("told", {}),
            }
            access.info(json.dumps(line))


def _too_large(most: int) -> Refusal:
    return Refusal(413, f"the body has more than {most:,} bytes; send fewer or shorter texts.")


class _Inflater:
    """Undoes a body's compression piece by piece, never beyond what is still allowed.

    Args:
        encoding: What the request says of its body.

    Raises:
        Refusal: 415 for an encoding other than gzip.
    """

    def __init__(self, encoding: bytes) -> None:
        if encoding not in (b"", b"identity", b"gzip"):
            raise Refusal(415, "content-encoding must be gzip, or left out.")
        self._machine = zlib.decompressobj(wbits=31) if encoding == b"gzip" else None

    def __call__(self, data: bytes, most: int) -> bytes:
        """Returns at most `most` bytes of the next piece."""
        return data if self._machine is None else self._machine.decompress(data, most)

    def check_end(self) -> None:
        """Refuses what is cut off, and what follows the end."""
        if self._machine is not None and (not self._machine.eof or self._machine.unused_data):
            raise zlib.error("not one whole gzip member")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Returns a `receive` that gives the body that was read, then what the connection says, such as its end."""
    given = False

    async def replay() -> MutableMapping[str, Any]:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay


async def _refuse(refusal: Refusal, path: str, send: Send) -> None:
    dialect = dialect_of(path)
    refusal = in_dialect(refusal, dialect)
    body = orjson.dumps(error_body(refusal, dialect))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
