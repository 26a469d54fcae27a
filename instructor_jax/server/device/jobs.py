"""A job: the texts of one request on their way through the queue and the device, and the answer that is awaited."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from instructor_jax.text.batches import TokenizedTexts


@dataclasses.dataclass(eq=False)
class Job:
    """The texts of a request; only the queue and the worker's thread change it after it was put.

    Attributes:
        texts: Token ids of the texts; those of one pseudo text for work that is done in one piece.
        answer: What the request awaits: vectors [texts, dim], or whatever `whole` returns.
        loop: The event loop that the answer belongs to.
        whole: Work that is done by itself in the worker's thread instead of being packed with other requests.
        vectors: Vectors that are there already.
        next: Index of the first text that no device call has taken yet.
        missing: Number of texts without a vector.
        put_at: When it entered the queue, by the monotonic clock.
        begun_at: When the device took its first text.
        gone: Whether nobody awaits the answer any more.
        settled: Whether that is so because the answer, or the error, is there.
    """

    texts: TokenizedTexts
    answer: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    whole: Callable[[], Any] | None = None
    vectors: np.ndarray | None = None
    next: int = 0
    missing: int = 0
    put_at: float = 0.0
    begun_at: float | None = None
    gone: bool = False
    settled: bool = False

    def __post_init__(self) -> None:
        self.missing = len(self.texts)
        self.lengths = self.texts.lengths.tolist()
        self.put_at = time.monotonic()

    @property
    def tokens_left(self) -> int:
        """Tokens that no device call has taken yet."""
        return int(self.texts.offsets[-1] - self.texts.offsets[self.next])

    def give(self, index: int, vector: np.ndarray) -> None:
        """Keeps the vector of one text, and answers where it was the last one."""
        if self.vectors is None:
            self.vectors = np.empty((len(self.texts), len(vector)), np.float32)
        self.vectors[index] = vector
        self.missing -= 1
        if not self.missing:
            self._settle(lambda: self.answer.set_result(self.vectors))

    def finish(self, result: Any) -> None:
        """Answers with the result of work done in one piece."""
        self._settle(lambda: self.answer.set_result(result))

    def fail(self, error: BaseException) -> None:
        """Answers with an error; what the device still computes of it is dropped."""
        self._settle(lambda: self.answer.set_exception(error))

    def _settle(self, settle: Callable[[], None]) -> None:
        if self.gone:
            return
        self.gone = self.settled = True

        def in_loop() -> None:
            if not self.answer.done():
                settle()

        with contextlib.suppress(RuntimeError):  # the loop was closed while the device computed: nobody waits any more
            self.loop.call_soon_threadsafe(in_loop)
