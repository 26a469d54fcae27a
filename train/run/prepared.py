"""`Prepared`: a run, opened and checked, which `prepare` makes and the loop goes through."""

import dataclasses

from jax.sharding import Mesh

from instructor_jax.io.model_folder import ModelFolder

from ..config import TrainConfig
from ..data.batch_builder import BatchBuilder
from ..data.decontamination import Decontamination
from ..data.staged_batches import StagedBatches
from ..data.token_cache import Mixture
from ..own_loss import OwnLoss
from ..settings.run_config import RunConfig


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A run that is ready to start.

    Attributes:
        run: Settings as the user gave them.
        config: Configuration of what is computed.
        folder: Configuration and tokenizer of the model; its weights are those to start from if `starts_from_folder`.
        fingerprint: Fingerprint of the mixture, and of the evaluation texts that are avoided.
        mesh: Mesh of all devices of all processes.
        mixture: Mixture that the examples come from.
        batches: Function from a step to this host's part of its batch.
        held_out: Function from the number of a held-out batch to this host's part of it; None where no examples are
            held out.
        held_out_batches: Number of held-out batches.
        avoided: Result of the comparison with evaluation data; None where none was asked for.
        loss: Caller's own loss, which takes the place of the configured one.
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
    avoided: Decontamination | None = None
    loss: OwnLoss | None = None

    @property
    def starts_from_folder(self) -> bool:
        """Returns whether the first step starts from weights on disk, and not from random ones."""
        return bool(self.run.init_from) or self.run.distill.static_init
