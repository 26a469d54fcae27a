"""`Prepared`: a run, opened and checked, which `prepare` makes and the loop goes through."""

import dataclasses

from jax.sharding import Mesh

from instructor_jax.io.folders import ModelFolder

from ..config import TrainConfig
from ..data.batch_builder import BatchBuilder
from ..data.decontamination import Avoided
from ..data.staged_batches import StagedBatches
from ..data.token_cache import Mixture
from ..own_loss import OwnLoss
from ..settings.run_config import RunConfig


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A run, ready to start.

    Attributes:
        run: what the user set.
        config: what is computed.
        folder: configuration and tokenizer of the model; its weights are those to start from if `starts_from_folder`.
        fingerprint: of the mixture, and of the evaluation texts that are avoided.
        mesh: all devices of all processes.
        mixture: where the examples come from.
        batches: step -> this host's part of the batch.
        held_out: number of a held-out batch -> this host's part of it; None where no rows are held out.
        held_out_batches: how many there are.
        avoided: what the comparison with evaluation data found; None where none was asked for.
        loss: the caller's own, which takes the place of the configured one.
    """

    run: RunConfig
    config: TrainConfig
    folder: ModelFolder
    fingerprint: str
    mesh: Mesh
    mixture: Mixture
    batches: BatchBuilder | StagedBatches
    held_out: BatchBuilder | None
    held_out_batches: int
    avoided: Avoided | None = None
    loss: OwnLoss | None = None

    @property
    def starts_from_folder(self) -> bool:
        """Whether the first step starts from weights on disk, and not from random ones."""
        return bool(self.run.init_from) or self.run.distill.static_init
