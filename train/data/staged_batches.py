"""A run in two stages that read the rows in different ways: the batches of the first, then those of the rest.

Each stage has a plan of its own, begun at the stage's first step, so a batch is still a function of the step's number
and nothing else.
"""

import dataclasses

from .batch_builder import BatchBuilder, HostBatch
from .mixture import MixturePlan
from .token_cache import TokenCache


@dataclasses.dataclass(frozen=True)
class StagedBatches:
    """Builds this host's part of a step's batch from the step's number, whichever stage the step is in.

    Attributes:
        first: Batches of the first stage.
        steps: Number of steps of the first stage.
        then: Batches of the second stage; their shapes are the first's.
    """

    first: BatchBuilder
    steps: int
    then: BatchBuilder

    def __post_init__(self) -> None:
        if self.first.plan.shape != self.then.plan.shape or self.first.groups != self.then.groups:
            raise ValueError("both stages of a run need batches of one shape, or the step would be compiled twice.")

    def __call__(self, step: int) -> HostBatch:
        """Returns the host's groups of a step."""
        if step < self.steps:
            return self.first(step)
        return dataclasses.replace(self.then(step - self.steps), step=step)

    @property
    def plan(self) -> MixturePlan:
        """Returns the plan of the second stage."""
        return self.then.plan

    @property
    def cache(self) -> TokenCache:
        """Returns the token cache of the second stage."""
        return self.then.cache
