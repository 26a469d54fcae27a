"""Reader of Super-NaturalInstructions task files, in the final and in the early published JSON format.

A task becomes a source of instances (input, output) from which pairs are mined: labelled ones where few outputs are
shared by all instances, free-text ones otherwise. The early format has no ids, domains or languages, and its
Definition is one text.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..files.raw_files import field, json_document, malformed, refuse_evaluation, texts_field
from ..files.records import Instance, Source
from .super_natural_templates import Corrections, read_corrections, task_instruction

FOLDER = "super_natural_instructions"
FORMATS = ("tasks", "tasks_early_format")  # folders of the two formats
CLASS_SIZE = 10  # a task is a classification if an output belongs to so many instances on average

# Licences of the instances that allow any use. All else does not: non-commercial ones, "Unknown", names that do not
# say what they allow ("CCPL", "Dedicated License"), and the early format, which states none.
FREE_LICENCES = frozenset(
    {
        "AFL 3.0", "Apache 2.0", "CC BY 3.0", "CC BY 4.0", "CC BY-SA 3.0", "CC BY-SA 4.0", "CDLA Permissive 2.0",
        "LibriVox: Public Domain", "MIT", "OANC", "Public Domain", "WordNet 3.0 license",
    }
)  # fmt: skip


def super_natural_sources(folder: Path, corrections: Path | None = None) -> list[Source]:
    """Returns a source for each task file below `folder`, in the order of their numbers; the task is named by its file.

    Args:
        folder: Folder with `tasks/` and `tasks_early_format/`, or either; files end in `.json` or `.json.gz`.
        corrections: TOML file laid over the shipped corrections of instructions.

    Raises:
        ValueError: There are no task files, or one has not the fields of its format.
    """
    refuse_evaluation(folder)
    known = read_corrections(corrections)
    files = [path for name in FORMATS for path in (folder / name).glob("task*.json*") if path.is_file()]
    if not files:
        raise ValueError(f"{folder} has no task files; they belong into {' or '.join(FORMATS)} as task*.json[.gz].")
    return [_source(path, known) for path in sorted(files, key=lambda path: (_number(path), path.name))]


def read_task(folder: Path, file: str, labelled: bool) -> Iterator[Instance]:
    """Yields the instances of one task file.

    An instance of several accepted outputs gives the first. An output that only names an option of the input
    ("Completion B") becomes that option's text. The row id is the instance's id; in the early format, its number.

    Args:
        folder: Folder of Super-NaturalInstructions.
        file: Path of the task file below it.
        labelled: Whether the output is a class.
    """
    path = folder / file
    for row, record in enumerate(_instances(json_document(path, dict), path), start=1):
        text = field(record, "input", str, path, row)
        output = _option(text, _outputs(record, path, row)[0].strip())
        row_id = field(record, "id", str, path, row) if "id" in record else str(row)
        yield Instance(text, output, row_id, label=output if labelled else None)


def _source(path: Path, corrections: Corrections) -> Source:
    task = path.name.partition(".json")[0]
    document = json_document(path, dict)
    instruction = task_instruction(
        task, _texts(document, "Domains", path), _texts(document, "Categories", path), corrections
    )
    labelled = _is_labelled(document, path, corrections.tasks.get(task, {}).get("kind"))
    licences = [re.sub(r"\s*\(https?://.*\)", "", text) for text in _texts(document, "Instance License", path)]
    return Source(
        name=task,
        folder=FOLDER,
        query=instruction,
        document=instruction,
        read=functools.partial(read_task, file=f"{path.parent.name}/{path.name}", labelled=labelled),
        mined=True,
        kind="classification" if labelled else "symmetric",
        licence=", ".join(licences) or "not given",
        redistributable=bool(licences) and FREE_LICENCES.issuperset(licences),
    )


def _is_labelled(document: dict[str, Any], path: Path, kind: str | None) -> bool:
    if kind:
        return kind == "classification"
    instances = _instances(document, path)
    outputs = {_outputs(record, path, row)[0] for row, record in enumerate(instances, start=1)}
    return len(instances) >= CLASS_SIZE * len(outputs)


def _outputs(record: Any, path: Path, row: int) -> list[str]:
    outputs = texts_field(record, "output", path, row)
    if not outputs:
        raise malformed(path, row, "the instance has no output")
    return outputs


def _instances(document: dict[str, Any], path: Path) -> list[Any]:
    instances = field(document, "Instances", list, path, "Instances")
    if not instances:
        raise malformed(path, "Instances", "the task has no instances")
    return instances


def _texts(document: dict[str, Any], name: str, path: Path) -> Sequence[str]:
    return texts_field(document, name, path, name) if name in document else ()


def _option(text: str, output: str) -> str:
    """Returns the option that an output like "Completion B" names, if the input has a line "{output}: text"."""
    if re.fullmatch(r"(?:\w+ )?[A-H]", output):
        for line in text.split("\n"):
            if line.startswith(f"{output}: "):
                return line[len(output) + 2 :].strip()
    return output


def _number(path: Path) -> int:
    digits = "".join(c for c in path.name.removeprefix("task").partition("_")[0] if c.isdigit())
    return int(digits or 0)
