"""Names of weights as trainers write them, brought back to the model's own.

A model that was wrapped while it was trained (by several devices, a compiler, a trainer's class) is saved with the
wrapper's name before every weight's. Which prefixes are known stands in one table. A prefix is taken away only where
all names have it, so nothing is guessed, and what was taken away is told.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from instructor_jax.backbones.weight_names import PROJECTION, WeightNames
from instructor_jax.io.printable import one_line

_log = logging.getLogger(__name__)

# What comes before every name, and who writes it.
PREFIXES = {
    "module.": "torch.nn.DataParallel, DistributedDataParallel and DeepSpeed",
    "_orig_mod.": "torch.compile",
    "_fsdp_wrapped_module.": "PyTorch's FullyShardedDataParallel",
    "_forward_module.": "Lightning Fabric",
    "base_model.model.": "peft, also where its adapter was merged",
    "0.auto_model.": "the first module of a sentence-transformers model up to version 5, InstructorEmbedding's too",
    "0.model.": "the same since version 6",
    "auto_model.": "sentence-transformers' Transformer module alone",
    "model.": "Lightning modules, transformers' trainers and many classes around a model",
    "transformer.": "classes around a model",
    "backbone.": "classes around a model",
    "student.": "trainers that distil, where the teacher is left out",
    "encoder_model.": "classes around a model",
    "encoder.": "classes around a model; a model's own 'encoder.' comes after it",
}
# What wrappers of single layers put inside a name; no model has a module of these names.
_INSIDE = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_DENSE = re.compile(r"([1-9]\d{0,2})\.linear\.weight")  # a sentence-transformers model in one file: its Dense module


def plain_names(arrays: Mapping[str, Any], where: str | Path, known: WeightNames) -> dict[str, Any]:
    """Returns arrays under their family's names, where a known wrapper's prefix stands before all of them.

    Of a whole sentence-transformers model in one file (`0.auto_model.encoder...`, `2.linear.weight`) the projection
    becomes `projection.weight`. Names without a known prefix stay, and are judged where they are used.

    Args:
        arrays: any values by name, none of which is looked at.
        where: the file or folder, for messages.
        known: names of the family's weights.

    Raises:
        ValueError: the names are those of several models, or two of them become one.
    """
    names = {name: _INSIDE.sub("", name) for name in arrays}  # as they are in the file -> as they will be
    names = _without_whole_prefix(names, known)
    taken, projection = "", None
    while not any(known.recognised.fullmatch(inner) for inner in names.values()):
        dense = [name for name, inner in names.items() if _DENSE.fullmatch(inner)]
        if projection is None and len(dense) == 1 and all(_of_module_0(names[name]) for name in names.keys() - dense):
            projection = dense[0]
            del names[projection]
            continue
        prefix = next((one for one in PREFIXES if all(inner.startswith(one) for inner in names.values())), None)
        if prefix is None or not names:
            break
        taken += prefix
        names = {name: inner.removeprefix(prefix) for name, inner in names.items()}
    if known.stack is not None and names and all(map(known.stack.fullmatch, names.values())):
        names = {name: known.stack_prefix + inner for name, inner in names.items()}
    _refuse_several_models(names.values(), where, known)
    if not any(known.recognised.fullmatch(inner) for inner in names.values()):
        return dict(arrays)  # not of this family: messages shall say what stands in the file
    if projection is not None:
        names[projection] = PROJECTION
    _refuse_collisions(names, where)
    marks = {found[0] for name in arrays for found in _INSIDE.finditer(name)}
    if taken or marks:
        listed = ", ".join([*([taken] if taken else []), *sorted(marks)])
        shown = one_line(str(where))
        _log.warning("%s: the names of its weights have a wrapper's '%s', which is taken away", shown, listed)
    return {names[name]: value for name, value in arrays.items()}


def _without_whole_prefix(names: dict[str, str], known: WeightNames) -> dict[str, str]:
    """Takes away what a whole model's names have before the encoder's, where only what is left out lacks it."""
    prefix = known.whole_prefix
    inside = {name for name, inner in names.items() if prefix and inner.startswith(prefix)}
    if not inside or not all(known.left_out.fullmatch(names[name]) for name in names.keys() - inside):
        return names
    return {name: inner.removeprefix(prefix) if name in inside else inner for name, inner in names.items()}


def _of_module_0(name: str) -> bool:
    return name.startswith("0.")


def _refuse_several_models(names: Iterable[str], where: str | Path, known: WeightNames) -> None:
    """Refuses a file in which some names have a prefix before a model's, and others have another one or none."""
    found: dict[str, str] = {}
    for name in names:
        for prefix in (*PREFIXES, "teacher."):
            if name.startswith(prefix) and known.recognised.fullmatch(name.removeprefix(prefix)):
                found.setdefault(prefix, name)
    if not found:
        return
    other = next((name for name in names if not name.startswith(tuple(found))), None)
    listed = [*found.values(), *([other] if other is not None else [])]
    if len(listed) > 1:
        shown = ", ".join(one_line(name, 120) for name in listed[:5])
        raise ValueError(
            f"{where} holds more than one model's weights, or a model with other things beside it: {shown}. Save the "
            "model's own state dict, under one prefix."
        )


def _refuse_collisions(names: Mapping[str, str], where: str | Path) -> None:
    origin: dict[str, str] = {}
    for name, inner in names.items():
        if inner in origin:
            pair = " and ".join(one_line(one, 120) for one in (origin[inner], name))
            raise ValueError(f"{where}: {pair} are both {one_line(inner, 120)} once wrappers' names are taken away.")
        origin[inner] = name
