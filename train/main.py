"""`instructor-jax train RECIPE key=value ...`: train a model, or go on where the same command stopped."""

import logging
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from instructor_jax.io.log_lines import log_to_stderr
from instructor_jax.io.printable import one_line, printable
from instructor_jax.option_types import WholeNumber

if TYPE_CHECKING:
    from .recipe_files import Recipe
    from .run.distributed import Processes

logger: logging.Logger = logging.getLogger(__name__)


def train(
    recipe_name: Annotated[str | None, Parameter(name="recipe")] = None,
    /,
    *settings: str,
    config: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    show: Annotated[bool, Parameter(negative="")] = False,
    list_: Annotated[bool, Parameter(name="--list", negative="")] = False,
    coordinator: str | None = None,
    processes: WholeNumber | None = None,
    process: WholeNumber | None = None,
) -> int:
    """Train an embedding model on a mixture; killed and started again it goes on where it was.

    RECIPE is one of --list (tiny is for laptops, modern_base for a real model),
    or a function of a file of your own, path/to/file.py:function, which is run;
    settings change single values of it. OUTPUT gets checkpoints, metrics.jsonl,
    TensorBoard files, report.html and at the end the folder model, which this
    program and sentence-transformers open.

    Stopped by SIGTERM or Ctrl-C it saves and exits with 75 or 130, not with 0:
    the run is not finished, and the same command goes on.

    For example:

      instructor-jax train --list
      instructor-jax train modern_base --help

      instructor-jax medi import pairs.jsonl --to data/mine
      instructor-jax train tiny data=data/mine output=runs/tiny steps=500

      instructor-jax train modern_base data=data/medi output=runs/modern \\
          batch.groups=32 optimizer.learning_rate=1e-4 mesh.fsdp=8

      instructor-jax train ./my_recipes.py:tiny_siglip data=data/mine \\
          output=runs/siglip

      instructor-jax train modern_base --dry-run
      instructor-jax train tiny --show

      instructor-jax train modern_base data=data/medi output=runs/two \\
          --coordinator host0:1234 --processes 2 --process 0

    Args:
        recipe_name: The settings to start from: a recipe, or FILE.py:FUNCTION that returns a RunConfig, or a Recipe
            with a loss, examples or a metrics function of your own.
        settings: key=value; values are TOML, quotes around texts may be left out.
        config: TOML file of settings, laid over the recipe before those of the command line.
        dry_run: Check what can be checked, say what would be trained and what was not checked, and write nothing; needs
            neither data nor output.
        show: Print all settings of the recipe, and stop.
        list_: Print what each recipe is for, how large it is and where it is meant to run, and stop.
        coordinator: HOST:PORT of process 0, for several processes that no scheduler or launcher started.
        processes: How many they are; 1 alone where a scheduler speaks of others that are none of this run.
        process: Which of them this is, from 0.
    """
    if list_:
        return _list()
    recipe = _recipe(recipe_name, settings, config)
    if show:
        return _show(recipe, str(recipe_name))
    from .run.distributed import Processes

    log_to_stderr()
    own = Processes(coordinator, processes, process)
    return _dry_run(recipe, own) if dry_run else _train(recipe, own, str(recipe_name))


def _list() -> int:
    from .recipe_help import recipe_list

    print(recipe_list(_columns()))
    return 0


def _recipe(name: str | None, settings: Sequence[str], config: Path | None) -> "Recipe":
    """Returns the recipe with the settings that were changed."""
    from .recipe_files import load_recipe
    from .settings.overrides import override

    if name is None:
        raise ValueError("name a recipe, such as tiny; 'instructor-jax train --list' says what each is for.")
    recipe = load_recipe(name)
    return recipe._replace(config=override(recipe.config, settings, config))


def _show(recipe: "Recipe", name: str) -> int:
    from .own_loss import loss_name
    from .settings.flat import flat

    print(printable("\n".join(f"{key} = {_shown(value)}" for key, value in flat(recipe.config).items())))
    if recipe.loss is not None:
        print(printable(f"# loss: {loss_name(recipe.loss)}, of {name}"))
    return 0


def help_for(arguments: Sequence[str]) -> str | None:
    """Returns the help of the recipe that is named first; None where none is, and the verb's own help is meant."""
    from .recipe_help import recipe_page
    from .recipes import RECIPES

    return recipe_page(arguments[0], _columns()) if arguments[0] in RECIPES else None


def _columns() -> int:
    return min(shutil.get_terminal_size((100, 24)).columns, 100)


def _dry_run(recipe: "Recipe", own: "Processes") -> int:
    from .dry_run import dry_run
    from .run.distributed import is_main, join

    join(own)
    told = dry_run(recipe.config, recipe.loss, recipe.examples)
    if is_main():
        print(printable(told), flush=True)
    return 0


def _train(recipe: "Recipe", own: "Processes", name: str) -> int:
    import jax

    from instructor_jax.io.remote.folders import joined

    from .main_evaluation import decontamination_texts, evaluation
    from .remote_run import on_this_machine
    from .run.description import description, shown
    from .run.distributed import is_main, join
    from .run.loop import MODEL
    from .run.loop import train as loop
    from .run.metrics_logger import NonFiniteLoss
    from .run.preemption import StoppedEarly, StopRequest
    from .run.preparation import prepare
    from .run.report import write_report
    from .run.run_folder import check_output

    join(own)
    stop = StopRequest()
    try:
        with stop, on_this_machine(recipe.config) as run:
            if run.output:
                check_output(Path(run.output), Path(run.data))
            prepared = prepare(run, avoid=decontamination_texts(run), loss=recipe.loss, examples=recipe.examples)
            evaluate = evaluation(prepared)
            if is_main():
                lines = description(run, prepared.config, prepared.mesh, prepared.batches.plan, prepared.loss)
                print(printable(shown(lines)), flush=True)
            outcome = loop(prepared, stop, evaluate, recipe.on_metrics)
            if is_main():
                title = f"Training of {recipe.config.output.rstrip('/').rpartition('/')[2]} ({name})"
                report = write_report(Path(run.output), title).name
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
        if outcome.finished:
            model, page = (joined(recipe.config.output, name) for name in (MODEL, report))
            print(printable(f"{outcome.step:,} steps; model: {model}; report: {page}"))
        else:
            print(f"stopped and saved at step {outcome.step:,}; the same command goes on from there")
    return 0 if outcome.finished else stop.exit_code


def too_large(error: Exception) -> str | None:
    """Returns what to do where the devices' memory did not suffice; None for any other error."""
    import jax

    if not isinstance(error, jax.errors.JaxRuntimeError) or "RESOURCE_EXHAUSTED" not in str(error):
        return None
    reason = one_line(str(error), 200)
    return (
        f"the step does not fit into the devices' memory ({reason}); lower batch.rows, or raise gradient_cache_chunks."
    )


def stop_message(error: Exception) -> str:
    """Returns the last words of one of several processes: its own mistake, or that it may have lost the others."""
    import jax

    own = f"process {jax.process_index()} of {jax.process_count()}: {type(error).__name__}: {error}"
    if not isinstance(error, jax.errors.JaxRuntimeError):
        return own
    return (
        f"{own}\nAnother process of the run may be gone; its own last words tell why. Start all of them again with the "
        "same command: they go on from the last checkpoint."
    )


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)
