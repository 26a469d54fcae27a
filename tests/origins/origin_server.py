"""A server of files for tests: ranges, cut connections, busy answers and absent files as they come in the world."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class OriginServer:
    """What the server has and how it behaves.

    Attributes:
        files: content by path.
        ranges: whether it answers range requests.
        cut_after: bytes after which each connection breaks; None for never.
        busy: how many requests are answered by 503 before one is served.
        requests: path and range of every request so far.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.cut_after: int | None = None
        self.busy = 0
        self.requests: list[tuple[str, str | None]] = []
        self.agents: set[str] = set()
        self.address = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answers one request."""
        asked = request.headers.get("Range")
        self.requests.append((request.path, asked))
        self.agents.add(request.headers.get("User-Agent", ""))
        if self.busy:
            self.busy -= 1
            request.send_response(503)
            request.send_header("Retry-After", "7")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        content = self.files.get(request.path)
        if content is None:
            request.send_error(404)
            return
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        if first and first >= len(content):
            request.send_response(416)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if first else 200)
        if first:
            request.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Length", str(len(content) - first))
        request.end_headers()
        sent = content[first:]
        request.wfile.write(sent if self.cut_after is None else sent[: self.cut_after])
        request.close_connection = True


@contextlib.contextmanager
def serving() -> Iterator[OriginServer]:
    """A running server."""
    origin = OriginServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):
                origin.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    origin.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield origin
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
