"""`instructor-jax evaluate`: the paper's 70 tasks and local ones, on one model or several, resumable, with a report."""

import dataclasses
import functools
import logging
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from instructor_jax.evaluation.embedder import Embedder
from instructor_jax.evaluation.embedders import load
from instructor_jax.evaluation.hub_access import offline_unless_reachable
from instructor_jax.evaluation.mteb.described import Described
from instructor_jax.evaluation.mteb.named_benchmarks import instruction_lines, known_instructions
from instructor_jax.evaluation.protocol import Protocol, corrected, published
from instructor_jax.evaluation.report.files import refuse_other_reports
from instructor_jax.evaluation.request import Request
from instructor_jax.evaluation.scores import TaskScore
from instructor_jax.evaluation.selection import OWN
from instructor_jax.evaluation.studies.outcomes import Study
from instructor_jax.evaluation.task_instructions import InstructionTable, Size, default_table, published_size
from instructor_jax.io.log_lines import log_to_stderr
from instructor_jax.io.printable import one_line, printable
from instructor_jax.option_types import WholeNumber

logger: logging.Logger = logging.getLogger(__name__)


@Parameter(name="*", group=Group("Tasks", sort_key=1))
@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """Which tasks are run, and on which data.

    Attributes:
        benchmark: Which tasks: mteb (the paper's 56), billboard, prompt-retrieval, local (every set of the data
            folder), all of these, or a benchmark of MTEB by its own name, such as "MTEB(eng, v2)".
        tasks: Only these tasks of the benchmark, by name.
        data: Folder of local data, a sub-folder for each set; MTEB's tasks are read from here too where it has them.
        limit: Most examples of a task. Both sides of a comparison get the same, but scores are not the tasks' own.
        seed: Random seed for the choice of those examples.
        language_model: Folder or hub name of a causal language model for Prompt Retrieval (extra torch). Without one
            the agreement of labels is measured instead, which is not the paper's number.
    """

    benchmark: str = "all"
    tasks: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = ()
    data: Path | None = None
    limit: WholeNumber | None = None
    seed: WholeNumber = 42
    language_model: str | None = None

    def request(self, output: Path, protocol: Protocol, *, keep_vectors: bool) -> Request:
        """Returns the request for these tasks under a protocol."""
        return Request(
            self.benchmark,
            output,
            self.tasks,
            self.data,
            protocol,
            self.limit,
            self.seed,
            self.language_model,
            keep_vectors,
        )


@Parameter(name="*", group=Group("Protocol", sort_key=2))
@dataclasses.dataclass(frozen=True, kw_only=True)
class ProtocolOptions:
    """How texts are encoded and tasks are scored.

    Attributes:
        published_protocol: Do as the code behind the published scores did: no instruction for retrieval documents nor
            for long texts to cluster, and its way with SummEval.
        instructions: CSV file of exact instruction strings, in the format of the published ones: columns task, side,
            exact (and exact_base, exact_xl).
        instructions_size: Whose strings of that file to use; by default those of the published size nearest to the
            model's.
        without_instructions: Encode every text bare.
        document_instructions: Whether retrieval documents are read under their instruction; by default as the protocol
            says.
        clustering_tokens: Texts to cluster that have more tokens than this with their instruction lose it; 0 for no
            such rule; by default as the protocol says.
    """

    published_protocol: Annotated[bool, Parameter(negative="")] = False
    instructions: Path | None = None
    instructions_size: Size | None = None
    without_instructions: Annotated[bool, Parameter(negative="")] = False
    document_instructions: bool | None = None
    clustering_tokens: WholeNumber | None = None

    def protocol(self) -> Protocol:
        """Returns the protocol that the switches make."""
        chosen = published() if self.published_protocol else corrected()
        if self.document_instructions is not None:
            chosen = dataclasses.replace(chosen, document_instructions=self.document_instructions)
        if self.clustering_tokens is not None:
            chosen = dataclasses.replace(chosen, clustering_tokens=self.clustering_tokens or None)
        return chosen

    def table(self, parameters: int, known: InstructionTable | None = None) -> InstructionTable:
        """Returns the instructions for a model of this many parameters, made from the known ones or the default ones.

        Raises:
            ValueError: a broken file, or one together with `without_instructions`.
        """
        if self.without_instructions:
            if self.instructions is not None:
                raise ValueError("--instructions and --without-instructions exclude each other.")
            return (known or default_table()).without()
        known = known or default_table()
        if self.instructions is None:
            return known
        return known.overridden_by(self.instructions, self.instructions_size or published_size(parameters))


def evaluate(
    *model: str,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("evaluation"),
    batch_size: WholeNumber | None = None,
    study: Study | None = None,
    keep_vectors: bool = True,
    chosen: TaskOptions = TaskOptions(),
    protocol: ProtocolOptions = ProtocolOptions(),
) -> None:
    """Evaluate models on the paper's tasks.

    MTEB's 56 English tasks, from the Hugging Face hub:

      instructor-jax evaluate hkunlp/instructor-large --benchmark mteb -o results

    What lies in a folder of local data, without any network, beside
    sentence-transformers:

      instructor-jax evaluate ./my-model st:./my-model \\
          --benchmark local --data eval-data -o results

    Two tasks, quickly, on at most 500 examples each:

      instructor-jax evaluate ./my-model --benchmark local --data eval-data \\
          --tasks STSBenchmark Banking77Classification --limit 500 -o quick

    As the published scores were made:

      instructor-jax evaluate hkunlp/instructor-large --data eval-data \\
          --published-protocol --instructions published_instructions.csv

    How much the wording of instructions matters:

      instructor-jax evaluate ./my-model --benchmark local --data eval-data \\
          --study paraphrase -o results

    Killed or interrupted, the same command goes on with the first unfinished
    task. Results are in OUTPUT: report.md and report.html, a JSON file a task
    under runs/, and MTEB's own result files under mteb/; of a study, its page.

    Args:
        model: Model folders or names on the hub; with "st:" in front, through sentence-transformers; "tfidf" is a
            baseline, "default" the packaged model.
        output: Folder of results; runs of other models and settings may share it.
        batch_size: Most texts in one call of the device; by default the number of tokens decides.
        study: One study of instructions on the chosen tasks: paraphrased, more or less detailed, none, or swapped with
            the other side's or another task's.
        keep_vectors: Keep vectors of retrieval corpora in OUTPUT, for restarts and other tasks.
        chosen: See TaskOptions.
        protocol: See ProtocolOptions.
    """
    if not model:
        raise ValueError("no model is named; give a folder, a name on the hub, st:FOLDER, tfidf or default")
    log_to_stderr()
    refuse_other_reports(output)
    known, described = _instructions(chosen)
    if chosen.benchmark in ("mteb", "all") or chosen.benchmark not in OWN:
        offline_unless_reachable()
    request = chosen.request(output, protocol.protocol(), keep_vectors=keep_vectors)
    scores: list[TaskScore] = []
    for name in model:
        embedder = load(name, data=chosen.data, batch_size=batch_size)
        table = protocol.table(embedder.parameters, known)
        print(*map(printable, instruction_lines(table, described)), sep="\n", end="\n" * bool(described))
        if study is None:
            scores += request.scores(embedder, table)
        else:
            _run_study(study, request, embedder, table)
    if study is None:
        _finish(output, scores)


def _instructions(chosen: TaskOptions) -> tuple[InstructionTable, dict[str, Described]]:
    """Returns the known instructions; for a benchmark of MTEB those of its tasks, too, and where they come from."""
    table = default_table()
    return (table, {}) if chosen.benchmark in OWN else known_instructions(chosen.benchmark, chosen.tasks, table)


def _run_study(study: Study, request: Request, embedder: Embedder, table: InstructionTable) -> None:
    """Runs a study on one model and prints what it found."""
    from instructor_jax.evaluation.studies.report import study_markdown
    from instructor_jax.evaluation.studies.studies import run_study

    studied = _for_study(study, request, embedder, table)
    outcome = run_study(study, functools.partial(studied.scores, embedder), table, request.output, embedder.name)
    print(printable(study_markdown(outcome)))


def _for_study(study: Study, request: Request, embedder: Embedder, table: InstructionTable) -> Request:
    """Returns the request for a study; without --tasks, of the tasks that the study has instructions for.

    Raises:
        ValueError: it has none for any of them.
    """
    from instructor_jax.evaluation.studies.studies import study_tasks

    request = dataclasses.replace(request, study=study)
    if request.tasks:
        return request
    names = [job.task for job in request.jobs(embedder, table)]
    able = study_tasks(study, names)
    if not able:
        raise ValueError(f"--study {study} has no instructions for any of these {len(names)} tasks.")
    if len(able) < len(names):
        logger.info(
            "the study leaves out %s: no instructions are written for them", ", ".join(sorted({*names} - {*able}))
        )
    return dataclasses.replace(request, tasks=tuple(able))


def _finish(output: Path, scores: list[TaskScore]) -> None:
    """Prints what ran, and where the report is; what did not run was logged with its reason."""
    from instructor_jax.evaluation.report.write import write_report

    ran = [score for score in scores if score.score is not None]
    for score in ran:
        print(f"{one_line(score.task, 80):<44}{score.score:>7.2f}  {one_line(score.metric, 80)}")
    print(f"{len(ran)} tasks run, {len(scores) - len(ran)} not run")
    markdown, page = write_report(output)
    print(printable(f"report: {markdown} and {page}"))
