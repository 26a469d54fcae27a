"""The one thread that feeds the device: takes what waits, packs it, runs it, and hands each request its vectors.

One take is dispatched while another one computes, so that the device never waits for the packing; a lone request is
answered at once. A call that fails is repeated text by text, so that one poisoned text fails alone. When whole takes
keep failing, the worker computes a text of its own: where that goes well, the clients' texts were to blame, such as one
that is sent again and again; where it does not, the worker says that it is broken, and the server exits instead of
looking healthy.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from instructor_jax.server.device.failures import BrokenVector, DeviceFailure
from instructor_jax.server.device.jobs import Job
from instructor_jax.server.device.packed_calls import PackedCall, Place, pack
from instructor_jax.server.device.served_model import ServedModel
from instructor_jax.server.device.token_queue import Taken
from instructor_jax.server.device.work import Work

logger: logging.Logger = logging.getLogger(__name__)

_MEASURED_CALLS = (
    64  # the last of them tell the throughput; one that was slow, such as a compilation, is soon forgotten
)
_CALLS_PER_TAKE = 4  # more texts to a packing leave less padding; fewer keep short requests from waiting for long ones


class DeviceWorker(threading.Thread):
    """Feeds one device with the jobs of one or more models, model by model in turn.

    Args:
        models: What is served; each with its queue.
        arrived: The condition that the queues notify.
        max_failures: Failed takes in a row after which the device is probed with a text of its own.
        broken: Called once, from this thread, when the device fails on that, too.
    """

    def __init__(
        self,
        models: list[ServedModel],
        arrived: threading.Condition,
        max_failures: int,
        broken: Callable[[str], None],
    ) -> None:
        super().__init__(name="instructor-jax-device", daemon=True)
        self._models, self._arrived = models, arrived
        self._max_failures, self._broken = max_failures, broken
        self._turn = 0
        self._stopping = False
        self._has_given_up = False
        self.work = Work()
        self.busy_since: float | None = None
        self._began = 0.0

    def stop(self) -> None:
        """Ends the thread once its queues are empty."""
        with self._arrived:
            self._stopping = True
            self._arrived.notify_all()

    def run(self) -> None:
        """Works until it is stopped."""
        running: deque[tuple[ServedModel, list[PackedCall], list[Any]]] = deque()
        while True:
            model, taken = self._next(wait=not running)
            if model is None and not running:
                return
            if model is not None and taken[0][0].whole is not None:
                while running:
                    self._fetch(*running.popleft())
                self._do_whole(model, taken[0][0])
            elif model is not None:
                self._mark_busy(taken)
                running.append(self._dispatch(model, taken))
            if running and (model is None or len(running) > 1):
                self._fetch(*running.popleft())
            if not running:
                self._mark_idle()

    def _next(self, *, wait: bool) -> tuple[ServedModel | None, Taken]:
        with self._arrived:
            while True:
                for step in range(len(self._models)):
                    model = self._models[(self._turn + step) % len(self._models)]
                    call = model.engine.packing.tokens_per_call * model.engine.packing.groups
                    if not wait and model.queue.tokens < call:
                        continue  # one full call a moment later is cheaper than two small ones
                    taken = model.queue.take(_CALLS_PER_TAKE * call)
                    if taken:
                        self._turn += step + 1
                        return model, taken
                if not wait or self._stopping:
                    return None, []
                self._arrived.wait()

    def _mark_busy(self, taken: Taken) -> None:
        now = time.monotonic()
        if self.busy_since is None:
            self.busy_since = self._began = now
        for job, _, _ in taken:
            job.begun_at = job.begun_at or now

    def _mark_idle(self) -> None:
        if self.busy_since is not None:
            self.work.seconds += time.monotonic() - self._began
            self.busy_since = None

    def _dispatch(self, model: ServedModel, taken: Taken) -> tuple[ServedModel, list[PackedCall], list[Any]]:
        calls = pack(taken, model.engine.packing)
        results: list[Any] = []
        for call in calls:
            try:
                results.append(model.embed(call.batch))
            except Exception as error:
                results.append(error)
        return model, calls, results

    def _fetch(self, model: ServedModel, calls: list[PackedCall], results: list[Any]) -> None:
        """Hands out the vectors of the calls as each is there."""
        good = bad = 0
        problem: BaseException | None = None
        for call, result in zip(calls, results, strict=True):
            broken: list[Place] = []
            try:
                if isinstance(result, Exception):
                    raise result
                vectors = np.asarray(jax.device_get(result))
            except Exception as error:
                logger.error("a device call of %d texts failed: %s", sum(map(len, call.places)), error)
                problem, broken = error, list(call.texts)
            else:
                broken = _hand_out(call, vectors)
            self._count(model, call)
            good += sum(map(len, call.places)) - len(broken)
            for job, index in broken:
                if job.gone:
                    continue
                if self._again(model, job, index):
                    good += 1
                else:
                    bad += 1
        self._judge(model, good, bad, problem)

    def _again(self, model: ServedModel, job: Job, index: int) -> bool:
        """Computes one text by itself; returns whether that went well, and fails its request where it did not."""
        self.work.retried += 1
        try:
            (call,) = pack([(job, index, index + 1)], model.engine.packing)
            vectors = np.asarray(jax.device_get(model.embed(call.batch)))
        except Exception as error:
            job.fail(DeviceFailure(index, error))
            return False
        if _hand_out(call, vectors):
            job.fail(BrokenVector(index))
            return False
        return True

    def _do_whole(self, model: ServedModel, job: Job) -> None:
        self._mark_busy([(job, 0, 0)])
        good, problem = 1, None
        try:
            job.finish(job.whole() if job.whole is not None else None)
        except Exception as error:
            logger.error("a request failed on the device: %s", error)
            job.fail(error if isinstance(error, BrokenVector) else DeviceFailure(0, error))
            good, problem = 0, error
        self.work.texts += len(job.texts)
        self.work.tokens += int(job.texts.offsets[-1])
        self._judge(model, good, 1 - good, problem)

    def _count(self, model: ServedModel, call: PackedCall) -> None:
        work = self.work
        work.calls += 1
        work.texts += sum(map(len, call.places))
        work.tokens += call.tokens
        work.computed_tokens += call.batch.tokens.size
        now = time.monotonic()
        if self.busy_since is not None:
            work.seconds += now - self._began
            packing = model.engine.packing
            if 2 * call.tokens >= packing.tokens_per_call * packing.groups and now > self._began:
                work.full_calls.append(call.tokens / (now - self._began))
            self._began = self.busy_since = now

    def _judge(self, model: ServedModel, good: int, bad: int, problem: BaseException | None) -> None:
        if good:
            self.work.failures = 0
        if good or not bad:
            return
        self.work.failures += 1
        if self.work.failures < self._max_failures or self._has_given_up:
            return
        if model.computes():
            self.work.failures = 0
            return
        self._has_given_up = True
        why = problem or BrokenVector()
        self._broken(f"{self.work.failures} device calls failed one after another, and a probe did; the last: {why}")


def _hand_out(call: PackedCall, vectors: np.ndarray) -> list[Place]:
    """Gives each text its vector; returns those whose vectors are not finite."""
    broken: list[Place] = []
    for group, places in enumerate(call.places):
        own = vectors[group, : len(places)]
        finite = np.atleast_1d(np.isfinite(own).all(axis=1))
        for place, vector, good in zip(places, own, finite, strict=True):
            if good:
                place[0].give(place[1], vector)
            else:
                broken.append(place)
    return broken
