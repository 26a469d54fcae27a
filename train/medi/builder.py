"""Building the mixture: every source becomes one finished task, mined where it needs it, and all of them a store.

A task is the unit of resumption: its key is made of everything that shapes its rows (settings, instructions, versions,
size and time of its files), so that a build started again after a kill repeats only what is not there or has changed.
"""

import dataclasses
import functools
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.io.file_lock import only_process
from instructor_jax.io.printable import one_line
from instructor_jax.progress import progress
from instructor_jax.text.instructions import Instruction
from instructor_jax.version import __version__

from ..data.examples import Example
from .files.raw_files import refuse_evaluation
from .files.records import Instance, Source
from .files.row_estimate import counted
from .mining.hard_negatives import mine_negatives
from .mining.mine import MiningCounts, answer_pairs, mine_instances
from .mining.mining_rules import Mining
from .mining.scorer import Scorer
from .readers.source import read_source
from .reports import TaskReport, report_of
from .storage.staging import LOCK, Staging
from .storage.store_writer import NewStore, refuse_existing
from .storage.stored_rows import from_bytes

logger: logging.Logger = logging.getLogger(__name__)

_FEWEST = 32  # mined pairs of a free-text source; fewer are no task, and their rows become pairs of input and output


@dataclasses.dataclass(frozen=True)
class BuildSettings:
    """How sources become tasks.

    Attributes:
        negatives: Largest number of hard negatives of an example; pairs that come with fewer get mined ones added. 0
            mines none.
        margin: Least relative distance of a mined negative: it is at most (1 - margin) times as similar to the query as
            its positive, because nearer documents are often unknown positives. Labels and outputs make this needless
            where pairs are mined, so there the paper's rule holds without it.
        keep: Fraction of mined pairs that is kept, the best ones.
        agreement: Least cosine of the outputs of a mined free-text pair; -1 takes any.
        answers: Whether free-text rows without such a partner become pairs of input and output, a task of their own
            called TASK_answers.
    """

    negatives: int = 1
    margin: float | None = 0.1
    keep: float = 1.0
    agreement: float = 0.5
    answers: bool = True

    def __post_init__(self) -> None:
        for check in (self.for_instances, self.for_pairs):
            check()  # both refuse numbers out of range

    def for_instances(self) -> Mining:
        """Returns how pairs are mined from instances."""
        return Mining(self.negatives, None, self.keep, self.agreement)

    def for_pairs(self) -> Mining:
        """Returns how negatives are mined for given pairs."""
        return Mining(self.negatives, self.margin)


def build(
    sources: Sequence[Source], root: Path, folder: Path, scorer: Scorer, settings: BuildSettings, replace: bool = False
) -> list[TaskReport]:
    """Reads, mines and stores every source; what is finished already in `folder.partial` is taken as it is.

    Args:
        sources: Sources of the tasks.
        root: Folder that their folders lie in.
        folder: Folder of the store.
        scorer: Function from texts to vectors for the mining.
        settings: How sources become tasks.
        replace: Whether a store that is there may be replaced.

    Returns:
        A report for each source; one without rows is not in the store.

    Raises:
        FileExistsError: The store is there already.
        ValueError: A row is malformed, a source is evaluation data, no source gives any row, or another process builds
            the same mixture.
    """
    refuse_existing(folder, replace)
    target = NewStore.beside(folder, replace)
    with only_process(target.staging.folder / LOCK, f"builds {folder}"):
        return _build(sources, root, target, scorer, settings)


def _build(
    sources: Sequence[Source], root: Path, target: NewStore, scorer: Scorer, settings: BuildSettings
) -> list[TaskReport]:
    reports = []
    with progress("tasks", len(sources), "task") as bar:
        for source in sources:
            bar.set_postfix_str(one_line(source.name, 40))
            reports.append(build_task(source, root, target.staging, scorer, settings))
            if settings.answers and _is_free_text(source):
                reports.append(build_answers(source, reports[-1], root, target.staging, scorer, settings))
            bar.update()
    about = {
        "scorer": scorer.name,
        "settings": dataclasses.asdict(settings),
        "program": f"instructor-jax {__version__}",
    }
    target.write([report.name for report in reports if report.rows], about)
    return reports


def build_task(source: Source, root: Path, staging: Staging, scorer: Scorer, settings: BuildSettings) -> TaskReport:
    """Makes one source into one staged task, unless it is there already, made in the same way."""
    refuse_evaluation(root / source.folder)
    make = functools.partial(finished_rows, source, root, scorer, settings)
    return _staged(source.name, _key(source, root, scorer, settings), make, staging)


def build_answers(
    source: Source, mined: TaskReport, root: Path, staging: Staging, scorer: Scorer, settings: BuildSettings
) -> TaskReport:
    """Stages the rows of a free-text source that its staged task `mined` left over, as a task of input-output pairs."""
    name = f"{source.name}_answers"
    entry = staging.finished_task(source.name) if mined.rows else None

    def make() -> tuple[list[Example], dict[str, Any]]:
        rows = [row for row in read_source(source, root) if isinstance(row, Instance)]
        taken = {from_bytes(row).row_id for row in staging.stored(entry)} if entry else set()
        domain = source.query.domain if isinstance(source.query, Instruction) else ""
        document = str(Instruction(domain, "answer", "retrieval"))
        pairs = answer_pairs(rows, taken, task=name, query=str(source.query), document=document)
        examples, counts = mine_negatives(pairs, scorer, settings.for_pairs())
        return examples, _about(source, len(pairs), counts)

    key = [_key(source, root, scorer, settings), entry.digest if entry else ""]
    return _staged(name, _digest(key), make, staging)


def finished_rows(
    source: Source, root: Path, scorer: Scorer, settings: BuildSettings
) -> tuple[list[Example], dict[str, Any]]:
    """Returns the finished examples of a source, and what the store is to tell about them."""
    rows = list(_shown(read_source(source, root), root / source.folder))
    counts = None
    if source.mined:
        sides = {"query": str(source.query), "document": str(source.document)}
        instances = [row for row in rows if isinstance(row, Instance)]
        examples, counts = mine_instances(instances, scorer, task=source.name, mining=settings.for_instances(), **sides)
        if settings.answers and _is_free_text(source) and len(examples) < _FEWEST:
            examples = []
    else:
        examples = [row for row in rows if isinstance(row, Example)]
        if any(len(one.negatives) < settings.negatives for one in examples):
            examples, counts = mine_negatives(examples, scorer, settings.for_pairs())
    return examples, _about(source, len(rows), counts)


def _staged(
    name: str, key: str, make: Callable[[], tuple[list[Example], dict[str, Any]]], staging: Staging
) -> TaskReport:
    """Returns the report of a task that is staged under this key, or else makes and stages it."""
    entry, seconds = staging.finished_task(name), 0.0
    if entry is None or entry.key != key:
        start = time.perf_counter()
        examples, about = make()
        if not examples:
            logger.warning("%s: no row is left of %d, so there is no such task: %s", name, about["read"], about)
            return TaskReport(name, about["read"], 0, 0, about.get("mining", {}), time.perf_counter() - start)
        entry = staging.write(name, examples, key=key, about=about)
        seconds = time.perf_counter() - start
    return report_of(entry, seconds)


def _shown(rows: Iterable[Any], place: Path) -> Iterable[Any]:
    """Returns the rows, with a bar where they come from one file; a folder is a task of the bar over tasks."""
    return counted(rows, place) if place.is_file() else rows


def _is_free_text(source: Source) -> bool:
    return source.mined and source.kind != "classification"


def _about(source: Source, read: int, counts: MiningCounts | None) -> dict[str, Any]:
    about: dict[str, Any] = {
        "licence": source.licence,
        "redistributable": source.redistributable,
        "folder": source.folder,
        "kind": source.kind,
        "read": read,
    }
    if counts is not None:
        about["mining"] = {name: number for name, number in dataclasses.asdict(counts).items() if number}
    return about


def _key(source: Source, root: Path, scorer: Scorer, settings: BuildSettings) -> str:
    """Returns a key of everything that the examples of a source depend on."""
    files = list(_file_states(root / source.folder))
    instructions = str(source.query), str(source.document), source.kind
    recipe = _recipe(source.read)
    return _digest([__version__, scorer.name, dataclasses.asdict(settings), instructions, recipe, files])


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _recipe(value: Any) -> Any:
    """Describes a reader with its arguments in words that are the same in every process."""
    if isinstance(value, functools.partial):
        return [_recipe(part) for part in (value.func, *value.args)] + [
            [name, _recipe(part)] for name, part in sorted(value.keywords.items())
        ]
    return f"{value.__module__}.{value.__qualname__}" if callable(value) else repr(value)


def _file_states(place: Path) -> Iterator[tuple[str, int, int]]:
    files: Iterable[Path] = [place] if place.is_file() else sorted(place.rglob("*"))
    for path in files:
        if path.is_file():
            state = path.stat()
            yield path.relative_to(place.parent).as_posix(), state.st_size, state.st_mtime_ns
