"""Opens the port, says where it listens, and shuts down in order: unready, finish what is there, exit."""

import asyncio
import logging
import os
import socket
import sys
import threading
from types import FrameType
from typing import Any

import uvicorn

from instructor_jax.io.printable import printable
from instructor_jax.server.middleware import App
from instructor_jax.server.service import Service
from instructor_jax.server.tracing import Tracer

logger: logging.Logger = logging.getLogger(__name__)

_WATCH_SECONDS = 1.0
_JOIN_SECONDS = 2.0  # the device's thread ends at once where nothing waits; a call that nobody awaits may take longer
_ABORTED = 1  # exit code after the device kept failing or hung, so that a supervisor starts the server again


class _Server(uvicorn.Server):
    """uvicorn's server, which tells the service of the signals that end it."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to shut down; a second signal ends the server at once."""
        self.force_exit = self.should_exit
        self.should_exit = self._service.draining = True

    def give_up(self) -> None:
        """Ends the server from any thread."""
        self._service.draining = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen, and says so."""
        await super().startup(sockets)
        for listening in sockets or ():
            _say_where(self._service, listening)
        self._watch = asyncio.ensure_future(self._watch_device())

    async def _watch_device(self) -> None:
        """Ends the process where a device call hangs: its thread cannot be stopped, and the port would look healthy."""
        while not self.should_exit:
            await asyncio.sleep(_WATCH_SECONDS)
            if self._service.stalled():
                logger.error("the server gives up: %s", self._service.stalled())
                sys.stderr.flush()
                os._exit(_ABORTED)


def run_server(
    app: App, service: Service, address: tuple[str, int], *, warm_first: bool, tracer: Tracer | None = None
) -> int:
    """Serves until a signal comes or the device keeps failing.

    Args:
        app: The application over the service.
        service: What answers.
        address: Host and port to listen on; port 0 takes a free one.
        warm_first: Whether the models are compiled before the port opens.
        tracer: What writes spans; it is closed at the end.

    Returns:
        The exit code.

    Raises:
        ValueError: The port cannot be had.
    """
    host, port = address
    listening = _listen(host, port)
    warming: threading.Thread | None = None
    try:
        service.start()
        if warm_first:
            _warm(service)
        else:
            warming = threading.Thread(target=_warm, args=(service,), name="instructor-jax-warmup", daemon=True)
            warming.start()
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=max(1, round(service.habits.drain_seconds)),
            timeout_keep_alive=75,  # longer than usual proxies keep theirs, so that none meets a closed connection
        )
        server = _Server(config, service)
        service.when_broken = server.give_up
        server.run(sockets=[listening])
    except OSError as error:  # another server began to listen while this one compiled
        raise _cannot_listen(host, port, error) from None
    finally:
        listening.close()
        service.stop()
        if tracer is not None:
            tracer.close()
    code = _ABORTED if service.broken else 0
    service.worker.join(_JOIN_SECONDS)
    if service.worker.is_alive() or (warming is not None and warming.is_alive()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # the interpreter would abort beside a thread that is inside the compiler or a device call
    return code


def _listen(host: str, port: int) -> socket.socket:
    """Returns a listening socket; taken before the models are compiled, so that a port in use is told at once."""
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(info[0], info[1])
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(info[4])
    except (OSError, UnicodeError) as error:
        raise _cannot_listen(host, port, error) from None
    return listening


def _cannot_listen(host: str, port: int, error: Exception) -> ValueError:
    return ValueError(f"cannot listen on {printable(host)}:{port}: {error}; choose another --port or --host")


def _warm(service: Service) -> None:
    try:
        for model in service.models:
            model.engine.warmup()
    except Exception as error:
        logger.exception("the model cannot be compiled")
        service.fail(f"the model cannot be compiled: {error}")
        return
    service.warm = True


def _say_where(service: Service, listening: socket.socket) -> None:
    host, port = listening.getsockname()[:2]
    address = f"http://{'localhost' if host in ('127.0.0.1', '::1') else host}:{port}"
    lines: list[Any] = [f"serving at {address} (OpenAI: {address}/v1, page: {address}/)"]
    for model in service.models:
        config = model.folder.config
        lines.append(
            f"model {model.name}: {config.embedding_dim} dimensions, at most {config.max_length} tokens, "
            f"{len(model.engine.devices)} device(s) of {model.engine.platform}"
        )
        lines += [f"  alias {model.name}/{alias}: {instruction}" for alias, instruction in model.aliases.items()]
    lines.append(
        f"try: curl -s {address}/v1/embeddings -H 'content-type: application/json' -d "
        """'{"input": "hello", "instruction": "Represent the sentence: "}'"""
    )
    for line in lines:
        print(printable(line), flush=True)
