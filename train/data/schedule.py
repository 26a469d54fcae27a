"""Which task comes when: turns that keep every task's count next to its share at any moment, not only on average.

The k-th turn of a task that is due at rate r belongs between the steps k / r and (k + 1) / r. Of the turns that may be
taken now, those that must be taken soonest are: the rule of proportionate fairness (Baruah et al., Proportionate
progress, 1996). With one place a step no count is ever a full turn away from step * r; with several, not two turns.
"""

import heapq
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from .permutation import key_of, keyed_order

_RESOLUTION = 2**38  # of rates; products with a task's number of turns, below 2**25, fit into 64 bits
_CHUNK = 2**12


class TaskSchedule:
    """An endless sequence of steps with a number of places each; says which task has each place.

    Steps are worked out from the first one on and kept, six bytes a place; a million places take about three seconds.
    May be used from several threads, and pickled without what is worked out.
    """

    def __init__(
        self,
        rates: Sequence[float] | Float64[np.ndarray, "tasks"],
        seed: int,
        places: int = 1,
        limits: Sequence[int] | None = None,
    ) -> None:
        """
        Args:
            rates: Places a step of each task, positive, at most its limit; their sum at most `places`.
            seed: Random seed that decides among tasks that are due at the same time.
            places: Number of places of a step; where the rates' sum is smaller, some stay empty.
            limits: Largest number of places of each task in one step; None means 1.

        Raises:
            ValueError: A rate is out of range, or their sum is.
        """
        self._arguments = (np.asarray(rates, np.float64), seed, places, limits)
        rates = self._arguments[0]
        self._limits = [1] * len(rates) if limits is None else list(limits)
        slack = 1 + 1e-9  # rounding of sums
        if not len(rates) or not ((rates > 0) & (rates <= np.asarray(self._limits) * slack)).all():
            raise ValueError(f"rates={rates} must be positive and at most {self._limits}, and there must be one.")
        if rates.sum() > places * slack:
            raise ValueError(f"rates={rates} sum to {rates.sum()}, but a step has only {places} places.")
        self._rates = np.maximum(1, np.floor(rates * _RESOLUTION)).astype(np.int64)
        if rates.sum() * slack >= places:  # full use: then the sum must be exact, or a place would stay empty once
            missing = int(places * _RESOLUTION - self._rates.sum())
            largest = np.argsort(-rates, kind="stable")
            self._rates[largest] += missing // len(rates)
            self._rates[largest[: missing % len(rates)]] += 1
        self._places = places
        self._rank = keyed_order(key_of("ties", seed), len(rates)).astype(np.int64)
        self._due: list[int] = []  # heap of turns that may be taken: last step * tasks + rank
        self._counts = np.zeros(len(rates), np.int64)
        self._chunks: list[tuple[np.ndarray, np.ndarray]] = []
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return TaskSchedule, self._arguments

    def __call__(self, step: int) -> tuple[Int64[np.ndarray, "places"], Int64[np.ndarray, "places"]]:
        """Returns the task of each place of a step (-1: empty), and how many places it had before that one, ever."""
        chunk, index = divmod(step, _CHUNK)
        if chunk >= len(self._chunks):
            with self._lock:
                while chunk >= len(self._chunks):
                    self._chunks.append(self._next_chunk(len(self._chunks) * _CHUNK))
        tasks, before = self._chunks[chunk]
        return tasks[index].astype(np.int64), before[index].astype(np.int64)

    def _next_chunk(self, start: int) -> tuple[np.ndarray, np.ndarray]:
        size = len(self._rates)
        tasks = np.array(self._take(start))
        order = np.argsort(tasks, kind="stable")
        counts = np.bincount(tasks + 1, minlength=size + 1)
        before = np.empty(len(tasks), np.int64)
        before[order] = np.arange(len(tasks)) - np.repeat(np.cumsum(counts) - counts, counts)
        before += np.append(self._counts, 0)[tasks]
        self._counts += counts[1:]
        shape = (_CHUNK, self._places)
        return tasks.astype(np.int16 if size < 2**15 else np.int32).reshape(shape), before.astype(np.int32).reshape(
            shape
        )

    def _take(self, start: int) -> list[int]:
        """Returns the tasks of a chunk's places: turns that are due soonest, none beyond its task's limit."""
        releases, keys = self._turns(start, start + _CHUNK)
        releases.append(start + _CHUNK)
        task_of, size = np.argsort(self._rank).tolist(), len(self._rates)
        due, limits, places, released = self._due, self._limits, self._places, 0
        given = [0] * size
        tasks: list[int] = []
        for step in range(start, start + _CHUNK):
            while releases[released] <= step:
                heapq.heappush(due, keys[released])
                released += 1
            row: list[int] = []
            over: list[int] = []
            while due and len(row) < places:
                key = heapq.heappop(due)
                task = task_of[key % size]
                if given[task] < limits[task]:
                    given[task] += 1
                    row.append(task)
                else:
                    over.append(key)
            for task in row:
                given[task] = 0
            for key in over:
                heapq.heappush(due, key)
            if len(row) > 1:
                row.sort()  # the places of one task side by side
            tasks += row
            if len(row) < places:
                tasks += [-1] * (places - len(row))
        return tasks

    def _turns(self, start: int, end: int) -> tuple[list[int], list[int]]:
        """Returns the steps from which the turns of [start, end) may be taken, ascending, and their heap keys."""
        first, last = (-(-step * self._rates // _RESOLUTION) for step in (start, end))
        task = np.repeat(np.arange(len(self._rates)), last - first)
        turn = np.arange(len(task)) - np.repeat(np.cumsum(last - first) - last, last - first)
        release = turn * _RESOLUTION // self._rates[task]
        deadline = -(-(turn + 1) * _RESOLUTION // self._rates[task])
        order = np.argsort(release, kind="stable")
        return release[order].tolist(), (deadline * len(self._rates) + self._rank[task])[order].tolist()
