"""`--dry-run`: checks what can be checked without writing, says what would be trained, and what was not checked.

Neither data nor output are needed. What a run would make first (a vocabulary, tokens, a teacher's vectors) is used
where it is there, and named where it is not.
"""

import math
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.sharding import data_shards

from .config import TrainConfig
from .data.decontamination import decontamination_files
from .data.mixture import MixturePlan
from .own_loss import OwnLoss, try_loss
from .plan.memory import available_memory, memory_of, memory_of_refused
from .plan.program import lowered_step
from .plan.settings import planned_model
from .run.batch_plans import plan_batches
from .run.data import OpenedData, hold_out_rows, open_data, tokens_at_hand
from .run.description import description, shown
from .run.starting_model import folder_at_hand
from .run.train_config import check_settings, mesh_of
from .settings.run_config import RunConfig
from .step import abstract_state, state_shardings


def dry_run(run: RunConfig, loss: OwnLoss | None = None, examples: Any = None) -> str:
    """Checks a run and returns what it would do, in lines.

    Args:
        run: Settings of the run.
        loss: Loss in the place of the configured one.
        examples: Examples in memory, in the place of `run.data`.

    Raises:
        ValueError: Something does not fit; names the setting.
        FileNotFoundError: There is no mixture in `run.data`, or a place of `mixture.avoid` does not exist.
    """
    mesh = mesh_of(run)
    decontamination_files(run.mixture.avoid)
    data = open_data(run, examples) if run.data or examples is not None else None
    model = planned_model(run)
    config = check_settings(run, model, data.tasks if data else ("all",), mesh)
    if loss is not None:
        with jax.set_mesh(mesh):
            try_loss(loss, data_shards(mesh), model.embedding_dim, config.group.negatives, ("score", "weight"))
    folder = folder_at_hand(run)
    unchecked = _unchecked(run, data, folder)
    plan = None
    if data is not None and folder is not None:
        config, plan = _with_lengths(run, data, folder, mesh, config)
    if plan is None:
        config = config.suited_to(mesh)
        config.check_mesh(mesh)
        if data is not None:
            unchecked.insert(0, "how long texts are, and so how full steps get: the run tokenises them first")
    lines = description(run, config, mesh, plan, loss)
    if data is not None and plan is None:
        lines = _with_rows(lines, run, data)
    lines["memory"] = _memory(run, config, mesh, loss)
    lines["output"] = _output(run)
    told = ["not checked:", *(f"  - {one}" for one in unchecked)] if unchecked else []
    return "\n".join([shown(lines), *told, "nothing was written"])


def _with_lengths(
    run: RunConfig, data: OpenedData, folder: ModelFolder, mesh: Mesh, config: TrainConfig
) -> tuple[TrainConfig, MixturePlan | None]:
    """Returns the configuration and plan of the run itself where all texts were tokenised before, else no plan."""
    readings = tokens_at_hand(run, data, folder)
    if readings is None:
        return config, None
    chosen = hold_out_rows(run, data, readings[-1].cache.tasks)
    planned = plan_batches(run, folder.config, data, readings, chosen, mesh)
    return planned.config, planned.stages[-1]


def _with_rows(lines: dict[str, str], run: RunConfig, data: OpenedData) -> dict[str, str]:
    chosen = hold_out_rows(run, data, {task: data.mixture.rows(task) for task in data.tasks})
    kept, held = (sum(map(len, rows.values())) for rows in (chosen.kept, chosen.held))
    mixture = {"mixture": f"{kept:,} rows of {len(chosen.kept)} tasks, {held:,} more are held out"}
    first = {name: lines[name] for name in ("model", "devices")}
    return first | mixture | {name: text for name, text in lines.items() if name not in first}


def _memory(run: RunConfig, config: TrainConfig, mesh: Mesh, loss: OwnLoss | None) -> str:
    """Describes the bytes on one device: of the state by arithmetic, of the whole step by the compiler."""
    state, shardings = abstract_state(config), state_shardings(config, mesh)
    sizes = jax.tree.map(lambda x, place: math.prod(place.shard_shape(x.shape)) * x.dtype.itemsize, state, shardings)
    available = available_memory(list(mesh.devices.flat))
    program = lowered_step(config, mesh, loss, run.compiler.options())
    try:
        needed = memory_of(program.lowered.compile(), available)
    except jax.errors.JaxRuntimeError as error:  # some compilers refuse what the device has no memory for
        needed = memory_of_refused(str(error), program.arguments, available)
        if needed is None:
            raise
    step = needed.total
    of = "" if available is None else f", of {_size(available)}"
    too_much = (
        "; TOO MUCH: raise gradient_cache_chunks or mesh.fsdp, or lower batch.rows"
        if available and step > available
        else ""
    )
    held = f"{_size(sum(jax.tree.leaves(sizes)))} of weights and optimizer state"
    return f"{held}, {_size(step)} with the step, on each device{of}{too_much}"


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"


def _output(run: RunConfig) -> str:
    if not run.output:
        return "none is set"
    steps = [int(path.name) for path in Path(run.output).glob("checkpoints/*") if path.name.isdigit()]
    return run.output + (f", which goes on from step {max(steps):,}" if steps else "")


def _unchecked(run: RunConfig, data: OpenedData | None, folder: ModelFolder | None) -> list[str]:
    facts = {
        "data: none are given, so neither tasks nor lengths of texts": data is None,
        "output: set output=FOLDER": not run.output,
        f"init_from={run.init_from!r}: its weights and tokenizer are read when the run starts": bool(run.init_from)
        and not folder,
        "the vocabulary: the run trains one first": not run.init_from and folder is None,
        "which rows mixture.avoid leaves out": bool(run.mixture.avoid),
        f"the teacher {run.distill.teacher!r}": bool(run.distill.teacher),
        "the evaluation tasks": bool(run.evaluation.every),
        "that the settings are those of the run that output holds": (Path(run.output) / "checkpoints").is_dir()
        and bool(run.output),
    }
    return [text for text, true in facts.items() if true]
