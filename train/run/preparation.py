"""From a `RunConfig` to all that a run needs, in steps: data, model, examples, batches, teacher. Checks come first.

Nothing is allocated on devices here. What takes long (vocabulary, token cache) is written to disk once and found there
by later runs and by the other processes of this one.
"""

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import jax
from jax.sharding import Mesh

from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.remote_places import refuse_remote
from instructor_jax.sharding import data_shards

from ..config import TrainConfig
from ..data.teacher_vectors import TeacherVectors
from ..data.token_cache import Reading
from ..distill.setup import set_up_distillation
from ..own_loss import OwnLoss, try_loss
from ..settings.run_config import RunConfig
from ..watch.wandb_board import require_wandb
from .batch_plans import PlannedBatches, build_batches, plan_batches
from .data import ChosenExamples, OpenedData, choose_examples, open_data, read_texts
from .prepared import Prepared
from .starting_model import model_folder, starting_folder
from .train_config import check_settings, mesh_of


@dataclasses.dataclass(frozen=True)
class AttachedTeacher:
    """What a run gets from its teacher.

    Attributes:
        folder: Folder of the model that the run starts from; with `distill.static_init` one made of the teacher.
        vectors: Vectors of the teacher, for each stage of the run; None without distillation.
    """

    folder: ModelFolder
    vectors: tuple[TeacherVectors | None, ...]


def prepare(
    run: RunConfig,
    mesh: Mesh | None = None,
    avoid: Iterable[tuple[str, str]] | None = None,
    with_teacher: bool = True,
    loss: OwnLoss | None = None,
    examples: Any = None,
) -> Prepared:
    """Opens and checks everything that a run needs.

    Args:
        run: Settings of the run; `output` must be set, and `data` unless there are `examples`.
        mesh: Mesh of the devices; by default all, in the shape that `run.mesh` says.
        avoid: (evaluation set, text) pairs of the texts that `run.mixture.avoid` means.
        with_teacher: Whether the teacher's part is done, which may take hours; a run prepared without it cannot be
            trained.
        loss: Loss in the place of the configured one; it is tried on a few random vectors.
        examples: Examples in memory, in the place of `run.data`; see `from_memory`.

    Raises:
        ValueError: Something does not fit; says what, and what to change.
        FileNotFoundError: There is no mixture.
    """
    if not run.output:
        raise ValueError(
            "set output=FOLDER, where the run goes." if run.data or examples is not None else
            "set data=FOLDER, a mixture of 'instructor-jax medi', and output=FOLDER, where the run goes."
        )  # fmt: skip
    refuse_remote("output", run.output)  # `remote_run.on_this_machine` comes before
    if run.mixture.avoid and avoid is None:
        raise ValueError(f"mixture.avoid={run.mixture.avoid}: give the texts, prepare(run, avoid=...).")
    if run.log.wandb:
        require_wandb()
    mesh = mesh_of(run) if mesh is None else mesh
    data = open_data(run, examples)
    started = starting_folder(run)
    checked = check_settings(run, run.model if started is None else started.config, data.tasks, mesh)
    if loss is not None:
        _try(loss, checked, mesh)
    folder = model_folder(run, started, data.sources[-1])
    readings = read_texts(run, data, folder)
    if loss is not None and not readings[-1].cache.has >= {"score", "weight"}:
        _try(loss, checked, mesh, readings[-1].cache.has)
    chosen = choose_examples(run, data, readings[-1], avoid)
    planned = plan_batches(run, folder.config, data, readings, chosen, mesh)
    teacher = attach_teacher(run, folder, readings, planned, chosen) if with_teacher else _no_teacher(folder, data)
    batches, held_out = build_batches(run, mesh, planned, readings, chosen, teacher.vectors)
    fingerprint = data.mixture.fingerprint
    return Prepared(
        run,
        planned.config,
        teacher.folder,
        fingerprint if chosen.avoided is None else f"{fingerprint}-{chosen.avoided.digest}",
        mesh,
        data.mixture,
        batches,
        held_out,
        planned.held_out_batches,
        chosen.avoided,
        loss,
    )


def attach_teacher(
    run: RunConfig, folder: ModelFolder, readings: Sequence[Reading], planned: PlannedBatches, chosen: ChosenExamples
) -> AttachedTeacher:
    """Finds or computes the teacher's vectors of the texts that the run reads, and the weights that it starts from.

    Raises:
        ValueError: The teacher is no model, or its vectors cannot be compared with the student's.
        ImportError: Sentence-transformers is absent, and something must be computed.
    """
    folder, vectors = set_up_distillation(run, folder, readings, planned.rows_read(run, chosen))
    return AttachedTeacher(folder, tuple(vectors))


def _no_teacher(folder: ModelFolder, data: OpenedData) -> AttachedTeacher:
    return AttachedTeacher(folder, (None,) * len(data.sources))


def _try(loss: OwnLoss, config: TrainConfig, mesh: Mesh, has: Collection[str] = frozenset({"score", "weight"})) -> None:
    """Tries the loss on rows that carry what rows of the mixture carry: before texts are read, all that they may."""
    dim = config.model.embedding_dim
    with jax.set_mesh(mesh):
        try_loss(loss, data_shards(mesh), dim, config.group.negatives, has, config.teacher_dim)
