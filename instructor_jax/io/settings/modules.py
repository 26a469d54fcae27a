"""What modules.json and the modules' own config.json say: obeyed, known to be harmless, or refused by name.

The tables were made from sentence-transformers 2.2.2 to 6.2 (`models/`, `base/modules/`, the modules of
`sentence_transformer/`, and `save` of the model) and from InstructorEmbedding 1.0.1. A module's file is the arguments
of its constructor, so a key that is unknown here could change the vectors there, and is refused.
"""

import dataclasses
import itertools
import re
from pathlib import Path, PureWindowsPath
from typing import Any

from instructor_jax.io.json_files import Fields, described, read_json, read_json_value, shown_value
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

# --- Settings of the modules ---------------------------------------------------------------------------------------

# sentence-transformers' older flags (2.x to 5.3) -> the names of `pooling_mode` (5.4 on). Without a flag that is true
# it takes the mean.
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

# Names of torch's class that returns its input. Others that end so are not torch's: sentence-transformers takes Tanh
# instead of an activation that it does not trust.
_IDENTITIES = ("torch.nn.modules.linear.Identity", "torch.nn.Identity", "torch.nn.modules.Identity")
_TANH = "torch.nn.modules.activation.Tanh"  # Dense without a word on its activation

_DENSE_ONLY: dict[str, tuple[tuple[Any, ...], str]] = {
    "module_input_name": (("sentence_embedding",), "which projects something other than the pooled vector"),
    "module_output_name": (("sentence_embedding",), "which puts its result somewhere else than into the vector"),
    "use_residual": ((False,), "which adds the module's input to its output"),
}
_NORMALIZE_ONLY: dict[str, tuple[tuple[Any, ...], str]] = {
    "module_input_name": (("sentence_embedding",), "which normalises something other than the vector"),
    "module_output_name": (("sentence_embedding",), "which puts its result somewhere else than into the vector"),
}


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


def pools_instruction(file: Path, width: int) -> bool:
    """Checks that a Pooling module takes the mean of the encoder's states.

    Args:
        file: its config.json.
        width: the encoder's.

    Returns:
        Whether the file asks to pool the instruction too. Published INSTRUCTOR models say nothing, and their original
        code leaves it out; sentence-transformers writes the key since 2.4.

    Raises:
        ValueError: another way of pooling, another width, or an unknown key.
        OSError: the file cannot be read.
    """
    fields = Fields(read_json(file), file)
    flags = [mode for flag, mode in _POOLING_FLAGS.items() if fields.flag(flag, False)]
    modes = fields.any("pooling_mode", flags or "mean")
    modes = modes if isinstance(modes, list) else [modes]
    if modes != ["mean"]:
        listed = ", ".join(shown_value(mode) for mode in modes[:6]) or "nothing"
        raise ValueError(f"{file} pools by {listed} (pooling_mode); supported is the mean alone.")
    found = {
        key: fields.whole(key, least=1) for key in ("word_embedding_dimension", "embedding_dimension") if key in fields
    }
    if not found:
        raise ValueError(f"{file} lacks 'embedding_dimension' (before version 5.4 'word_embedding_dimension').")
    for key, value in found.items():
        if value != width:
            raise ValueError(f"{file} has {key}={value}, but the encoder gives {width} values.")
    asked = fields.flag("include_prompt", False)
    fields.refuse_unread()
    return asked


def projection_size(file: Path, width: int) -> int:
    """Returns the output size of a Dense module, once it is known to be a bias-free projection of the vector.

    Args:
        file: its config.json.
        width: the size of the vectors that it reads.

    Raises:
        ValueError: it does anything else, reads another size, or has an unknown key.
        OSError: the file cannot be read.
    """
    fields = Fields(read_json(file), file)
    bias, activation = fields.flag("bias", True), fields.text("activation_function", _TANH)
    if bias or activation not in _IDENTITIES:
        raise ValueError(
            f"{file} has bias={str(bias).lower()}, activation_function={shown_value(activation)}; supported is a "
            f"projection with bias=false and activation_function={_IDENTITIES[0]!r}."
        )
    for key, (values, rule) in _DENSE_ONLY.items():
        fields.require({key: values}, rule)
    read, given = fields.whole("in_features", least=1), fields.whole("out_features", least=1)
    if read != width:
        raise ValueError(f"{file} has in_features={read}, but the module before it gives {width} values.")
    fields.refuse_unread()
    return given


def check_normalize(file: Path) -> None:
    """Checks that a Normalize module acts on the vector; before version 6 it has no file.

    Raises:
        ValueError: it acts on something else, or has an unknown key.
    """
    if not file.is_file():
        return
    fields = Fields(read_json(file), file)
    for key, (values, rule) in _NORMALIZE_ONLY.items():
        fields.require({key: values}, rule)
    fields.refuse_unread()


def check_dropout(file: Path) -> None:
    """Checks a Dropout module, which does nothing outside of training; its file may be absent.

    Raises:
        ValueError: its rate is no number from 0 to 1, or it has an unknown key.
    """
    if not file.is_file():
        return
    fields = Fields(read_json(file), file)
    fields.number("dropout", 0.2, least=0.0, most=1.0)
    fields.refuse_unread()
