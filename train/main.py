"""`instructor-jax train RECIPE key=value ...`: train a model, or go on where the same command stopped."""

import dataclasses
import itertools
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from instructor_jax.io.log_lines import log_to_stderr
from instructor_jax.io.printable import one_line, printable
from instructor_jax.train.recipes import recipe

if TYPE_CHECKING:
    from instructor_jax.train.run.loop import Evaluate
    from instructor_jax.train.run.preparation import Prepared
    from instructor_jax.train.run_config import RunConfig

logger = logging.getLogger(__name__)


def train(
    recipe_name: Annotated[str, Parameter(name="recipe")],
    /,
    *settings: str,
    config: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    show: Annotated[bool, Parameter(negative="")] = False,
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
) -> int:
    """Train an embedding model on a mixture; killed and started again it goes on where it was.

    RECIPE is tiny, default, instructor_base, instructor_large, instructor_xl or
    modern_base; settings change single values of it. OUTPUT gets checkpoints,
    metrics.jsonl, TensorBoard files, report.html and at the end the folder
    model, which this program and sentence-transformers open.

    Stopped by SIGTERM or Ctrl-C it saves and exits with 75 or 130, not with 0:
    the run is not finished, and the same command goes on.

    Examples:

      instructor-jax medi import pairs.jsonl --to data/mine
      instructor-jax train tiny data=data/mine output=runs/tiny steps=500

      instructor-jax train modern_base data=data/medi output=runs/modern \\
          batch.groups=32 optimizer.learning_rate=1e-4 mesh.fsdp=8

      instructor-jax train modern_base data=data/medi output=runs/x --dry-run
      instructor-jax train tiny --show

      instructor-jax train modern_base data=data/medi output=runs/two \\
          --coordinator host0:1234 --processes 2 --process 0

    Args:
        recipe_name: The settings to start from.
        settings: key=value; values are TOML, quotes around texts may be left out.
        config: TOML file of settings, laid over the recipe before those of the command line.
        dry_run: Check everything, print what would be trained, and stop.
        show: Print all settings of the recipe, and stop.
        coordinator: HOST:PORT of process 0, for several processes that no scheduler started.
        processes: How many they are.
        process: Which of them this is, from 0.
    """
    from instructor_jax.train.overrides import override
    from instructor_jax.train.run.distributed import Processes
    from instructor_jax.train.run_config import flat

    run = override(recipe(recipe_name), settings, config)
    if show:
        print(printable("\n".join(f"{key} = {_shown(value)}" for key, value in flat(run).items())))
        return 0
    log_to_stderr()
    own = Processes(coordinator, processes, process)
    return _train(run, own, dry_run, recipe_name)


def _train(run, own, dry_run: bool, name: str) -> int:
    import jax

    from instructor_jax.train.run.distributed import is_main, join
    from instructor_jax.train.run.loop import MODEL
    from instructor_jax.train.run.loop import train as loop
    from instructor_jax.train.run.metrics_writer import NonFiniteLoss
    from instructor_jax.train.run.preemption import StoppedEarly, StopRequest
    from instructor_jax.train.run.preparation import prepare
    from instructor_jax.train.run.report import write_report
    from instructor_jax.train.run.run_folder import check_output

    join(own)
    stop = StopRequest()
    try:
        with stop:
            if run.output and not dry_run:
                check_output(Path(run.output), Path(run.data))
            prepared = prepare(run, avoid=avoided_texts(run), with_teacher=not dry_run)
            evaluate = evaluation(prepared)
            if is_main():
                print(printable(describe(prepared)), flush=True)
            if dry_run:
                return 0
            outcome = loop(prepared, stop, evaluate)
    except StoppedEarly as stopped:
        print("stopped before a step was made; the same command goes on", file=sys.stderr, flush=True)
        # nothing is to be saved, and the interpreter would end under threads that compile or read
        os._exit(stopped.exit_code)
    except NonFiniteLoss as error:
        raise ValueError(str(error)) from error
    except Exception as error:
        if jax.process_count() == 1:
            if (message := too_large(error)) is None:
                raise
            raise ValueError(message) from error
        # the others may be gone, and JAX would wait for them when it ends
        print(stop_message(error), file=sys.stderr, flush=True)
        os._exit(1)
    if is_main():
        report = write_report(Path(run.output), f"Training of {Path(run.output).name} ({name})")
        if outcome.finished:
            print(printable(f"{outcome.step:,} steps; model: {Path(run.output) / MODEL}; report: {report}"))
        else:
            print(f"stopped and saved at step {outcome.step:,}; the same command goes on from there")
    return 0 if outcome.finished else stop.exit_code


def too_large(error: Exception) -> str | None:
    """What to do where the devices' memory did not suffice; None for any other error."""
    import jax

    if not isinstance(error, jax.errors.JaxRuntimeError) or "RESOURCE_EXHAUSTED" not in str(error):
        return None
    reason = one_line(str(error), 200)
    return f"the step does not fit into the devices' memory ({reason}); lower batch.rows, or raise chunks."


def stop_message(error: Exception) -> str:
    """What one of several processes says when it has to stop: its own mistake, or that it may have lost the others."""
    import jax

    own = f"process {jax.process_index()} of {jax.process_count()}: {type(error).__name__}: {error}"
    if not isinstance(error, jax.errors.JaxRuntimeError):
        return own
    return (
        f"{own}\nAnother process of the run may be gone; its own last words tell why. Start all of them again with the "
        "same command: they go on from the last checkpoint."
    )


def avoided_texts(run: "RunConfig") -> "Iterator[tuple[str, str]] | None":
    """(evaluation set, text) pairs of everything that `mixture.avoid` names; None where it names nothing.

    Raises:
        FileNotFoundError: a place does not exist.
        ValueError: a folder has none of the evaluation sets, or a file is not as expected.
    """
    if not run.mixture.avoid:
        return None
    from instructor_jax.evaluation.local.texts import local_texts
    from instructor_jax.train.data.contamination import read_evaluation_texts
    from instructor_jax.train.data.decontamination import avoided_files

    files = avoided_files(run.mixture.avoid)
    folders = [path for path in map(Path, run.mixture.avoid) if path.is_dir()]
    return itertools.chain(read_evaluation_texts(files), *map(local_texts, folders))


def evaluation(prepared: "Prepared") -> "Evaluate | None":
    """What the run measures on evaluation tasks while it trains, if it does.

    Raises:
        ValueError: a task is not known, or its data are not there.
        ImportError: the extra `eval` is absent.
    """
    settings = prepared.run.evaluation
    if not settings.every:
        return None
    from instructor_jax.evaluation.in_training import TrainingEvaluation

    logging.getLogger("instructor_jax.evaluation").setLevel(logging.WARNING)  # or every string stands between the steps
    logging.getLogger("mteb").setLevel(logging.ERROR)
    instructions = prepared.run.mixture.instructions
    return TrainingEvaluation(prepared.folder, Path(settings.data), settings.tasks, settings.limit, instructions)


def describe(prepared: "Prepared") -> str:
    """What is about to be trained, in a few lines."""
    import jax

    from instructor_jax.config import parameter_count

    config, plan = prepared.config, prepared.batches.plan
    group = config.group
    rows = sum(task.rows for task in plan.tasks)
    whole = config.groups * group.tokens
    alone = sum(task.alone for task in plan.tasks)
    mesh = ", ".join(f"{name} {size}" for name, size in prepared.mesh.shape.items())
    start = prepared.run.start or "random weights"
    lines = {
        "model": f"{parameter_count(config.model):,} weights, vectors of {config.model.embedding_dim}, from {start}",
        "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}, {jax.process_count()} processes ({mesh})",
        "mixture": f"{rows:,} rows of {len(plan.tasks)} tasks, {alone} of them with steps of their own",
        "step": f"{config.groups} groups of {group.rows} x {group.length} tokens = {whole:,}, "
        f"{plan.expected_fill:.1%} of them real; at most {config.groups * group.examples:,} examples, "
        f"{group.negatives} negatives each",
        "run": f"{config.steps:,} steps = {config.steps * whole * plan.expected_fill / 1e6:,.1f} M tokens, "
        f"{config.dtype}, {dataclasses.asdict(config.optimizer)['name']} at {config.optimizer.learning_rate:g}",
    }
    distill = prepared.run.distill
    if distill.teacher:
        share = f"whole loss for {distill.steps_alone(config.steps):,} steps, share {distill.weight:g} at the end"
        lines["teacher"] = f"{distill.teacher}, {share if distill.on else 'first embeddings only'}"
    return "\n".join(f"{name:8} {text}" for name, text in lines.items())


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)
