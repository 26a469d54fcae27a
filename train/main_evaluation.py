"""Where training reaches the evaluation application: by name, and only when a run asks for it."""

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .run.loop import Evaluate
    from .run.prepared import Prepared
    from .settings.run_config import RunConfig


def decontamination_texts(run: "RunConfig") -> "Iterator[tuple[str, str]] | None":
    """Returns (evaluation set, text) pairs of everything that `mixture.avoid` names; None where it names nothing.

    Raises:
        FileNotFoundError: A place does not exist.
        ValueError: A folder has none of the evaluation sets, or a file is not as expected.
    """
    if not run.mixture.avoid:
        return None
    from instructor_jax.evaluation.local.texts import local_texts

    from .data.contamination import read_evaluation_texts
    from .data.decontamination import decontamination_files

    files = decontamination_files(run.mixture.avoid)
    folders = [path for path in map(Path, run.mixture.avoid) if path.is_dir()]
    return itertools.chain(read_evaluation_texts(files), *map(local_texts, folders))


def evaluation(prepared: "Prepared") -> "Evaluate | None":
    """Returns the function that measures a run on evaluation tasks while it trains; None where none is asked for.

    Raises:
        ValueError: A task is not known, or its data are not there.
        ImportError: The extra `eval` is absent.
    """
    settings = prepared.run.evaluation
    if not settings.every:
        return None
    from instructor_jax.evaluation.in_training import TrainingEvaluation

    logging.getLogger("instructor_jax.evaluation").setLevel(logging.WARNING)  # or every string stands between the steps
    logging.getLogger("mteb").setLevel(logging.ERROR)
    instructions = prepared.run.mixture.instructions
    return TrainingEvaluation(prepared.folder, Path(settings.data), settings.tasks, settings.limit, instructions)
