"""Billboard: does an embedder's similarity to the references agree with what people thought of a generated text?

Three sets of system outputs with human scores (Kasai et al. 2022), as the INSTRUCTOR paper used them: references and
outputs are embedded with one instruction, an output's score is its largest cosine to any of its references, and the
figure is one Pearson correlation over all outputs of a set together. The original code pairs outputs with references by
position; here they are paired by segment, so that files in another order score the same.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from instructor_jax.evaluation.data_files import files_digest, find_file
from instructor_jax.evaluation.embedder import Embedder
from instructor_jax.evaluation.scores import Job, TaskScore, missing
from instructor_jax.evaluation.task_instructions import InstructionTable
from instructor_jax.io.tables.tables import open_table

BENCHMARK, KIND, METRIC = "billboard", "Billboard", "pearson"


@dataclasses.dataclass(frozen=True)
class BillboardSet:
    """One of the three sets.

    Attributes:
        task: Name of the set in tables of instructions and of scores.
        files: Name of the set within the names of files and folders.
        holds: Kind of the outputs, and how many the published files have.
    """

    task: str
    files: str
    holds: str


SETS = (
    BillboardSet("mscoco", "mscoco", "image captions: 500 images, 5 systems, 4 references"),
    BillboardSet("cnndm", "cnndm", "news summaries: 100 articles, 18 systems, 10 references"),
    BillboardSet("mt", "wmt20-zh-en", "translations from Chinese: 2,000 segments, 2 references"),
)


@dataclasses.dataclass(frozen=True)
class JudgedOutputs:
    """The outputs of a set, each with its references and its human score.

    Attributes:
        references: Reference texts of each segment, at least one.
        outputs: Generated texts.
        segments: Position of each output's segment in `references`.
        human: Score that people gave each output.
        systems: Number of systems that wrote the outputs.
        in_reference_order: Whether the outputs are grouped by segment in the order of the references and every segment
            has as many, as the original code presumes.
    """

    references: list[list[str]]
    outputs: list[str]
    segments: list[int]
    human: list[float]
    systems: int
    in_reference_order: bool


def jobs(data: Path, table: InstructionTable) -> list[Job]:
    """Returns the three tasks; one whose files are not under `data` reports that when it runs."""
    return [_job(data, table, each) for each in SETS]


def find_files(data: Path, billboard_set: BillboardSet) -> tuple[Path, Path] | None:
    """Returns the files of references and of outputs, or None.

    They are `<set>_references.jsonl` and `<set>_THumB-1.0.jsonl` as published, or compressed (.gz), in the folder
    `eval_billboard_<set>` or `<set>` of `data`.
    """
    name = billboard_set.files
    for folder in (data / f"eval_billboard_{name}", data / name):
        references = find_file([folder], [f"{name}_references"])
        outputs = find_file([folder], [f"{name}_THumB-1.0"])
        if references and outputs:
            return references, outputs
    return None


def read_outputs(references: Path, outputs: Path) -> JudgedOutputs:
    """Reads a set and pairs outputs with references by their `seg_id`.

    Raises:
        ValueError: a segment is given twice or has no reference, an output's segment is unknown, a system has two
            outputs for one segment, or a score is no number; with file and line.
    """
    position: dict[str, int] = {}
    texts: list[list[str]] = []
    with open_table(references) as table:
        for number, (segment, refs) in table.records(("seg_id", "refs")):
            where = f"{table.name}, line {number}"
            if str(segment) in position:
                raise ValueError(f"{where}: segment {segment!r} is there a second time")
            if not isinstance(refs, list) or not refs or not all(isinstance(text, str) for text in refs):
                raise ValueError(f"{where}: refs must be a list of at least one text, got {str(refs)[:60]}")
            position[str(segment)] = len(texts)
            texts.append(refs)
    result = JudgedOutputs(texts, [], [], [], 0, False)
    seen: set[tuple[str, str]] = set()
    with open_table(outputs) as table:
        for number, (system, segment, text, score) in table.records(("SYS", "seg_id", "hyp", "human_score")):
            where = f"{table.name}, line {number}"
            if str(segment) not in position:
                raise ValueError(f"{where}: segment {segment!r} is not in {references.name}")
            if (str(system), str(segment)) in seen:
                raise ValueError(f"{where}: a second output of {system!r} for segment {segment!r}")
            if not isinstance(text, str):
                raise ValueError(f"{where}: hyp must be text, got {str(text)[:60]!r}")
            if isinstance(score, bool) or not isinstance(score, int | float) or not abs(score) < 1e300:
                raise ValueError(f"{where}: human_score must be a number, got {score!r:.80}")
            seen.add((str(system), str(segment)))
            result.outputs.append(text)
            result.segments.append(position[str(segment)])
            result.human.append(float(score))
    each, rest = divmod(len(result.outputs), len(texts))
    ordered = rest == 0 and result.segments == [row for row in range(len(texts)) for _ in range(each)]
    return dataclasses.replace(result, systems=len({system for system, _ in seen}), in_reference_order=ordered)


def best_cosines(
    outputs: Float[np.ndarray, "documents dim"],
    references: Float[np.ndarray, "references dim"],
    owners: list[list[int]],
) -> Float[np.ndarray, " documents"]:
    """Returns each output's largest cosine to one of its references; a vector of zeros has cosine 0 to all.

    Args:
        outputs: vectors of the outputs.
        references: vectors of all references.
        owners: rows of each output's references, at least one.
    """
    outputs, references = _unit(outputs), _unit(references)
    best = [(references[rows] @ output).max() for output, rows in zip(outputs, owners, strict=True)]
    return np.array(best, dtype=np.float64)


def agreement(embedder: Embedder, judged: JudgedOutputs, instruction: str) -> float:
    """Returns Pearson's r of largest cosines and human scores, over all outputs; nan where either is constant.

    Raises:
        ImportError: SciPy is absent.
    """
    try:
        from scipy.stats import pearsonr
    except ImportError as error:
        raise ImportError("Billboard needs scipy: pip install 'instructor-jax[eval]'") from error
    # Systems often write the same caption, and a text's vector does not depend on its neighbours.
    texts = [text for references in judged.references for text in references] + judged.outputs
    row = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    vectors = embedder.encode(list(row), instruction)
    owners = [[row[text] for text in judged.references[segment]] for segment in judged.segments]
    similarities = best_cosines(vectors[[row[text] for text in judged.outputs]], vectors, owners)
    if np.ptp(similarities) == 0 or np.ptp(judged.human) == 0:
        return float("nan")
    result: Any = pearsonr(similarities, judged.human)  # its type stubs lag behind
    return float(result.statistic)


def _job(data: Path, table: InstructionTable, billboard_set: BillboardSet) -> Job:
    instruction = table.of(billboard_set.task, "query")
    files = find_files(data, billboard_set)

    def run(embedder: Embedder) -> TaskScore:
        if files is None:
            name = billboard_set.files
            reason = (
                f"no data: {data} has no folder eval_billboard_{name} (or {name}) with {name}_references.jsonl and "
                f"{name}_THumB-1.0.jsonl"
            )
            return missing(BENCHMARK, billboard_set.task, KIND, METRIC, reason)
        judged = read_outputs(*files)
        correlation = agreement(embedder, judged, instruction)
        if np.isnan(correlation):
            reason = "all similarities or all human scores are equal; a correlation is not defined"
            return missing(BENCHMARK, billboard_set.task, KIND, METRIC, reason)
        details = {
            "instruction": instruction,
            "outputs": len(judged.outputs),
            "segments": len(judged.references),
            "references": sum(map(len, judged.references)),
            "systems": judged.systems,
            "outputs_in_reference_order": judged.in_reference_order,
            "holds": billboard_set.holds,
        }
        return TaskScore(BENCHMARK, billboard_set.task, KIND, 100 * correlation, METRIC, details)

    settings = {"instruction": instruction, "data": files_digest(files or ())}
    return Job(BENCHMARK, billboard_set.task, KIND, run, settings)


def _unit(vectors: Float[np.ndarray, "rows dim"]) -> Float[np.ndarray, "rows dim"]:
    vectors = vectors.astype(np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
