"""Which texts the device computes next: first come, first served, counted in tokens, with no timer.

Whenever the device is free it takes what waits, up to a budget of tokens. A request is taken in slices of at most one
device call; what is left of it lets a few others go first, so that a request of thousands of texts delays them by one
call and not by all of its own. It does not go to the end: behind a long queue, a request of three slices would wait
three times as long as one of a single slice. Where the next text does not fit into what is left of the budget, a
bounded number of later requests is looked at for texts that do.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

from instructor_jax.server.device.jobs import Job

_LOOK_AHEAD = 64  # requests behind the first whose texts may fill up a call; bounds the work of a take
_TURNS = 16  # requests that go first when a slice was taken, so many share the device at a time
Taken = list[tuple[Job, int, int]]  # jobs with the first and the end index of the texts that are taken


class TokenQueue:
    """A queue of jobs; `put` from any thread, `take` from the worker's.

    Args:
        slice_tokens: Most tokens of one request in a take while others wait.
        most_tokens: Most tokens that may wait; a request is always let in where none wait.
        most_seconds: Longest time that a job waits.
        dropped: Called with each job that nobody awaits any more, and with each that waited too long.
    """

    def __init__(
        self,
        slice_tokens: int,
        most_tokens: int,
        most_seconds: float,
        dropped: Callable[[Job, bool], None],
        arrived: threading.Condition,
    ) -> None:
        self._slice, self._most, self._seconds, self._dropped = slice_tokens, most_tokens, most_seconds, dropped
        self._jobs: deque[Job] = deque()
        self._arrived = arrived
        self.tokens = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def has_room(self, tokens: int) -> bool:
        """Returns whether a job of so many tokens would be let in now."""
        return not self.tokens or self.tokens + tokens <= self._most

    def put(self, job: Job) -> bool:
        """Adds a job; returns False where too many tokens wait already."""
        with self._arrived:
            if not self.has_room(job.tokens_left):
                return False
            self._jobs.append(job)
            self.tokens += job.tokens_left
            self._arrived.notify()
            return True

    def take(self, budget: int) -> Taken:
        """Removes what the device computes next: texts of at most `budget` tokens, or one job done in one piece.

        Returns:
            What was taken; empty where nothing waits.
        """
        taken: Taken = []
        with self._arrived:
            while budget > 0 and self._jobs:
                room = self._round(taken, budget)
                if room == budget:  # nothing more fits
                    break
                budget = room
        return taken

    def _round(self, taken: Taken, budget: int) -> int:
        """Takes at most one slice of each of the first jobs; returns what is left of the budget."""
        passed: list[Job] = []  # looked at, does not fit: keeps its place
        left: list[Job] = []  # a slice was taken: lets others go first
        looked = 0
        while self._jobs and budget > 0 and looked < _LOOK_AHEAD:
            job = self._jobs.popleft()
            if self._is_dead(job):
                continue
            if job.whole is not None:
                if taken or passed or left:
                    passed.append(job)
                    break  # done by itself, when its turn comes
                self.tokens -= job.tokens_left
                job.next = len(job.texts)
                taken.append((job, 0, 0))
                return 0
            looked += 1
            end, tokens = self._slice_of(job, min(budget, self._slice), first=not taken)
            if end == job.next:
                passed.append(job)
                continue
            taken.append((job, job.next, end))
            job.next = end
            budget -= tokens
            self.tokens -= tokens
            if job.next < len(job.texts):
                left.append(job)
        self._jobs.extendleft(reversed(passed))
        for index, job in enumerate(left):
            self._jobs.insert(_TURNS + index, job)
        return budget

    def _slice_of(self, job: Job, room: int, *, first: bool) -> tuple[int, int]:
        """Returns the end of the slice of a job that fits, and its tokens; the first text of a take always fits."""
        end, tokens = job.next, 0
        while end < len(job.lengths) and (tokens + job.lengths[end] <= room or (first and end == job.next)):
            tokens += job.lengths[end]
            end += 1
        return end, tokens

    def _is_dead(self, job: Job) -> bool:
        late = time.monotonic() - job.put_at > self._seconds and job.begun_at is None
        if job.gone or late:
            self.tokens -= job.tokens_left
            job.next = len(job.texts)
            self._dropped(job, late and not job.gone)
            return True
        return False
