"""A few small evaluation tasks on the weights of a running training, through the same adapter as `evaluate`.

The programs are compiled once and take new weights each time, as they lie on the run's mesh: split, and with no copy
made. Every process of a run calls it and gets the vectors of all texts, in the same calls of the same programs; so the
scores are the same everywhere.
"""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

from instructor_jax.embedder import Instructor
from instructor_jax.evaluation.embedders import JaxEmbedder
from instructor_jax.evaluation.local.tasks import missing_tasks
from instructor_jax.evaluation.mteb.jobs import MtebOptions
from instructor_jax.evaluation.protocol import corrected
from instructor_jax.evaluation.selection import select_jobs
from instructor_jax.evaluation.task_instructions import default_table
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.nn.model import Params
from instructor_jax.nn.placement import mesh_of

logger: logging.Logger = logging.getLogger(__name__)


class TrainingEvaluation:
    """Parameters of a running training -> main scores by task, in percent."""

    def __init__(
        self, folder: ModelFolder, data: Path, tasks: Sequence[str], limit: int, instructions: bool = True
    ) -> None:
        """
        Args:
            folder: shape and tokenizer of the model.
            data: folder of the evaluation sets.
            tasks: names of local tasks.
            limit: most examples of a task.
            instructions: False for a model that is trained without.

        Raises:
            ValueError: a task is not known, or its data are not there.
            ImportError: mteb is absent.
        """
        self._folder = folder
        self._model: Instructor | None = None
        self._scratch = tempfile.TemporaryDirectory(prefix="evaluation-")
        table = default_table() if instructions else default_table().without()
        options = MtebOptions(table, corrected(), Path(self._scratch.name), limit=limit, keep_vectors=False)
        self._jobs = select_jobs("local", tasks, options, data)
        absent = missing_tasks(data)
        for task in tasks:
            if task in absent:
                raise ValueError(f"evaluation.tasks: {task} cannot run: {absent[task]}.")

    def __call__(self, params: Params) -> dict[str, float]:
        """Evaluates weights on devices or the host; a task that cannot be computed is left out, with a warning."""
        if self._model is None:
            self._model = Instructor(self._folder, params, mesh=mesh_of(params))
        else:
            self._model = self._model.with_params(params)
        model = self._model
        scores: dict[str, float] = {}
        for job in self._jobs:
            outcome = job.run(JaxEmbedder(model, "local/training", "now"))
            if outcome.score is None:
                logger.warning("%s: %s", outcome.task, outcome.reason)
            else:
                scores[outcome.task] = outcome.score
        return scores
