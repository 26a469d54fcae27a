"""`instructor-jax plan RECIPE --topology v5e:16x16 key=value ...`: what a run takes on devices that nobody has yet."""

import json as json_format
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from cyclopts import Parameter

from instructor_jax.io.log_lines import log_to_stderr

if TYPE_CHECKING:
    from ..own_loss import OwnLoss
    from ..settings.run_config import RunConfig
    from .record import Plan

# The TPU compiler looks for the machine's own TPUs when it is loaded, over the network too; it needs none here.
_NO_TPU_HERE = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_STDERR_LOG_LEVEL": "3",
    "TPU_MIN_LOG_LEVEL": "3",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # else a second plan beside a first one is refused, though neither has a TPU
}


def plan(
    recipe_name: Annotated[str, Parameter(name="recipe")],
    /,
    *settings: str,
    topology: str,
    config: Path | None = None,
    json: Path | None = None,
    encode: Annotated[bool, Parameter(negative="")] = False,
    sweep: Annotated[bool, Parameter(negative="")] = False,
    output: Path = Path("plan"),
    price_per_hour: float | None = None,
) -> None:
    """Plan a training run for devices that need not be there: memory, time, traffic, what limits it.

    The very step of the recipe is compiled for the topology, by the real
    compiler, on this machine; nothing runs. TPU slices are named FAMILY:SHAPE
    (v4, v5e, v5p, v6e, tpu7x), the GPUs of a machine CARD:NUMBER (h100, h200,
    b200), devices of this machine cpu, cpu:8 or gpu. With data=FOLDER the
    lengths of its texts are measured; without, every text is taken to be as
    long as it may be.

    Where batch.groups, mesh, gradient_cache_chunks or remat is not given, one
    that suits the devices is chosen, with 5 compilations at most. Then come the
    evaluation of a run and the export of its model, which need room beside the
    optimizer's state.

    For example:

      instructor-jax plan instructor_xl --topology v5e:16x16
      instructor-jax plan modern_base --topology v5e:4x4 --price-per-hour 1.20

      instructor-jax plan modern_base --topology v5e:16x16 init_from=gtr-t5-xl \\
          mesh.data=16 mesh.fsdp=16 batch.groups=256 batch.rows=48 \\
          gradient_cache_chunks=4 remat=full --json xl.json

      instructor-jax plan modern_base --topology v5e:4x4 batch.groups=16 \\
          --sweep --output plans
      instructor-jax plan modern_base --topology v5e:1x1 --encode batch.groups=1
      instructor-jax plan modern_base --topology h100:8 batch.groups=8
      instructor-jax plan instructor_large --topology '2*v5e:16x16'
      instructor-jax plan tiny --topology cpu:8 batch.groups=8

    Args:
        recipe_name: The recipe of the run, as of `instructor-jax train`; FILE.py:FUNCTION too.
        settings: key=value, as of `instructor-jax train`.
        topology: What devices, as v5e:16x16 or h100:8.
        config: TOML file of settings, laid over the recipe before those of the command line.
        json: File that gets the plan (with --sweep all plans) for programs.
        encode: Plan a call of bulk inference with the recipe's model and batch instead of a training step.
        sweep: Look for the best mesh and the largest batch, with 12 compilations at most.
        output: Folder that gets table and plot of --sweep.
        price_per_hour: Price of one chip for an hour, in your currency, for the costs of 1,000 steps.
    """
    asked = _Asked(topology, encode, sweep, output, json, config, price_per_hour)
    _run(recipe_name, settings, asked)


class _Asked(NamedTuple):
    """The options of the command, but for the recipe and its settings."""

    topology: str
    encode: bool
    sweep: bool
    output: Path
    json: Path | None
    config: Path | None
    price: float | None


def _run(recipe_name: str, settings: tuple[str, ...], asked: _Asked) -> None:
    from ..recipe_files import load_recipe
    from ..settings.overrides import given_keys, override
    from .own_files import refuse_other_files

    if asked.price is not None and not 0 <= asked.price < float("inf"):
        raise ValueError(f"--price-per-hour={asked.price} must be a number of at least 0.")
    recipe, config = load_recipe(recipe_name), asked.config
    run, given = override(recipe.config, settings, config), given_keys(recipe.config, settings, config)
    refuse_other_files(asked.json, asked.output if asked.sweep else None, [] if config is None else [config])
    log_to_stderr()
    logging.getLogger("instructor_jax").setLevel(logging.WARNING)
    _ready(asked.topology)
    if asked.sweep and asked.encode:
        raise ValueError("--sweep is for training steps; drop --encode, or plan several batches one by one.")
    if asked.sweep:
        found = _sweep(run, given, asked.topology, asked.output, recipe.loss)
    else:
        from .report import lines_of_others, report

        found = [_encode(run, given, asked.topology)] if asked.encode else _whole(run, given, asked, recipe.loss)
        print(report(found[0], asked.price))
        if others := lines_of_others(found[1:]):
            print(f"\nbesides the step\n{others}")
    if asked.json is not None:
        _write(asked.json, _as_json(found, asked.sweep))


def _ready(topology: str) -> None:
    """Settles what JAX and the TPU compiler may be told only before they are loaded."""
    import jax

    from .topology import devices_named, is_here

    platform = topology.partition(":")[0]
    count = devices_named(topology) if is_here(topology) else None
    try:
        if not is_here(topology):
            for name, value in _NO_TPU_HERE.items():
                os.environ.setdefault(name, value)
            jax.config.update("jax_platforms", "cpu")
        elif platform == "cpu":
            jax.config.update("jax_platforms", "cpu")
            if count is not None:
                jax.config.update("jax_num_cpu_devices", count)
        else:  # else an installed compiler for TPUs reports at length that there is none
            jax.config.update("jax_platforms", "cuda,cpu")
    except RuntimeError:  # JAX runs already: its devices are what they are, and are counted later
        return


def _whole(run: "RunConfig", given: frozenset[str], asked: _Asked, loss: "OwnLoss | None") -> "list[Plan]":
    """Plans the step, and then what else a run needs."""
    from instructor_jax.progress import progress

    from .mixture import config_and_fill
    from .search.choice import chosen_plan, told_by
    from .search.planner import planner
    from .settings import planned_config
    from .topology import devices_of
    from .whole_run import plan_evaluation, plan_export

    config, fill = config_and_fill(run) if run.data else (planned_config(run), 1.0)
    topology, devices = asked.topology, devices_of(asked.topology)
    with progress("compilations", None, " plan") as bar:
        config, step = chosen_plan(config, given, told_by(devices), planner(run, topology, fill, loss, bar))
    return [step, plan_evaluation(config, topology), plan_export(config, topology, run.export)]


def _encode(run: "RunConfig", given: frozenset[str], topology: str) -> "Plan":
    from instructor_jax.nn.compute import Compute
    from instructor_jax.text.buckets import Bucket

    from .plan import plan_encode
    from .settings import planned_model
    from .topology import devices_of

    model = planned_model(run)
    bucket = Bucket(run.batch.length or model.max_length, run.batch.rows)
    compute = Compute(run.dtype, attention=run.attention)
    groups = run.batch.groups
    if "batch.groups" not in given:
        data, fsdp, _ = run.mesh.resolve(len(devices_of(topology)))
        groups = -(-groups // (data * fsdp)) * data * fsdp
    return plan_encode(model, compute, topology, run.mesh, bucket, groups)


def _sweep(
    run: "RunConfig", given: frozenset[str], topology: str, output: Path, loss: "OwnLoss | None"
) -> "list[Plan]":
    from instructor_jax.progress import progress

    from .mixture import config_and_fill
    from .own_files import PLOT, TABLE
    from .report import table
    from .search.choice import scaled, told_by
    from .search.planner import planner
    from .search.sweep import MOST, sweep, write_plot
    from .settings import planned_config
    from .topology import devices_of

    config, fill = config_and_fill(run) if run.data else (planned_config(run), 1.0)
    devices = devices_of(topology)
    config = scaled(config, given, told_by(devices))
    with progress("compilations", MOST, " plan") as bar:
        found = sweep(config, len(devices), planner(run, topology, fill, loss, bar))
    lines = [table(found.plans)]
    for what, one in (("best mesh", found.best), ("largest batch", found.largest)):
        if one is not None:
            mesh = " x ".join(f"{name} {size}" for name, size in one.mesh.items())
            lines.append(f"{what}: {mesh}, {one.settings['examples']:,} examples, remat={one.settings['remat']}")
    if found.best is None:
        lines.append("nothing fits")
    lines += [f"impossible: {reason}" for reason in found.refused]
    print("\n\n".join(lines))
    output.mkdir(parents=True, exist_ok=True)
    _write(output / TABLE, "\n\n".join(lines) + "\n")
    if found.plans:
        write_plot(found, output / PLOT)
    return list(found.plans)


def _as_json(found: "list[Plan]", sweep: bool) -> str:
    """Returns all plans of a sweep as a list; else the first, with those of a run's other programs in it."""
    from .record import to_json

    values = [to_json(one) for one in found]
    whole = {} if sweep else values[0] | {one["what"]: one for one in values[1:]}
    return json_format.dumps(values if sweep else whole, indent=1) + "\n"


def _write(path: Path, text: str) -> None:
    from instructor_jax.io.atomic import whole_file

    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8")
