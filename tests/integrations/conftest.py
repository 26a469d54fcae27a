"""What the tests of the adapters share: no network, no telemetry, and asynchronous tests without a plugin."""

import asyncio
import inspect
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

# Read when the libraries are imported. Haystack's would write into the home folder, too.
os.environ["ANONYMIZED_TELEMETRY"] = "False"
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # of DSPy and BERTopic; it fetches a list of prices otherwise

import numpy as np
import pytest

QUERY, DOCUMENT = "Represent the question: ", "Represent the note: "
TEXTS = ["a red cat", "the blue river runs", "stone", "birds over a house"]
CLOSE = 2e-6  # of float32 vectors of one text in different company


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs this folder's asynchronous tests, those of langchain-tests among them, each in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuses connections to other machines and name look-ups, and fails the test that tried one."""
    tried: list[Any] = []
    connect = socket.socket.connect

    def checked(own: socket.socket, address: Any) -> None:
        if own.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1"):
            tried.append(address)
            raise OSError(f"no network in tests: {address}")
        connect(own, address)

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        if host in ("localhost", "127.0.0.1", "::1", None):
            return found(host, *arguments, **options)
        tried.append(host)
        raise socket.gaierror(f"no network in tests: {host}")

    found = socket.getaddrinfo
    monkeypatch.setattr(socket.socket, "connect", checked)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield
    assert tried == []


@pytest.fixture(scope="session")
def truth(tiny_folder: Path) -> Callable[..., np.ndarray]:
    """Vectors of the model itself, under an instruction."""
    from instructor_jax import Instructor

    model = Instructor.from_pretrained(tiny_folder, devices="cpu:0")

    def vectors(texts: list[str], instruction: str, **options: Any) -> np.ndarray:
        return model.encode(texts, instruction=instruction, **options)

    return vectors


@pytest.fixture
def free_loop(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]:
    """Awaits a call whose computation goes on only once the event loop has run other work meanwhile."""
    from instructor_jax.integrations.two_sided import TwoSidedEmbedder

    computing, other_work = threading.Event(), threading.Event()
    vectors = TwoSidedEmbedder.vectors

    def waits(self: TwoSidedEmbedder, texts: Any, side: Any) -> Any:
        computing.set()
        assert other_work.wait(20), "the event loop was blocked while vectors were computed"
        return vectors(self, texts, side)

    async def awaited(call: Callable[[], Awaitable[Any]]) -> Any:
        monkeypatch.setattr(TwoSidedEmbedder, "vectors", waits)
        task = asyncio.ensure_future(call())
        while not computing.is_set():
            await asyncio.sleep(0.001)
        other_work.set()
        return await task

    return awaited
