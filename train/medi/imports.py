"""Own files and the published file on their way into a store, or into a file of rows with mined negatives.

The published file mixes its tasks and is passed through once, in constant memory; an own file is one task, read, mined
and resumed like a source of the builder.
"""

import dataclasses
import functools
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from instructor_jax.io.atomic import whole_file
from instructor_jax.io.file_lock import only_process
from instructor_jax.io.ownership import same_or_inside

from ..data.examples import Example
from .builder import BuildSettings, build_task, finished_rows
from .files.records import Source
from .files.row_estimate import counted
from .mining.scorer import Scorer
from .published import read_published
from .reading import Reading
from .reports import TaskReport, report_of
from .rows import labels_source, pairs_source
from .sentence_transformers_files import read_sentence_transformers
from .storage.staging import LOCK, Staging
from .storage.store_writer import NewStore, refuse_existing


def import_files(
    files: Sequence[Path],
    folder: Path,
    scorer: Scorer,
    settings: BuildSettings,
    reading: Reading,
    replace: bool = False,
) -> list[TaskReport]:
    """Stores files as a mixture: every own file as a task named by the file, the published file as its tasks.

    Raises:
        FileExistsError: The store is there already.
        ValueError: A malformed row, a file without rows, evaluation data, files that give tasks of one name, or another
            process that builds the same mixture.
    """
    if not files:
        raise ValueError("no file is named; give those to import.")
    refuse_existing(folder, replace)
    _refuse_inputs([folder], files)
    _refuse_equal_names([path for path in files if reading.of(path) != "published"])
    for path in files:
        path.open("rb").close()  # before any work: a later one that is absent
    target = NewStore.beside(folder, replace)
    with only_process(target.staging.folder / LOCK, f"builds {folder}"):
        return _import(files, target, scorer, settings, reading)


def _import(
    files: Sequence[Path], target: NewStore, scorer: Scorer, settings: BuildSettings, reading: Reading
) -> list[TaskReport]:
    reports: list[TaskReport] = []
    for path in files:
        if reading.of(path) == "published":
            reports += _stage_published(path, target.staging, reading)
        else:
            reports.append(build_task(source_of(path, reading), path.parent, target.staging, scorer, settings))
            if not reports[-1].rows:
                raise ValueError(f"{path} gives no row: {reports[-1].read} were read, and none is left.")
    _refuse_repeated([report.name for report in reports])
    about = {"scorer": scorer.name, "settings": dataclasses.asdict(settings), "files": [path.name for path in files]}
    target.write([report.name for report in reports if report.rows], about)
    return reports


def mine_file(
    path: Path, to: Path, scorer: Scorer, settings: BuildSettings, reading: Reading, replace: bool = False
) -> dict[str, int]:
    """Writes the rows of one file with mined negatives as JSON Lines, which `read_pairs` reads; returns the counts.

    Raises:
        FileExistsError: The file is there already.
        ValueError: It is the file that is read.
    """
    if os.path.lexists(to) and (not replace or to.is_dir()):
        raise FileExistsError(f"{to} exists; give another place, or --replace it.")
    _refuse_inputs([to], [path])
    examples, about = finished_rows(source_of(path, reading), path.parent, scorer, settings)
    with whole_file(to) as draft, draft.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(as_record(example), ensure_ascii=False) + "\n" for example in examples)
    return {"rows": about["read"], "examples": len(examples), **about.get("mining", {})}


def source_of(path: Path, reading: Reading) -> Source:
    """Returns an own file as a source that has the file's name, for the folder that the file lies in."""
    format, sides = reading.of(path), (reading.query_instruction, reading.document_instruction)
    name = _task_name(path)
    if format == "published":
        raise ValueError(
            f"{path} is taken for a published medi-data.json, which is for import only; give its --format."
        )
    if format == "labelled":
        source = labels_source(path, name, sides[0], reading.columns)
    else:
        source = pairs_source(path, name, *sides, reading.columns, reading.score_range)
    if format == "sentence-transformers":
        read = functools.partial(
            read_sentence_transformers, task=name, query_instruction=sides[0], document_instruction=sides[1]
        )
        source = dataclasses.replace(source, read=read)
    return dataclasses.replace(source, licence=reading.licence)


def as_record(example: Example) -> dict[str, Any]:
    """Returns the example as a JSON object of the names that `read_pairs` expects; what it lacks is left out."""
    document = example.positive.instruction
    record: dict[str, Any] = {"id": example.row_id}
    record |= {"query_instruction": example.query.instruction} if example.query.instruction else {}
    record |= {"document_instruction": document} if document else {}
    record |= {"query": example.query.text, "positive": example.positive.text}
    if example.negatives:
        record["negatives"] = [side.text if side.instruction == document else list(side) for side in example.negatives]
    record |= {name: getattr(example, name) for name in ("score", "label") if getattr(example, name) is not None}
    return record | ({"weight": example.weight} if example.weight != 1.0 else {})


def _stage_published(path: Path, staging: Staging, reading: Reading) -> list[TaskReport]:
    start = time.perf_counter()
    rows = counted(read_published(path, reading.instruction_suffix), path)
    entries = staging.write_mixed(rows, about={"licence": "see the sources of MEDI", "folder": path.name})
    seconds = (time.perf_counter() - start) / max(len(entries), 1)
    return [report_of(entry, seconds) for entry in entries.values()]


def _task_name(path: Path) -> str:
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        message = f"{str(path)!r}: tasks are named by their files, and this name is not UTF-8; rename it."
        raise ValueError(message) from error
    return path.name.removesuffix(".gz").rpartition(".")[0] or path.name


def _refuse_inputs(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Refuses to write over what is read."""
    for output in outputs:
        for path in inputs:
            if os.path.lexists(output) and same_or_inside(path, output):
                raise ValueError(f"{output} would be written, but {path} is read; name another output.")


def _refuse_equal_names(paths: Sequence[Path]) -> None:
    _refuse_repeated([_task_name(path) for path in paths])


def _refuse_repeated(names: Sequence[str]) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"several files give the task {repeated[0]!r}; tasks are named by their files, rename one.")
