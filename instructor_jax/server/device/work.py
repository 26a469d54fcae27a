"""What the device has done, counted by the worker's thread alone: for metrics, and for how long others have to wait."""

import dataclasses
import statistics
from collections import deque

_MEASURED_CALLS = 64  # the last full ones tell the throughput


@dataclasses.dataclass
class Work:
    """Counts since the start.

    Attributes:
        calls: Device calls.
        texts: Texts that were computed.
        tokens: Tokens of these texts.
        computed_tokens: Tokens that the device computed, padding included.
        seconds: Time in which the device had work.
        failures: Takes that failed one after another.
        retried: Texts that were computed again by themselves.
        full_calls: Tokens a second of the last calls that were at least half full.
    """

    calls: int = 0
    texts: int = 0
    tokens: int = 0
    computed_tokens: int = 0
    seconds: float = 0.0
    failures: int = 0
    retried: int = 0
    full_calls: deque[float] = dataclasses.field(default_factory=lambda: deque(maxlen=_MEASURED_CALLS))

    @property
    def capacity(self) -> float:
        """Tokens a second in full calls, the median of the last ones; 0 before the first.

        Small calls take nearly the time of a full one, so that a server which was hardly used would seem slow.
        """
        calls = list(self.full_calls)
        return statistics.median(calls) if calls else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Measured throughput; 0 before the first call."""
        return self.capacity or (self.tokens / self.seconds if self.seconds else 0.0)
