"""Runs jobs one after another, each finished one on disk before the next begins: killed and restarted, nothing repeats.

A run is a model under one protocol with one set of instructions; each has a folder `runs/<label>` of its own in the
output, so that runs stand side by side in one report and never overwrite each other.
"""

import dataclasses
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from instructor_jax.evaluation.embedder import Embedder
from instructor_jax.evaluation.protocol import Protocol
from instructor_jax.evaluation.scores import Job, ScoreFolder, TaskScore, fingerprint, missing
from instructor_jax.evaluation.task_instructions import InstructionTable
from instructor_jax.io.atomic import whole_file
from instructor_jax.io.json_files import Fields, read_json
from instructor_jax.io.printable import one_line
from instructor_jax.requirements import installed_version

logger: logging.Logger = logging.getLogger(__name__)

RECORD = "run.json"
_PACKAGES = ("instructor-jax", "mteb", "jax", "torch", "sentence-transformers", "scikit-learn", "scipy", "numpy")


@dataclasses.dataclass(frozen=True)
class Run:
    """What sets a run apart.

    Attributes:
        model: Name of the embedder.
        revision: Revision of the embedder.
        parameters: Number of the model's parameters.
        dimension: Dimension of its vectors.
        max_length: Largest number of tokens that it reads.
        protocol: Switches of the protocol by name.
        protocol_name: Name of the protocol, "corrected", "published" or "custom".
        instructions: Where the instructions come from.
        limit: Largest number of examples of a task; None for all.
        seed: Random seed for the choice of those examples.
    """

    model: str
    revision: str
    parameters: int
    dimension: int
    max_length: int
    protocol: Mapping[str, Any]
    protocol_name: str
    instructions: str
    limit: int | None
    seed: int

    @property
    def settings(self) -> dict[str, Any]:
        """Returns what the score of any task depends on; its instructions and data are the job's."""
        names = ("model", "revision", "protocol", "limit", "seed")
        return {name: getattr(self, name) for name in names}

    @property
    def label(self) -> str:
        """Returns a name for its folder, readable and its own."""
        digits = fingerprint({**self.settings, "instructions": self.instructions})[:6]
        size = "" if self.limit is None else f"-limit{self.limit}"
        return f"{self.model.replace('/', '__')}-{self.revision[:8]}-{self.protocol_name}{size}-{digits}"

    @property
    def title(self) -> str:
        """Returns a name for tables: the model, and what is not the default."""
        other = [] if self.protocol_name == "corrected" else [f"{self.protocol_name} protocol"]
        other += [] if self.instructions == DEFAULT_INSTRUCTIONS else [self.instructions]
        other += [] if self.limit is None else [f"at most {self.limit}"]
        return self.model + (f" ({', '.join(other)})" if other else "")

    @property
    def experiment(self) -> dict[str, Any] | None:
        """Returns what MTEB files the results under; None for the default run of a model."""
        default = self.protocol_name == "corrected" and self.instructions == DEFAULT_INSTRUCTIONS and self.limit is None
        return None if default else {"run": self.label.rpartition("-")[2]}


DEFAULT_INSTRUCTIONS = "task_instructions.csv"


def describe(embedder: Embedder, table: InstructionTable, protocol: Protocol, limit: int | None, seed: int) -> Run:
    """Returns the run of a model under these settings."""
    return Run(
        model=embedder.name,
        revision=embedder.revision,
        parameters=embedder.parameters,
        dimension=embedder.dimension,
        max_length=embedder.max_length,
        protocol=protocol.settings(),
        protocol_name=protocol.name,
        instructions=table.source,
        limit=limit,
        seed=seed,
    )


def run_jobs(embedder: Embedder, jobs: Sequence[Job], run: Run, output: Path, study: str = "") -> list[TaskScore]:
    """Runs what is not finished yet; returns every job's score, in their order.

    A run that is only a study's is marked as such, so that reports of models leave it out.

    A job that raises ValueError or OSError (a broken file, a task that cannot be computed) is reported as not run, and
    the others go on; anything else is a bug and stops the run, of which nothing is lost.
    """
    folder = output / "runs" / run.label
    folder.mkdir(parents=True, exist_ok=True)
    _write_record(folder / RECORD, run, study)
    scores = ScoreFolder(folder)
    outcome = []
    with tqdm(jobs, unit="task", disable=None, dynamic_ncols=True) as bar:
        for job in bar:
            bar.set_description(one_line(job.task, 60))
            settings = {**run.settings, **job.settings}
            score = scores.finished(job.benchmark, job.task, settings)
            if score is None:
                score = _attempt(job, embedder)
                scores.save(score, settings)
                _log(score)
            else:
                logger.info("%s is finished: %.2f", job.task, score.score)
            outcome.append(score)
    return outcome


def read_runs(output: Path) -> list[tuple[Run, list[TaskScore]]]:
    """Reads every run of an output folder that is not only a study's, in the order of their labels."""
    records = [(path, *_read_record(path)) for path in sorted((output / "runs").glob(f"*/{RECORD}"))]
    return [(run, ScoreFolder(path.parent).all()) for path, run, study in records if not study]


def _attempt(job: Job, embedder: Embedder) -> TaskScore:
    try:
        return job.run(embedder)
    except (ValueError, OSError) as error:
        logger.debug("%s failed", job.task, exc_info=True)
        return missing(job.benchmark, job.task, job.kind, "", f"failed: {error}")


def _log(score: TaskScore) -> None:
    if score.score is None:
        logger.warning("%s did not run: %s", score.task, score.reason)
    else:
        logger.info("%s: %s %.2f", score.task, score.metric, score.score)


def _write_record(path: Path, run: Run, study: str) -> None:
    before = _read_record(path)[1] if os.path.lexists(path) else study  # what is no record of ours is not replaced
    content = {
        **dataclasses.asdict(run),
        "study": study and before,
        "python": sys.version.split()[0],
        "packages": {package: found for package in _PACKAGES if (found := installed_version(package))},
    }
    with whole_file(path) as beside:
        beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _read_record(path: Path) -> tuple[Run, str]:
    try:
        fields = Fields(read_json(path), path)
        protocol = dict(Fields(fields.any("protocol"), path).content)
        Protocol(**protocol)
        run = Run(
            model=fields.text("model"),
            revision=fields.text("revision"),
            parameters=fields.whole("parameters", most=2**62),
            dimension=fields.whole("dimension"),
            max_length=fields.whole("max_length", most=2**62),
            protocol=protocol,
            protocol_name=fields.text("protocol_name"),
            instructions=fields.text("instructions"),
            limit=fields.whole("limit", most=2**62) if "limit" in fields else None,
            seed=fields.whole("seed", least=-(2**63), most=2**63),
        )
        return run, fields.text("study")
    except (ValueError, TypeError) as error:
        reason = one_line(str(error), 300)
        raise ValueError(f"{path} is not the record of a run: {reason} Delete its folder to run again.") from error
