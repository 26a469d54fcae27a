"""Checkpoints by the clock: due where enough minutes passed since the last one; all processes agree on the step."""

import time

import jax
import numpy as np


class SaveInterval:
    """Says when a checkpoint is due by time.

    Args:
        minutes: Minutes between two checkpoints; 0 for never.
        every: Number of steps between two looks at the clock. With several processes the first one's clock counts, and
            asking it makes all of them wait.
    """

    def __init__(self, minutes: int | float, every: int) -> None:
        self._seconds, self._every = minutes * 60, every
        self.begin()

    def begin(self) -> None:
        """Counts from now on."""
        self._began = time.monotonic()

    def over(self, step: int) -> bool:
        """Returns whether a checkpoint is due after this step; all processes call it after every step."""
        if not self._seconds or step % self._every:
            return False
        late = time.monotonic() - self._began >= self._seconds
        if jax.process_count() > 1:
            from jax.experimental import multihost_utils

            return bool(multihost_utils.broadcast_one_to_all(np.asarray(late)))
        return late
