"""A server in a thread of the test's process, over the packaged model or a tiny one, on a free port of loopback."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

import httpx
import uvicorn

from instructor_jax import Instructor
from instructor_jax.server.app import create_app
from instructor_jax.server.options import ServedOptions
from instructor_jax.server.service import Service
from instructor_jax.server.settings import Habits, Limits
from instructor_jax.server.startup import load_models, parse_aliases

ALIASES = ("docs=Represent the document for retrieval: ", "topics=Represent the sentence for clustering: ")


@dataclasses.dataclass
class Running:
    """A server that answers.

    Attributes:
        url: Its address.
        service: What it answers from.
        client: A plain HTTP client.
        thread: Where it runs.
    """

    url: str
    service: Service
    client: httpx.Client
    thread: threading.Thread

    @property
    def model(self) -> Any:
        """The first model."""
        return self.service.models[0]

    def embed(self, status: int = 200, **body: Any) -> Any:
        """Posts to OpenAI's route, and returns the answer."""
        answer = self.client.post("/v1/embeddings", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()


def run(models: tuple[str, ...] = ("default",), served: Any = None, **settings: Any) -> Iterator[Running]:
    """Runs a server until the generator is closed."""
    known = {field.name for field in dataclasses.fields(Limits)}
    limits = Limits(**{key: value for key, value in settings.items() if key in known})
    habits = Habits(**{key: value for key, value in settings.items() if key not in known})
    served = served or ServedOptions(device=("cpu:0",))  # the eight of other tests would each compute for every text
    service = load_models(models, served, parse_aliases(ALIASES), limits, habits)
    service.start()
    service.warm = True
    config = uvicorn.Config(create_app(service), port=0, log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    service.when_broken = lambda: setattr(server, "should_exit", True)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        yield Running(url, service, client, thread)
    server.should_exit = True
    thread.join(30)
    service.stop()


@pytest.fixture(scope="package")
def server() -> Iterator[Running]:
    """A server of the packaged model with its default settings."""
    yield from run()


@pytest.fixture(scope="package")
def library() -> Instructor:
    """The library with the same model on the same device."""
    return Instructor.from_pretrained(devices="cpu:0")


@pytest.fixture
def starts() -> Iterator[Callable[..., Running]]:
    """Starts servers with settings of their own; they end with the test."""
    running: list[Iterator[Running]] = []

    def start(**settings: Any) -> Running:
        running.append(run(**settings))
        return next(running[-1])

    yield start
    for one in running:
        next(one, None)
