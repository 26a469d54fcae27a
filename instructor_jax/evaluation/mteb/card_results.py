"""MTEB's results of a model in the card of its folder: the `model-index` that the Hugging Face hub shows as results."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from instructor_jax.evaluation.mteb.exported import results_of
from instructor_jax.evaluation.mteb.model_card import CARD, read_model_card
from instructor_jax.evaluation.mteb.registered import instructor_meta
from instructor_jax.io.atomic import whole_file
from instructor_jax.io.bounds import SETTINGS_BYTES
from instructor_jax.io.folders import read_folder
from instructor_jax.io.json_files import read_bytes
from instructor_jax.io.printable import one_line
from instructor_jax.publishing.card import folder_card

if TYPE_CHECKING:
    from huggingface_hub import EvalResult


def write_results_into_card(folder: Path, evaluation: Path, name: str | None = None) -> int:
    """Writes a model's results into the head of its card; results of other tasks that stand there stay.

    Args:
        folder: Folder of the model; one without a card gets one.
        evaluation: Output folder of the evaluation.
        name: Name of the model on the hub, ORGANISATION/MODEL; by default that of the folder.

    Returns:
        The number of figures that were written, one for each subset and split of a task.

    Raises:
        ValueError: The folder is no model, its card is broken or a link, or there are no results of the model as it
            is now.
    """
    opened = read_folder(folder)
    read_model_card(folder)  # tells what is wrong with it
    card = folder / CARD
    if card.is_symlink():
        raise ValueError(f"{card} is a link; put the file itself into the folder before it is written.")
    called = name or folder.resolve().name
    figures = [
        one
        for result in results_of(str(folder), evaluation, instructor_meta(str(folder)))
        for one in _figures(result)
        if math.isfinite(one.metric_value)
    ]
    text = read_bytes(card, SETTINGS_BYTES).decode("utf-8") if card.is_file() else folder_card(opened, called)
    with whole_file(card) as draft:
        draft.write_text(with_results(text, figures, called.rpartition("/")[2], str(card)), encoding="utf-8")
    return len(figures)


def _figures(result: Any) -> "list[EvalResult]":
    """Returns the main score of each split and subset of a `mteb.results.TaskResult`, as MTEB has it, mostly 0 to 1."""
    import mteb
    from huggingface_hub import EvalResult

    metadata = mteb.get_task(result.task_name).metadata
    return [
        EvalResult(
            task_type=metadata.type,
            dataset_type=metadata.dataset["path"],
            dataset_name=f"MTEB {metadata.name} ({entry['hf_subset']})",
            dataset_config=entry["hf_subset"],
            dataset_split=split,
            dataset_revision=result.dataset_revision,
            metric_type=metadata.main_score,
            metric_value=entry["main_score"],
        )
        for split, entries in result.scores.items()
        for entry in entries
    ]


def with_results(card: str, figures: "Sequence[EvalResult]", name: str, where: str) -> str:
    """Returns a card whose head has these results, in the place of those of the same tasks.

    Args:
        card: Card in Markdown, with or without a head.
        figures: Results.
        name: Name of the model, without organisation.
        where: Name of the card's file, for messages.

    Raises:
        ValueError: The card's head has a `model-index` that cannot be read.
    """
    from huggingface_hub import ModelCard

    try:
        read: Any = ModelCard(card, ignore_metadata_errors=False)
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError(f"{where}: its head cannot be read ({one_line(str(error), 200)}).") from error
    new = {one.unique_identifier for one in figures}
    kept = [one for one in read.data.eval_results or [] if one.unique_identifier not in new]
    read.data.eval_results = [*kept, *figures]
    read.data.model_name = read.data.model_name or name
    return str(read)
