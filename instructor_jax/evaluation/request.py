"""What is asked for, without the model and its instructions: run on as many of both as wanted, under the same terms."""

import dataclasses
import logging
from pathlib import Path

from instructor_jax.evaluation.embedder import Embedder
from instructor_jax.evaluation.mteb.jobs import MtebOptions
from instructor_jax.evaluation.protocol import Protocol, corrected
from instructor_jax.evaluation.runner import Run, describe, run_jobs
from instructor_jax.evaluation.scores import Job, TaskScore
from instructor_jax.evaluation.selection import select_jobs
from instructor_jax.evaluation.task_instructions import InstructionTable

logger: logging.Logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Request:
    """Which tasks, and how.

    Attributes:
        benchmark: Benchmark whose tasks are run.
        output: Folder of results.
        tasks: Names of the tasks of the benchmark that are run; empty for all.
        data: Folder of local data.
        protocol: Switches of the protocol.
        limit: Largest number of examples of a task; None for all.
        seed: Random seed for the choice of those examples.
        language_model: Folder or hub name of the language model for Prompt Retrieval.
        keep_vectors: Whether corpus vectors stay on disk.
        study: Study that it is part of; such runs are reported by the study.
    """

    benchmark: str
    output: Path
    tasks: tuple[str, ...] = ()
    data: Path | None = None
    protocol: Protocol = dataclasses.field(default_factory=corrected)
    limit: int | None = None
    seed: int = 42
    language_model: str | None = None
    keep_vectors: bool = True
    study: str = ""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 2:
            raise ValueError(f"--limit {self.limit} must be at least 2.")

    def scores(self, embedder: Embedder, table: InstructionTable) -> list[TaskScore]:
        """Returns the score of every task for a model under a table of instructions; finished ones are read, not run.

        Raises:
            ValueError: an unknown task, or a data folder that is absent.
            ImportError: a package that a task needs is absent.
        """
        run = self._run(embedder, table)
        jobs = self.jobs(embedder, table)
        logger.info(
            "%s, %s protocol, instructions: %s; %d tasks", run.model, run.protocol_name, table.source, len(jobs)
        )
        return run_jobs(embedder, jobs, run, self.output, self.study)

    def jobs(self, embedder: Embedder, table: InstructionTable) -> list[Job]:
        """Returns the jobs that `scores` runs."""
        experiment = self._run(embedder, table).experiment
        options = MtebOptions(table, self.protocol, self.output, self.limit, self.seed, self.keep_vectors, experiment)
        return select_jobs(self.benchmark, self.tasks, options, self.data, self.language_model)

    def _run(self, embedder: Embedder, table: InstructionTable) -> Run:
        return describe(embedder, table, self.protocol, self.limit, self.seed)
