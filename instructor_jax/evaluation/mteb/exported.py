"""MTEB's result files of one model, copied under the name, revision and record that the leaderboard is to show."""

from pathlib import Path
from typing import Any

from instructor_jax.evaluation.embedders import folder_hash, jax_model_name
from instructor_jax.evaluation.mteb.results import META, load_result, refuse_other_results, save_result
from instructor_jax.io.hub import resolve_model
from instructor_jax.io.printable import shown


def export_results(model: str, evaluation: Path, to: Path, meta: Any) -> list[Path]:
    """Copies the results of a model's default run: TO/results/ORGANISATION__MODEL/REVISION/TASK.json.

    Args:
        model: the model as it was evaluated: a folder, a name on the hub, or "default".
        evaluation: output folder of the evaluation.
        to: folder of the copies; results of other models may lie there.
        meta: the record to file them under, from `instructor_meta`.

    Returns:
        the copies, in the order of their tasks.

    Raises:
        ValueError: there are no results of this model as it is now.
        NotOursError: a file that is no result of MTEB lies where one would be written.
    """
    results = results_of(model, evaluation, meta)
    for result in results:
        refuse_other_results(result.task_name, meta, to)
    to.mkdir(parents=True, exist_ok=True)
    return [save_result(result, meta, to, {}) for result in results]


def results_of(model: str, evaluation: Path, meta: Any) -> list[Any]:
    """Reads the results of a model's default run on all examples.

    Args:
        model: the model as it was evaluated: a folder, a name on the hub, or "default".
        evaluation: output folder of the evaluation.
        meta: a record of the model, from `instructor_meta`, under any name.

    Returns:
        a `mteb.results.TaskResult` for each task, in the order of their names.

    Raises:
        ValueError: there are no results of this model as it is now, or one cannot be read.
    """
    folder = resolve_model(model, revision=None)
    run = meta.model_copy(update={"name": jax_model_name(model), "revision": folder_hash(folder)})
    source = evaluation / "mteb" / "results" / run.model_name_as_path() / run.revision
    tasks = sorted(path.stem for path in source.glob("*.json") if path.name != META)
    if not tasks:
        raise ValueError(
            f"{evaluation} has no results of {shown(model)} as it is now, of the default protocol and all examples "
            f"({source} is absent or empty); run instructor-jax evaluate {model} --benchmark mteb -o {evaluation}"
        )
    results = {task: load_result(task, run, evaluation / "mteb") for task in tasks}
    for task, result in results.items():
        if result is None:
            raise ValueError(f"{source / task}.json cannot be read; delete it and run the task again.")
    return list(results.values())
