"""From a `RunConfig` to everything a run needs: mixture, tokenizer, model, plan, batches, mesh. Checks all of it first.

Nothing is allocated on devices here. What takes long (vocabulary, token cache) is written to disk once and found there
by later runs and by the other processes of this one.
"""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Int64

from instructor_jax.config import ModelConfig
from instructor_jax.folders import ModelFolder, read_folder
from instructor_jax.hub import resolve_model
from instructor_jax.sharding import make_mesh
from instructor_jax.tokenization import Tokenizer, load_token_ids, vocabulary_size

from .cell_size import examples_needed
from .config import TrainConfig
from .file_lock import one_process
from .group_packing import GroupShape
from .medi.store import MediStore
from .mixture import MixturePlan, hold_out, task_weights
from .pair_batches import BatchBuilder
from .pipeline import local_groups
from .run_config import RunConfig
from .task_names import chosen_tasks
from .token_cache import ExampleSource, TokenCache, tokenizer_digest
from .token_cache_writer import open_token_cache
from .vocabulary import train_vocabulary
from .without_instructions import WithoutInstructions

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A run, ready to start.

    Attributes:
        run: what the user set.
        config: what is computed.
        folder: configuration and tokenizer of the model; its weights are those to start from if `run.start` is set.
        fingerprint: of the mixture.
        mesh: all devices of all processes.
        batches: step -> this host's part of the batch.
        held_out: number of a held-out batch -> this host's part of it; None where no rows are held out.
        held_out_batches: how many there are.
    """

    run: RunConfig
    config: TrainConfig
    folder: ModelFolder
    fingerprint: str
    mesh: Mesh
    batches: BatchBuilder
    held_out: BatchBuilder | None
    held_out_batches: int


def prepare(run: RunConfig, mesh: Mesh | None = None) -> Prepared:
    """Opens and checks everything.

    Args:
        run: the settings; `data` and `output` must be set.
        mesh: the devices; by default all, in the shape that `run.mesh` says.

    Raises:
        ValueError: something does not fit; says what, and what to change.
        FileNotFoundError: there is no mixture.
    """
    if not run.data or not run.output:
        raise ValueError("set data=FOLDER, a mixture of 'instructor-jax medi', and output=FOLDER, where the run goes.")
    mesh = make_mesh(run.mesh) if mesh is None else mesh
    store = MediStore(run.data)
    tasks = chosen_tasks(store.tasks, run.mixture.only, run.mixture.without)
    source: ExampleSource = store if run.mixture.instructions else WithoutInstructions(store)
    folder = model_folder(run, source)
    cache = _cache(run, source, folder)
    kept, held = _split(cache, tasks, run.held_out.rows)
    shape = _group_shape(run, folder.config, cache, kept)
    weights = task_weights([len(rows) for rows in kept.values()], run.mixture.cap or None, run.mixture.temperature)
    fixed = run.mixture.rows_per_group or None
    plan = MixturePlan(cache.rows, kept, weights, shape, run.batch.groups, run.seed, fixed, run.mixture.shuffle)
    if not fixed:
        plan.warn_of_padding()
    config = train_config(run, folder.config, shape, tasks).suited_to(mesh)
    config.check_mesh(mesh)
    own = local_groups(mesh, config.groups).tolist()
    held_plan = _held_out_plan(cache, held, shape, config)
    return Prepared(
        run,
        config,
        folder,
        store.fingerprint,
        mesh,
        BatchBuilder(plan, cache, own),
        None if held_plan is None else BatchBuilder(held_plan, cache, own, [tasks.index(task) for task in held]),
        0 if held_plan is None else -(-int(np.ceil(sum(task.cells for task in held_plan.tasks))) // config.groups),
    )


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
                train_vocabulary(source, path, model.encoder.vocab, run.seed)
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
    model = dataclasses.replace(model, normalize=True, max_length=run.max_length or model.max_length)
    return dataclasses.replace(folder, config=model)


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
        optimizer=optimizer,
        mesh=run.mesh,
        tasks=tasks,
        seed=run.seed,
        dropout=run.dropout,
        dtype=run.dtype,
        chunks=run.chunks,
        remat=run.remat,
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


def _group_shape(
    run: RunConfig, model: ModelConfig, cache: TokenCache, tasks: dict[str, Int64[np.ndarray, "kept"]]
) -> GroupShape:
    batch, length = run.batch, run.batch.length or model.max_length
    examples = run.mixture.rows_per_group or batch.examples
    if not examples:
        weights = task_weights([len(rows) for rows in tasks.values()], run.mixture.cap or None, run.mixture.temperature)
        examples = examples_needed(cache.rows, tasks, weights, batch.rows * length, batch.negatives)
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
