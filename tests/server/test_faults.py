"""What goes wrong and how it is told: the documented status, no traceback to a client, and nothing lost silently."""

import concurrent.futures
import gzip
import json
import socket
import threading
import time

import httpx
import numpy as np
import pytest

KEYS = ("first-key", "second-key")


def post(server, content, **headers):
    headers = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return server.client.post("/v1/embeddings", content=content, headers=headers)


def until(condition, seconds=30.0):
    """Waits for something that another thread does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def failures(server, kind):
    """How many requests the metrics count as failed in this way."""
    lines = server.client.get("/metrics").text.splitlines()
    start = f'instructor_failures_total{{err="{kind}"}}'
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(start))


class Gate:
    """Holds every device call until it is opened, so that a test sees what waits meanwhile."""

    def __init__(self, server):
        self.engine, self.open, self.calls = server.model.engine, threading.Event(), 0
        server.model.run = self

    def __call__(self, batch):
        self.calls += 1
        assert self.open.wait(60)
        return self.engine.embed(batch)


# --- too large, too slow, too much ---


def test_a_body_of_50_megabytes(server):
    answer = post(server, b" " * 50_000_000)
    assert answer.status_code == 413
    assert "20,000,000" in answer.json()["error"]["message"]
    chunks = (b" " * 1_000_000 for _ in range(50))  # of a length that is not announced
    assert post(server, chunks).status_code == 413
    server.embed(input="a")


@pytest.mark.slow
def test_an_item_of_10_megabytes_is_cut(server):
    answer = server.embed(input=["word " * 2_000_000], return_info=True)
    assert answer["truncated"] == [True]


def test_a_gzip_bomb(server):
    bomb = gzip.compress(b'{"input": "' + b"a" * 100_000_000 + b'"}', compresslevel=9)
    assert len(bomb) < 200_000
    assert post(server, bomb, content_encoding="gzip").status_code == 413


@pytest.mark.parametrize(
    ("content", "encoding", "status"),
    [
        (b"no gzip", "gzip", 400),
        (gzip.compress(b'{"input": "a"}')[:-4], "gzip", 400),
        (gzip.compress(b'{"input": "a"}') * 2, "gzip", 400),
        (b'{"input": "a"}', "br", 415),
    ],
    ids=["none", "cut", "two", "brotli"],
)
def test_compressed_bodies_that_are_wrong(server, content, encoding, status):
    answer = post(server, content, content_encoding=encoding)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_a_slow_body(starts):
    server = starts(body_seconds=0.3)
    port = httpx.URL(server.url).port
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/embeddings HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"content-length: 100\r\n\r\n{"
        )
        answer = b""
        while piece := connection.recv(65536):  # until the server closes
            answer += piece
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.lower()


def test_more_tokens_than_a_request_may_have(starts):
    server = starts(request_tokens=100)
    assert "100" in server.embed(413, input=["word " * 60] * 3)["error"]["message"]
    server.embed(input="word " * 60)


def test_overload_is_refused_until_there_is_room(starts):
    server = starts(queued_tokens=300)
    server.embed(input="warm")
    gate = Gate(server)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        first = [pool.submit(server.embed, input="word " * 100)]
        until(lambda: gate.calls)
        waiting = [pool.submit(server.embed, input="word " * 100) for _ in range(2)]
        until(lambda: server.service.queued_tokens > 200)
        answer = server.client.post("/v1/embeddings", json={"input": "word " * 200})
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert answer.json()["error"]["type"] == "rate_limit_error"
        assert server.client.post("/embed", json={"inputs": "word " * 200}).json()["error_type"] == "overloaded"
        assert failures(server, "overloaded") == 2
        gate.open.set()
        for request in first + waiting:
            assert request.result()["data"]
    server.embed(input="word " * 200)


def test_a_full_server_refuses_before_it_tokenises(starts, monkeypatch):
    server = starts(queued_tokens=400)
    server.embed(input="word " * 100)
    gate = Gate(server)
    seen, tokenizer = [], type(server.model.engine.tokenizer)
    real = tokenizer.__call__
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        first = pool.submit(server.embed, input="word " * 100)
        until(lambda: gate.calls)
        waiting = pool.submit(server.embed, input="word " * 100)
        until(lambda: server.service.queued_tokens > 100)
        monkeypatch.setattr(tokenizer, "__call__", lambda self, pairs: seen.append(pairs) or real(self, pairs))
        server.embed(429, input=["word " * 100] * 4)
        assert not seen
        # a text of 5,000 words will be cut to the model's 256 tokens, for which there is room
        assert server.model.max_length == 256
        long = pool.submit(server.embed, input="word " * 5000)
        until(lambda: seen)
        gate.open.set()
        for request in (first, waiting, long):
            assert request.result()["data"]


def test_what_would_wait_too_long_is_refused_at_once(starts, monkeypatch):
    server = starts(queue_seconds=20.0)
    server.embed(input="warm")
    gate = Gate(server)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(server.embed, input="word " * 100)
        until(lambda: gate.calls)
        waiting = pool.submit(server.embed, input="word " * 100)
        until(lambda: server.service.queued_tokens > 100)
        monkeypatch.setattr(type(server.service.worker.work), "capacity", property(lambda self: 4.0))
        answer = server.client.post("/v1/embeddings", json={"input": "word"})
        assert answer.status_code == 429  # more than 100 tokens at 4 a second are 25 s
        assert answer.headers["retry-after"] == "26"
        gate.open.set()
        for request in (first, waiting):
            assert request.result()["data"]


def test_as_many_requests_at_a_time_as_are_allowed(starts):
    server = starts(requests=1)
    server.embed(input="warm")
    gate = Gate(server)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(server.embed, input="a")
        until(lambda: gate.calls)
        assert server.client.post("/v1/embeddings", json={"input": "b"}).status_code == 429
        gate.open.set()
        first.result()


def test_texts_that_waited_too_long(starts):
    server = starts(queue_seconds=0.1)
    server.embed(input="warm")
    gate = Gate(server)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        # two takes may be on their way to the device; what comes behind them waits
        begun = []
        for count in (1, 1):
            begun.append(pool.submit(server.embed, input="a"))
            until(lambda count=count: gate.calls >= count)
        time.sleep(0.1)
        late = pool.submit(server.client.post, "/v1/embeddings", json={"input": "b"})
        until(lambda: server.service.requests == 3)
        time.sleep(0.3)
        gate.open.set()
        answer = late.result()
        assert begun[0].result()["data"]
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert failures(server, "late") >= 1


def test_a_client_that_goes_leaves_the_queue(starts):
    server = starts()
    server.embed(input="warm")
    gate = Gate(server)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(server.embed, input="a")
        until(lambda: gate.calls)
        with pytest.raises(httpx.ReadTimeout):
            server.client.post("/v1/embeddings", json={"input": ["b"] * 50}, timeout=0.5)
        until(lambda: server.service.requests == 1)
        gate.open.set()
        first.result()
    until(lambda: not server.service.queued_tokens)
    before = server.service.worker.work.texts
    server.embed(input="c")
    assert server.service.worker.work.texts == before + 1
    assert before == 2, "the texts of the client that went were computed"
    assert failures(server, "client_gone") == 1


# --- the device ---


class Failing:
    """A device that fails on chosen calls."""

    def __init__(self, server, fails):
        self.engine, self.fails, self.calls = server.model.engine, fails, 0
        server.model.run = self

    def __call__(self, batch):
        self.calls += 1
        if self.fails(self.calls, batch):
            raise RuntimeError("RESOURCE_EXHAUSTED: injected at /secret/place")
        return self.engine.embed(batch)


def test_a_device_error_that_passes_is_not_seen(starts, library):
    server = starts()
    device = Failing(server, lambda call, batch: call == 1)
    texts = ["a", "b", "c"]
    found = [one["embedding"] for one in server.embed(input=texts)["data"]]
    np.testing.assert_allclose(found, library.encode(texts), atol=2e-6)
    assert device.calls == 4
    assert server.service.worker.work.retried == 3
    assert server.client.get("/health").status_code == 200


def poison_of(server):
    """The first token of a text that the device cannot compute."""
    tokenizer = server.model.engine.tokenizer
    other, poisoned = tokenizer._token_ids(["text", "zebra"])
    return next(token for token in poisoned if token not in other)  # some tokenizers begin every text alike


def test_a_poisoned_text_fails_alone_however_often_it_is_sent(starts):
    server = starts()
    server.embed(input="warm")
    poison = poison_of(server)
    device = Failing(server, lambda call, batch: bool((batch.tokens == poison).any()))
    gate = threading.Event()
    run = server.model.run
    server.model.run = lambda batch: (gate.wait(60), run(batch))[1]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        good = [pool.submit(server.embed, input=f"text {k}") for k in range(3)]
        bad = pool.submit(server.embed, 500, input=["fine", "zebra"])
        time.sleep(0.2)
        gate.set()
        assert all(one.result()["data"] for one in good)
        message = bad.result()["error"]["message"]
    assert "text 1" in message
    assert "secret" not in message
    for _ in range(8):  # as a client does that tries again and again
        server.embed(500, input="zebra")
    assert server.service.broken is None
    assert server.client.get("/health").status_code == 200
    server.embed(input="fine")
    assert device.calls > 8


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_device_that_fails_for_ever_ends_the_server(starts, deterministic):
    server = starts(deterministic=deterministic)
    server.embed(input="warm")
    Failing(server, lambda call, batch: True)
    answers = []
    for _ in range(3):
        answers.append(server.client.post("/v1/embeddings", json={"input": "a"}).status_code)
    assert answers == [500] * 3
    until(lambda: server.service.broken)
    assert server.service.unready()
    until(lambda: not server.thread.is_alive())
    with pytest.raises(httpx.TransportError):
        server.client.get("/health")


@pytest.mark.parametrize("deterministic", [False, True])
def test_weights_that_give_no_numbers(starts, deterministic):
    server = starts(deterministic=deterministic)
    engine = server.model.engine
    server.model.run = lambda batch: engine.embed(batch) * np.float32("nan")
    answer = server.embed(500, input=["a", "b"])
    assert "not finite" in answer["error"]["message"]
    server.client.post("/v1/embeddings", json={"input": "a"})
    server.client.post("/v1/embeddings", json={"input": "a"})
    until(lambda: server.service.broken)
    assert "not finite" in server.service.broken


def test_one_text_without_numbers_fails_alone(starts):
    server = starts()
    engine, poison = server.model.engine, poison_of(server)

    def run(batch):
        vectors = np.array(engine.embed(batch))
        for group, row in zip(*np.nonzero((batch.tokens == poison).any(axis=2)), strict=True):
            segments = batch.segments[group, row][batch.tokens[group, row] == poison]
            for slot, place in enumerate(batch.slots[group].tolist()):
                if place in [row * batch.segments_per_row + segment for segment in segments.tolist()]:
                    vectors[group, slot] = np.nan
        return vectors

    server.model.run = run
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        good = [pool.submit(server.embed, input=f"text {k}") for k in range(3)]
        bad = pool.submit(server.embed, 500, input=["fine", "zebra"])
        assert all(one.result()["data"] for one in good)
        assert "text 1 is not finite" in bad.result()["error"]["message"]
    assert server.service.broken is None


def test_a_hanging_device_is_unhealthy(starts):
    server = starts(stall_seconds=0.2)
    gate = Gate(server)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        request = pool.submit(server.client.post, "/v1/embeddings", json={"input": "a"})
        until(lambda: server.service.stalled())
        for path in ("/health", "/health/live", "/health/ready"):
            assert server.client.get(path).status_code == 503
        gate.open.set()
        request.result()
    assert server.client.get("/health/live").status_code == 200


# --- states, keys, habits ---


def test_a_server_that_shuts_down_takes_nothing_more(starts):
    server = starts()
    server.service.draining = True
    answer = server.client.post("/v1/embeddings", json={"input": "a"})
    assert answer.status_code == 503
    assert answer.headers["connection"] == "close"
    assert "retry-after" in answer.headers
    assert server.client.get("/health/ready").status_code == 503
    assert server.client.get("/health/live").status_code == 200


def test_a_server_that_compiles_is_not_ready(starts):
    server = starts()
    server.service.warm = False
    assert server.client.get("/health/live").status_code == 200
    answer = server.client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json() == {"error": "the model is being compiled", "error_type": "unhealthy"}


def test_keys(starts):
    server = starts(api_keys=KEYS)

    def status(path="/v1/models", **headers):
        return server.client.get(path, headers=headers).status_code

    assert [status(authorization=f"Bearer {key}") for key in KEYS] == [200, 200]
    for wrong in ("Bearer first", "Bearer", "Basic first-key", "first-key", "Bearer first-keyy", b"Bearer \xe9"):
        assert status(authorization=wrong) == 401
    answer = server.client.post("/embed", json={"inputs": "a"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert server.client.post("/", json={"inputs": "a"}).status_code == 401
    for path in ("/health", "/health/live", "/health/ready", "/metrics", "/"):  # the page asks for the key itself
        assert status(path) == 200
    assert "first-key" not in server.client.get("/metrics").text


def test_metrics_may_ask_for_a_key_too(starts):
    server = starts(api_keys=KEYS, open_metrics=False)
    assert server.client.get("/metrics").status_code == 401
    assert server.client.get("/metrics", headers={"authorization": "Bearer second-key"}).status_code == 200


def test_a_strict_server_refuses_unknown_fields(starts):
    server = starts(strict=True)
    assert server.embed(400, input="a", seed=3)["error"]["param"] == "seed"
    server.embed(input="a", user="somebody")


def test_texts_are_not_logged(server, caplog):
    with caplog.at_level("INFO", "instructor_jax.server.access"):
        server.embed(input="a secret text")
        until(lambda: caplog.messages)  # written once the answer is sent
    line = json.loads(caplog.messages[0])
    assert line["path"] == "/v1/embeddings"
    assert line["texts"] == 1
    assert "secret" not in str(line)
