"""Which requests are let in: before any work is done for one, it is judged by what waits and by the throughput.

A server that takes more than it can do answers everybody late, and clients give up and ask again. So a request is
refused while the queue is full, and while what waits would take longer than a request may wait.
"""

import math
from collections.abc import Callable

from instructor_jax.server.device.item import Item
from instructor_jax.server.device.served_model import ServedModel
from instructor_jax.server.device.work import Work
from instructor_jax.server.refusals import Refusal
from instructor_jax.server.settings import Limits

_SURE_SHARE = 0.9  # of a request's expected tokens: where even these find no room, it is refused before the tokenizer
_RETRY_SECONDS = (1, 30)  # clients of OpenAI do not retry after longer waits than a minute or two


class Admission:
    """Judges requests before they are tokenised.

    Args:
        models: What is served; what waits in their queues counts.
        limits: What is refused.
        work: What the device has done, whose throughput counts.
        count: Called with the kind of each refusal.
    """

    def __init__(self, models: list[ServedModel], limits: Limits, work: Work, count: Callable[[str], None]) -> None:
        self._models, self._limits, self._work, self._count = models, limits, work, count
        self._characters = self._tokens = 0  # of the requests so far, for the expected tokens of the next

    @property
    def queued_tokens(self) -> int:
        """Tokens that wait for the device."""
        return sum(model.queue.tokens for model in self._models)

    def check(self, model: ServedModel, items: list[Item], requests: int) -> None:
        """Refuses a request that cannot be answered in time.

        Args:
            model: Whom it asks.
            items: Its texts.
            requests: How many others are being worked on or wait.

        Raises:
            Refusal: 429, with the seconds after which there should be room.
        """
        limits, speed, queued = self._limits, self._work.capacity, self.queued_tokens
        if (
            requests >= limits.requests
            or queued >= limits.queued_tokens
            or (speed and queued / speed > limits.queue_seconds)
            or not model.queue.has_room(self._expected_tokens(model, items))
        ):
            raise self.refusal()

    def learn(self, items: list[Item], tokens: int) -> None:
        """Takes note of how many tokens a request's texts had."""
        if all(item.ids is None for item in items):
            self._characters += sum(len(item.text or "") for item in items)
            self._tokens += tokens

    def refusal(self) -> Refusal:
        """Returns the answer to a request for which there is no room, and counts it."""
        self._count("overloaded")
        speed, queued, (low, high) = self._work.tokens_per_second, self.queued_tokens, _RETRY_SECONDS
        wait = max(low, min(high, math.ceil(queued / speed))) if speed else low
        return Refusal(
            429,
            f"{queued:,} tokens wait for the device; try again in {wait} s.",
            retry_after=wait,
            code="overloaded",
        )

    def _expected_tokens(self, model: ServedModel, items: list[Item]) -> int:
        """Returns nearly as many tokens as the texts will have, judged by the requests so far; 0 before the first."""
        share = _SURE_SHARE * self._tokens / max(self._characters, 1)
        sizes = (len(item.ids) if item.ids is not None else int(share * len(item.text or "")) for item in items)
        return sum(min(size, model.max_length) for size in sizes)


class LateError(Refusal):
    """The texts waited too long for the device."""

    def __init__(self, seconds: float) -> None:
        super().__init__(503, f"the texts waited more than {seconds:g} s for the device; try again.", retry_after=1)
