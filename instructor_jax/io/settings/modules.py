"""What modules.json says: which modules a model has, in which order and where.

The tables were made from sentence-transformers 2.2.2 to 6.2 (`models/`, `base/modules/`, and `save` of the model) and
from InstructorEmbedding 1.0.1. A key that is unknown here could change the vectors there, and is refused.
"""

import dataclasses
import itertools
import re
from pathlib import Path, PureWindowsPath

from instructor_jax.io.json_files import Fields, described, read_json_value, shown_value
from instructor_jax.io.printable import printable

MODULES_FILE = "modules.json"

# A model of sentence-transformers has two to five modules.
_MOST_MODULES = 16

# What stands before the class in a module's type, with the versions that write it. Version 6 reads all of them.
_PACKAGES = (
    "sentence_transformers.models",  # 0.3 to 5.3
    "sentence_transformers.base.modules",  # 5.4 on, module files below it
    "sentence_transformers.sentence_transformer.modules",  # 5.4 on
)
KINDS = ("Transformer", "Pooling", "Dense", "Normalize", "Dropout")

# InstructorEmbedding's `INSTRUCTOR.save` (sentence-transformers 2.2.2, `type(module).__module__`) writes the module's
# name alone, twice; its `_load_sbert_model` tells them apart by their place. Later versions of either append the class,
# whose spelling changed between the package on PyPI and its repository.
_INSTRUCTOR = "InstructorEmbedding.instructor"
_INSTRUCTOR_CLASSES = {
    "INSTRUCTOR_Transformer": "Transformer",
    "INSTRUCTORTransformer": "Transformer",
    "INSTRUCTOR_Pooling": "Pooling",
    "INSTRUCTORPooling": "Pooling",
}
_BY_PLACE = ("Transformer", "Pooling")


@dataclasses.dataclass(frozen=True)
class Module:
    """One entry of modules.json.

    Attributes:
        kind: one of `KINDS`.
        path: its folder relative to the model's, "" for the model's own.
        name: by which sentence-transformers keeps it.
        number: its idx, or its place in the list.
    """

    kind: str
    path: str
    name: str
    number: int


def read_modules(root: Path) -> list[Module]:
    """Returns the modules that a folder's modules.json lists, in order.

    Raises:
        ValueError: the file is broken, or names a class that is not supported, a path that leads out of the folder, two
            modules of one name or place, or settings that are not known.
        OSError: it cannot be read.
    """
    file = root / MODULES_FILE
    listed = read_json_value(file)
    if not isinstance(listed, list):
        raise ValueError(f"{file} is not a list of modules but {described(listed)}.")
    if not 1 <= len(listed) <= _MOST_MODULES:
        raise ValueError(f"{file} lists {len(listed):,} modules; a model has 1 to {_MOST_MODULES}.")
    modules = [_module(Fields(entry, f"{file}, entry {index}"), index) for index, entry in enumerate(listed)]
    # sentence-transformers goes by the order of the list, InstructorEmbedding by this number.
    numbers = [module.number for module in modules]
    if any(second <= first for first, second in itertools.pairwise(numbers)):
        raise ValueError(f"{file} gives its modules the idx {', '.join(map(str, numbers))}; they must rise.")
    for what, seen in (("path", [module.path for module in modules]), ("name", [module.name for module in modules])):
        twice = next((value for index, value in enumerate(seen) if value in seen[:index]), None)
        if twice is not None:
            raise ValueError(f"{file} gives two modules the {what} {shown_value(twice)}; each needs its own.")
    return modules


def _module(fields: Fields, index: int) -> Module:
    number = fields.whole("idx", index)
    kind, path = _kind(fields, number), fields.text("path")
    windows = PureWindowsPath(path)  # as sentence-transformers checks it: both kinds of separators, drives
    if windows.anchor or ".." in windows.parts or printable(path) != path or "\n" in path:
        raise ValueError(
            f"{fields.where} has path={shown_value(path)}; it must be a folder inside the model's folder, without '..'."
        )
    name = fields.text("name")
    fields.require({"kwargs": ([], {})}, "which passes options to the module at every call")
    fields.refuse_unread("idx, name, path, type")
    return Module(kind, "" if path in (".", "./") else path.rstrip("/"), name, number)


def _kind(fields: Fields, number: int) -> str:
    """Returns which of `KINDS` a module is; never imports what the file names."""
    named = fields.text("type")
    package, _, name = named.rpartition(".")
    if named == _INSTRUCTOR and number < len(_BY_PLACE):
        return _BY_PLACE[number]
    if package == _INSTRUCTOR and name in _INSTRUCTOR_CLASSES:
        return _INSTRUCTOR_CLASSES[name]
    home = package.removesuffix(f".{_file_of(name)}").removesuffix(f".{name}")  # the file's name, in 5.4 and before
    if home in _PACKAGES and name in KINDS:
        return name
    raise ValueError(
        f"{fields.where} has type={shown_value(named)}, which is not supported; known are {', '.join(KINDS)} of "
        "sentence-transformers and the modules of InstructorEmbedding. Code that a folder names is never imported."
    )


def _file_of(name: str) -> str:
    """Returns the name of the Python file that holds a class in sentence-transformers 5.4 on."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
