"""From texts to vectors across threads: what lets a request in, tokenises it, queues it, and awaits its answer.

Three lanes: the event loop, which only moves bytes; a few threads that tokenise each request as soon as it is there,
so that the queue knows its true tokens; and the worker's thread, which feeds the device.
"""

import asyncio
import dataclasses
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from instructor_jax.server.admission import Admission, LateError
from instructor_jax.server.device.failures import BrokenVector, ClientGone, DeviceFailure
from instructor_jax.server.device.item import Item
from instructor_jax.server.device.jobs import Job
from instructor_jax.server.device.served_model import ServedModel
from instructor_jax.server.device.worker import DeviceWorker
from instructor_jax.server.metrics import Metrics
from instructor_jax.server.refusals import Refusal
from instructor_jax.server.settings import Habits, Limits
from instructor_jax.server.tokenizing import tokenized
from instructor_jax.text.batches import TokenizedTexts

logger: logging.Logger = logging.getLogger(__name__)

_TOKENIZE_THREADS = 2  # the tokenizers library is parallel by itself; two requests may overlap
_INLINE_CHARACTERS = 1000  # take less time than the way to another thread and back, which a lone request feels

Answer = TypeVar("Answer")


@dataclasses.dataclass(frozen=True)
class Embedded:
    """What the device made of a request.

    Attributes:
        result: Vectors [texts, dim], or what the work done in one piece returned.
        texts: Token ids of the request's texts.
        tokenize_seconds: Time of the tokenizer.
        queue_seconds: Time before the device took the first text.
        device_seconds: Time from then to the answer.
    """

    result: Any
    texts: TokenizedTexts
    tokenize_seconds: float
    queue_seconds: float
    device_seconds: float


class Service:
    """All models, one device thread, and the state of the server.

    Args:
        models: What is served; their queues must notify `arrived`.
        arrived: The condition of the queues.
        limits: What is refused.
        habits: How requests are answered.
        metrics: What is counted.
    """

    def __init__(
        self,
        models: list[ServedModel],
        arrived: threading.Condition,
        limits: Limits,
        habits: Habits,
        metrics: Metrics,
    ) -> None:
        self.models: list[ServedModel] = models
        self.limits: Limits = limits
        self.habits: Habits = habits
        self.metrics: Metrics = metrics
        self.worker: DeviceWorker = DeviceWorker(models, arrived, habits.max_failures, self.fail)
        self.draining = False
        self.warm = False
        self.broken: str | None = None
        self.when_broken: Callable[[], None] | None = None
        self.requests = 0
        self._admission = Admission(models, limits, self.worker.work, metrics.refused)
        self._threads = ThreadPoolExecutor(_TOKENIZE_THREADS, "instructor-jax-tokenize")
        metrics.watch(self)

    def start(self) -> None:
        """Starts the device's thread."""
        self.worker.start()

    def stop(self) -> None:
        """Ends the threads."""
        self.worker.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def fail(self, reason: str) -> None:
        """Gives up for good: no request is taken any more, and the server ends. From any thread."""
        logger.error("the server gives up: %s", reason)
        self.broken = reason
        if self.when_broken is not None:
            self.when_broken()

    def unready(self) -> str | None:
        """Returns why the server should get no requests; None where it should."""
        if self.broken is not None:
            return self.broken
        if self.draining:
            return "the server is shutting down"
        if not self.warm:
            return "the model is being compiled"
        if not self.worker.is_alive():
            return "the device's thread has ended"
        return self.stalled()

    def stalled(self) -> str | None:
        """Returns that the device hangs; None where it does not."""
        since = self.worker.busy_since
        if since is not None and time.monotonic() - since > self.habits.stall_seconds:
            return f"a device call takes longer than {self.habits.stall_seconds:g} seconds"
        return None

    @property
    def queued_tokens(self) -> int:
        """Tokens that wait for the device."""
        return self._admission.queued_tokens

    async def embed(
        self,
        model: ServedModel,
        items: list[Item],
        *,
        truncate: bool = True,
        whole: Callable[[TokenizedTexts], Any] | None = None,
        gone: Callable[[], Awaitable[Any]] | None = None,
    ) -> Embedded:
        """Embeds the items of one request.

        Args:
            model: The model.
            items: The texts.
            truncate: Whether texts that are too long are cut.
            whole: What is done with the tokens in the device's thread, by itself, instead of packing them.
            gone: Waits until the client has gone; its texts then leave the queue.

        Raises:
            Refusal: The request is too large, the server is busy or broken, or the device failed on it.
        """
        if self.broken is not None:
            raise Refusal(503, f"the server is broken: {self.broken}")
        if self.draining:
            raise Refusal(503, "the server is shutting down; ask another one.", retry_after=1)
        self._admission.check(model, items, self.requests)
        self.requests += 1
        try:
            return await self._embed(model, items, truncate, whole, gone)
        finally:
            self.requests -= 1

    async def _embed(
        self,
        model: ServedModel,
        items: list[Item],
        truncate: bool,
        whole: Callable[[TokenizedTexts], Any] | None,
        gone: Callable[[], Awaitable[Any]] | None,
    ) -> Embedded:
        loop = asyncio.get_running_loop()
        began = time.monotonic()
        if sum(len(item.text or item.ids or "") for item in items) <= _INLINE_CHARACTERS:
            texts = tokenized(model, items, truncate=truncate)
        else:
            texts = await loop.run_in_executor(self._threads, lambda: tokenized(model, items, truncate=truncate))
        tokens = int(texts.offsets[-1])
        self._admission.learn(items, tokens)
        if tokens > self.limits.request_tokens:
            raise Refusal(
                413,
                f"the texts have {tokens:,} tokens; a request may have {self.limits.request_tokens:,}. Send fewer.",
                param="input",
            )
        work = None if whole is None else (lambda: whole(texts))
        job = Job(texts, loop.create_future(), loop, work)
        put_at = time.monotonic()
        if not model.queue.put(job):
            raise self._admission.refusal()
        try:
            result = await _first(job.answer, gone)
        except (ClientGone, asyncio.CancelledError):
            job.gone = True
            raise
        except DeviceFailure as error:
            self.metrics.failed("device", model)
            raise Refusal(500, f"{error}; it was tried again by itself.") from error
        except BrokenVector as error:
            self.metrics.failed("not_finite", model)
            raise Refusal(500, str(error)) from error
        ended = time.monotonic()
        begun = job.begun_at or ended
        self.metrics.embedded(model, texts, begun - put_at, int(np.sum(texts.full_lengths > model.max_length)))
        return Embedded(result, texts, put_at - began, begun - put_at, ended - begun)

    async def in_thread(self, work: Callable[[], Answer]) -> Answer:
        """Runs work of the tokenizer in its threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def dropped(self, job: Job, late: bool) -> None:
        """Answers a job that leaves the queue without vectors."""
        if late or not job.settled:
            self.metrics.refused("late" if late else "client_gone")
        if late:
            job.fail(LateError(self.limits.queue_seconds))


async def _first(answer: "asyncio.Future[Any]", gone: Callable[[], Awaitable[Any]] | None) -> Any:
    if gone is None:
        return await answer
    watch = asyncio.ensure_future(gone())
    try:
        await asyncio.wait({answer, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientGone
        return answer.result()
    finally:
        watch.cancel()
