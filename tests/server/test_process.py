"""The real command as a process: what it prints, how it ends, and what it says where it cannot start."""

import concurrent.futures
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

SERVE = (sys.executable, "-m", "instructor_jax", "serve")
# One device, as on a user's machine; programs that another test compiled are taken from the shared cache.
ENVIRONMENT = {**os.environ, "XLA_FLAGS": "", "PYTHONUNBUFFERED": "1"}


class Process:
    """The command, with what it prints."""

    def __init__(self, *options: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            (*SERVE, "--port", "0", *options),
            env={**ENVIRONMENT, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.errors: list[str] = []
        assert self.process.stderr is not None
        threading.Thread(target=self.errors.extend, args=(self.process.stderr,), daemon=True).start()

    def url(self) -> str:
        """The address that it prints once it listens."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://localhost:\d+", line)
        assert found, (line, self.errors)
        return found[0]

    def lines(self, count: int) -> list[str]:
        """The next lines that it prints."""
        assert self.process.stdout is not None
        return [self.process.stdout.readline() for _ in range(count)]


@pytest.fixture
def starts() -> Iterator[Callable[..., Process]]:
    """Starts the command; it ends with the test."""
    running: list[Process] = []

    def start(*options: str, **environment: str) -> Process:
        running.append(Process(*options, **environment))
        return running[-1]

    yield start
    for one in running:
        one.process.kill()
        one.process.wait(30)


def wait_for_the_device(client: httpx.Client) -> None:
    """Waits until the first call is done."""
    end = time.monotonic() + 240  # programs are compiled first, on a machine that others use
    while "instructor_device_calls_total 0.0" in client.get("/metrics").text:
        assert time.monotonic() < end
        time.sleep(0.01)


def refused(*options: str, **environment: str) -> str:
    """The one line with which the command ends."""
    done = subprocess.run(
        (*SERVE, *options), env={**ENVIRONMENT, **environment}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert not done.stdout
    return line


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_it_says_where_it_listens_and_finishes_what_is_there(starts):
    server = starts(
        "--warmup",
        "background",
        "--alias",
        "docs=Represent the document: ",
        "--api-key",
        "abc",
        "--drain-seconds",
        "120",
    )
    url = server.url()
    model, alias, curl = server.lines(3)
    assert "instructor-jax-default: 384 dimensions" in model
    assert "instructor-jax-default/docs" in alias
    assert "curl -s" in curl
    with httpx.Client(base_url=url, timeout=300, trust_env=False, headers={"authorization": "Bearer abc"}) as client:
        assert client.get("/health/live").status_code == 200
        large = [f"text {k} " * (k % 12 + 1) for k in range(300)]
        client.post("/embed", json={"inputs": large[:40]}).raise_for_status()
        stop = threading.Event()
        statuses: list[int] = []

        def load() -> None:
            while not stop.is_set():
                try:
                    statuses.append(client.post("/embed", json={"inputs": large[:3]}).status_code)
                except httpx.TransportError:  # the port is closed, or was while the request was on its way
                    return

        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            waits = pool.submit(client.post, "/v1/embeddings", json={"input": large})
            loads = [pool.submit(load) for _ in range(4)]
            try:
                while "instructor_queue_requests 0.0" in client.get("/metrics").text:
                    assert not waits.done(), "the large request was too fast for this test"
                server.process.send_signal(signal.SIGTERM)
                answer = waits.result()
            finally:
                stop.set()
            for one in loads:
                one.result()
    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 300
    assert set(statuses) <= {200, 503}
    assert server.process.wait(60) == 0
    log = [json.loads(line) for line in server.errors if line.startswith("{")]
    assert {"time", "method", "path", "status", "ms", "texts"} <= set(log[-1]) | {"texts"}
    assert not [line for line in server.errors if "Traceback" in line]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_second_signal_ends_it_at_once(starts):
    server = starts("--warmup", "background")
    url = server.url()
    client = httpx.Client(base_url=url, timeout=300, trust_env=False)
    with client, concurrent.futures.ThreadPoolExecutor(1) as pool:
        waits = pool.submit(client.post, "/embed", json={"inputs": ["word " * 200] * 1200})
        wait_for_the_device(client)
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0
        with contextlib.suppress(httpx.TransportError):  # closed before that could be said
            assert waits.result().status_code == 503


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_what_cannot_be_finished_in_time_is_told_so(starts):
    server = starts("--warmup", "background", "--drain-seconds", "1")
    client = httpx.Client(base_url=server.url(), timeout=300, trust_env=False)
    with client, concurrent.futures.ThreadPoolExecutor(1) as pool:
        waits = pool.submit(client.post, "/embed", json={"inputs": ["word " * 250] * 1000})
        wait_for_the_device(client)
        server.process.send_signal(signal.SIGTERM)
        answer = waits.result()
    assert answer.status_code == 503
    assert "ended" in answer.json()["error"]
    assert server.process.wait(30) == 0


@pytest.mark.slow
def test_a_port_in_use(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused("--port", str(port))
    assert f"cannot listen on 127.0.0.1:{port}" in line
    assert "--port" in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--port", "65536"), "--port"),
        (("--max-items", "0"), "--max-items"),
        (("--max-queue-seconds", "-1"), "--max-queue-seconds"),
        (("--alias", "no instruction"), "--alias"),
        (("--alias", "a=x", "--alias", "a=y"), "twice"),
        (("--api-key", "two words"), "--api-key"),
        (("--device", "cuda:9"), "device"),
        (("/no/such/folder",), "/no/such/folder"),
        (("--warmup", "never"), "--warmup"),
        (("--host", "no.such.host.invalid"), "no.such.host.invalid"),
    ],
)
def test_options_that_cannot_be(options, said, capsys):
    from instructor_jax.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["serve", "--port", "0", "--no-access-log", *options])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert said in line


def test_an_extra_that_is_missing_is_named(tmp_path):
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('No module', name='uvicorn')")
    line = refused(PYTHONPATH=str(tmp_path))
    assert "pip install 'instructor-jax[serve]'" in line
    assert "uvicorn" in line
