"""Load for the server by the standard library alone, so that the client takes as little of the machine as can be.

A closed loop sends the next request when the last one is answered; an open one sends at its own pace, whatever happens.
"""

import asyncio
import http.client
import json
import threading
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

_HEADERS = {"content-type": "application/json"}
_PATIENCE = 120.0  # seconds after which a request counts as hung


def closed_loop(url: str, bodies: list[dict[str, Any]], workers: int) -> dict[str, Any]:
    """Sends all bodies, so many at a time.

    Returns:
        Seconds in all, and milliseconds of each request.

    Raises:
        RuntimeError: A request was not answered with 200.
    """
    contents = [json.dumps(body).encode() for body in bodies]
    waiting = iter(range(len(contents)))
    taken = threading.Lock()
    milliseconds = [0.0] * len(contents)
    wrong: list[str] = []

    def work() -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_PATIENCE)
        while True:
            with taken:
                index = next(waiting, None)
            if index is None or wrong:
                return
            began = time.perf_counter()
            connection.request("POST", "/v1/embeddings", contents[index], _HEADERS)
            answer = connection.getresponse()
            content = answer.read()
            milliseconds[index] = (time.perf_counter() - began) * 1000
            if answer.status != 200:
                wrong.append(f"{answer.status}: {content[:200]!r}")

    threads = [threading.Thread(target=work) for _ in range(workers)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise RuntimeError(wrong[0])
    return {"seconds": time.perf_counter() - began, "milliseconds": milliseconds}


def open_loop(url: str, bodies: list[dict[str, Any]], per_second: float, seconds: float) -> dict[str, Any]:
    """Sends so many requests a second, each by a connection of its own.

    Returns:
        How often each status came, "hung" among them; texts answered a second; the 99th percentile of the answers.
    """
    return asyncio.run(_open_loop(urlsplit(url).netloc, bodies, per_second, seconds))


async def _open_loop(place: str, bodies: list[dict[str, Any]], per_second: float, seconds: float) -> dict[str, Any]:
    requests = []
    for body in bodies:
        content = json.dumps(body).encode()
        head = f"POST /v1/embeddings HTTP/1.1\r\nhost: {place}\r\nconnection: close\r\ncontent-length: {len(content)}"
        requests.append((f"{head}\r\ncontent-type: application/json\r\n\r\n".encode() + content, len(body["input"])))
    statuses: Counter[str] = Counter()
    taken: list[float] = []
    texts = 0
    host, _, port = place.rpartition(":")

    async def send(request: bytes, count: int) -> None:
        nonlocal texts
        began = time.perf_counter()
        try:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(request)
                status = (await reader.readline()).split()[1].decode()
                await reader.read()
                writer.close()
        except TimeoutError:
            status = "hung"
        except (OSError, IndexError) as error:
            status = type(error).__name__
        statuses[status] += 1
        if status == "200":
            taken.append(time.perf_counter() - began)
            texts += count

    began = time.perf_counter()
    tasks: set[asyncio.Task[None]] = set()
    sent = 0
    while (passed := time.perf_counter() - began) < seconds:
        while sent < passed * per_second:
            task = asyncio.create_task(send(*requests[sent % len(requests)]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            sent += 1
        await asyncio.sleep(0.005)
    await asyncio.gather(*tasks)
    return {
        "statuses": dict(statuses),
        "texts_per_second": texts / (time.perf_counter() - began),
        "p99_seconds": sorted(taken)[int(0.99 * len(taken))] if taken else 0.0,
    }
