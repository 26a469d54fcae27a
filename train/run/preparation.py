"""From a `RunConfig` to everything a run needs: mixture, tokenizer, model, plan, batches, mesh. Checks all of it first.

Nothing is allocated on devices here. What takes long (vocabulary, token cache) is written to disk once and found there
by later runs and by the other processes of this one.
"""

import dataclasses
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float64, Int64

from instructor_jax.config import ModelConfig
from instructor_jax.io.folders import ModelFolder, read_folder
from instructor_jax.io.hub import resolve_model
from instructor_jax.sharding import make_mesh
from instructor_jax.text.tokenization import Tokenizer, load_token_ids, vocabulary_size
from instructor_jax.train.config import TrainConfig
from instructor_jax.train.data.batch_builder import BatchBuilder
from instructor_jax.train.data.budget import examples_needed
from instructor_jax.train.data.decontamination import Avoided, avoid_rows
from instructor_jax.train.data.file_lock import one_process
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.data.mixture import MixturePlan, hold_out
from instructor_jax.train.data.pipeline import local_groups
from instructor_jax.train.data.staged_batches import StagedBatches
from instructor_jax.train.data.teacher_vectors import TeacherVectors
from instructor_jax.train.data.token_cache import ExampleSource, TokenCache, tokenizer_digest
from instructor_jax.train.data.token_cache_writer import open_token_cache
from instructor_jax.train.data.vocabulary import train_vocabulary
from instructor_jax.train.data.without_instructions import WithoutInstructions
from instructor_jax.train.distill.setup import Reading, teach
from instructor_jax.train.medi.store import MediStore
from instructor_jax.train.mixture_config import shares_of, tasks_of
from instructor_jax.train.run_config import RunConfig

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A run, ready to start.

    Attributes:
        run: what the user set.
        config: what is computed.
        folder: configuration and tokenizer of the model; its weights are those to start from if `starts_from_folder`.
        fingerprint: of the mixture, and of the evaluation texts that are avoided.
        mesh: all devices of all processes.
        batches: step -> this host's part of the batch.
        held_out: number of a held-out batch -> this host's part of it; None where no rows are held out.
        held_out_batches: how many there are.
        avoided: what the comparison with evaluation data found; None where none was asked for.
    """

    run: RunConfig
    config: TrainConfig
    folder: ModelFolder
    fingerprint: str
    mesh: Mesh
    batches: BatchBuilder | StagedBatches
    held_out: BatchBuilder | None
    held_out_batches: int
    avoided: Avoided | None = None

    @property
    def starts_from_folder(self) -> bool:
        """Whether the first step starts from weights on disk, and not from random ones."""
        return bool(self.run.start) or self.run.distill.start_embeddings


def prepare(
    run: RunConfig,
    mesh: Mesh | None = None,
    avoid: Iterable[tuple[str, str]] | None = None,
    with_teacher: bool = True,
) -> Prepared:
    """Opens and checks everything.

    Args:
        run: the settings; `data` and `output` must be set.
        mesh: the devices; by default all, in the shape that `run.mesh` says.
        avoid: (evaluation set, text) pairs of the texts that `run.mixture.avoid` means.
        with_teacher: False leaves undone what a teacher takes hours for; what comes back cannot be trained.

    Raises:
        ValueError: something does not fit; says what, and what to change.
        FileNotFoundError: there is no mixture.
    """
    if not run.data or not run.output:
        raise ValueError("set data=FOLDER, a mixture of 'instructor-jax medi', and output=FOLDER, where the run goes.")
    if run.mixture.avoid and avoid is None:
        raise ValueError(f"mixture.avoid={run.mixture.avoid}: give the texts, prepare(run, avoid=...).")
    mesh = make_mesh(run.mesh) if mesh is None else mesh
    store = MediStore(run.data)
    tasks = tasks_of(store, run.mixture)
    source: ExampleSource = store if run.mixture.instructions else WithoutInstructions(store)
    folder = model_folder(run, source)
    readings = [Reading(source, _cache(run, source, folder))]
    if _bare_steps(run):  # the first of two stages reads the same rows without instructions
        bare = WithoutInstructions(store)
        readings.insert(0, Reading(bare, _cache(run, bare, folder)))
    kept, held = _split(readings[-1].cache, tasks, run.held_out.rows)
    avoided = None
    if avoid is not None:
        kept, held, avoided = avoid_rows(source, readings[-1].cache, avoid, kept, held)
    shape = _group_shape(run, folder.config, [one.cache for one in readings], kept)
    config = train_config(run, folder.config, shape, tasks).suited_to(mesh)
    config.check_mesh(mesh)
    plans = [_plan(run, one.cache, kept, shape) for one in readings]
    held_plan = _held_out_plan(readings[-1].cache, held, shape, config)
    vectors: list[TeacherVectors | None] = [None] * len(readings)
    if with_teacher:
        folder, vectors = teach(run, folder, readings, _rows_read(run, plans, list(held.values())))

    own, numbers = local_groups(mesh, config.groups).tolist(), {task: number for number, task in enumerate(tasks)}
    builders = [
        BatchBuilder(plan, one.cache, own, [numbers[task] for task in kept], teacher)
        for plan, one, teacher in zip(plans, readings, vectors, strict=True)
    ]
    held_numbers = [numbers[task] for task in held]
    return Prepared(
        run,
        config,
        folder,
        store.fingerprint if avoided is None else f"{store.fingerprint}-{avoided.digest}",
        mesh,
        StagedBatches(builders[0], _bare_steps(run), builders[1]) if len(builders) == 2 else builders[0],
        None if held_plan is None else BatchBuilder(held_plan, readings[-1].cache, own, held_numbers, vectors[-1]),
        0 if held_plan is None else -(-int(np.ceil(sum(task.cells for task in held_plan.tasks))) // config.groups),
        avoided,
    )


def _rows_read(
    run: RunConfig, plans: Sequence[MixturePlan], held: Sequence[Int64[np.ndarray, "_"]]
) -> list[Int64[np.ndarray, "_"]]:
    """The rows that each reading's steps take, and all held-out ones with the last: a teacher need not read others."""
    if not run.distill.on:
        return [np.zeros(0, np.int64)] * len(plans)
    alone = _bare_steps(run)
    steps = [alone, run.steps - alone] if len(plans) == 2 else [run.steps]
    rows = [plan.rows_of_steps(count) for plan, count in zip(plans, steps, strict=True)]
    rows[-1] = np.concatenate([rows[-1], *held])
    return rows


def _bare_steps(run: RunConfig) -> int:
    """Steps of a first stage in which texts are read without their instructions."""
    if not (run.distill.on and run.distill.bare and run.mixture.instructions):
        return 0
    return run.distill.steps_alone(run.steps)


def model_folder(run: RunConfig, source: ExampleSource) -> ModelFolder:
    """Shape and tokenizer of the model: those of `run.start`, or of random weights with a vocabulary of their own."""
    if run.start:
        folder = read_folder(resolve_model(run.start))
        model = folder.config
        if not model.normalize:
            logger.warning("%s does not normalise its vectors; the trained model will", run.start)
    else:
        model = run.model
        path = Path(run.tokenizer) if run.tokenizer else Path(run.output) / "tokenizer"
        if not run.tokenizer:
            path.parent.mkdir(parents=True, exist_ok=True)
            with one_process(path.with_name("tokenizer.lock")):
                train_vocabulary(source, path, model.encoder.vocab, run.seed, run.lowercase)
        size = vocabulary_size(path)
        if not run.tokenizer and size is not None and size < model.encoder.vocab:
            rounded = min(-(-size // 128) * 128, model.encoder.vocab)  # divisible among devices
            model = dataclasses.replace(model, encoder=dataclasses.replace(model.encoder, vocab=rounded))
        if size is not None and size > model.encoder.vocab:
            raise ValueError(
                f"model.encoder.vocab={model.encoder.vocab} must be at least {size}, the pieces of the tokenizer in "
                f"{path}."
            )
        folder = ModelFolder(path, model)
    return dataclasses.replace(folder, config=trained_model(run, model))


def trained_model(run: RunConfig, model: ModelConfig) -> ModelConfig:
    """A model as a run trains it: vectors of unit length, texts as long as the run says."""
    return dataclasses.replace(model, normalize=True, max_length=run.max_length or model.max_length)


def train_config(run: RunConfig, model: ModelConfig, shape: GroupShape, tasks: tuple[str, ...]) -> TrainConfig:
    """What the run computes."""
    optimizer = run.optimizer
    if not optimizer.schedule_steps:
        optimizer = dataclasses.replace(optimizer, schedule_steps=run.steps)
    return TrainConfig(
        model=model,
        group=shape,
        groups=run.batch.groups,
        steps=run.steps,
        loss=run.loss,
        distill=run.distill,
        optimizer=optimizer,
        mesh=run.mesh,
        tasks=tasks,
        seed=run.seed,
        dropout=run.dropout,
        dtype=run.dtype,
        chunks=run.chunks,
        remat=run.remat,
        attention=run.attention,
    )


def _cache(run: RunConfig, source: ExampleSource, folder: ModelFolder) -> TokenCache:
    model = folder.config
    tokenizer = Tokenizer(
        load_token_ids(folder.path),
        model.max_length,
        pool_instruction=model.pool_instruction,
        vocab=model.encoder.vocab,
    )
    data = Path(run.data).absolute()
    parent = data.with_name(f"{data.name}.tokens")
    return open_token_cache(source, tokenizer, tokenizer_digest(folder.path), parent, model.encoder.vocab)


def _split(
    cache: TokenCache, tasks: Sequence[str], count: int
) -> tuple[dict[str, Int64[np.ndarray, "kept"]], dict[str, Int64[np.ndarray, "held"]]]:
    parts = {task: hold_out(cache.tasks[task], count, task) for task in tasks}
    return {task: kept for task, (kept, _) in parts.items()}, {
        task: held for task, (_, held) in parts.items() if len(held)
    }


def _weights(run: RunConfig, tasks: dict[str, Int64[np.ndarray, "_"]]) -> Float64[np.ndarray, "tasks"]:
    return shares_of({task: len(rows) for task, rows in tasks.items()}, run.mixture)


def _plan(
    run: RunConfig, cache: TokenCache, tasks: dict[str, Int64[np.ndarray, "kept"]], shape: GroupShape
) -> MixturePlan:
    fixed = run.mixture.rows_per_group or None
    weights = _weights(run, tasks)
    plan = MixturePlan(cache.rows, tasks, weights, shape, run.batch.groups, run.seed, fixed, run.mixture.shuffle)
    if not fixed:
        plan.warn_of_padding()
    return plan


def _group_shape(
    run: RunConfig, model: ModelConfig, caches: Sequence[TokenCache], tasks: dict[str, Int64[np.ndarray, "kept"]]
) -> GroupShape:
    batch, length = run.batch, run.batch.length or model.max_length
    examples = run.mixture.rows_per_group or batch.examples
    if not examples:
        weights = _weights(run, tasks)
        tokens = batch.rows * length
        examples = max(examples_needed(one.rows, tasks, weights, tokens, batch.negatives) for one in caches)
        room = GroupShape(batch.rows, length, 1, batch.negatives)  # small groups have less room than the least answer
        examples = min(examples, max(1, batch.rows * room.segments_per_row // room.texts_per_example))
    return GroupShape(batch.rows, length, examples, batch.negatives)


def _held_out_plan(
    cache: TokenCache, held: dict[str, Int64[np.ndarray, "held"]], shape: GroupShape, config: TrainConfig
) -> MixturePlan | None:
    """All held-out rows about once: tasks by their tokens, so that one pass over the batches is one over each task."""
    if not held:
        return None
    weights = [float(cache.rows.costs(shape.negatives, 1, rows).sum(dtype=np.int64)) for rows in held.values()]
    return MixturePlan(cache.rows, held, weights, shape, config.groups, seed=0)
