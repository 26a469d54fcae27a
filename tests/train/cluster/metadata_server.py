"""Google's metadata server as a TPU VM sees it: some attributes of the instance, over HTTP, on this machine."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PATH = "/computeMetadata/v1/instance/attributes/"


def attributes(worker: int, workers: int, host: str = "localhost") -> dict[str, str]:
    """What the server says on one of the hosts of a slice; endpoints in the older form, `name:number:address`."""
    endpoints = ",".join(f"t1v-n-0-w-{index}:{index}:{host}" for index in range(workers))
    return {
        "agent-worker-number": str(worker),
        "worker-network-endpoints": endpoints,
        "tpu-env": "ACCELERATOR_TYPE: 'v5litepod-16'\nZONE: 'us-west4-a'\n",
    }


@contextmanager
def metadata_server(values: Mapping[str, str]) -> Iterator[str]:
    """Serves attributes; gives the address, for GCE_METADATA_IP. It answers only those who send Google's header."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            value = values.get(self.path.removeprefix(_PATH)) if self.headers["Metadata-Flavor"] == "Google" else None
            self.send_response(404 if value is None else 200)
            self.end_headers()
            self.wfile.write((value or "").encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
