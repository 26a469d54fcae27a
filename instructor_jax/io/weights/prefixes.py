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
    "encoder.": "classes around a model; T5's own 'encoder.' comes after it",
}
# What wrappers of single layers put inside a name; no T5 has a module of these names.
_INSIDE = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_PLAIN = re.compile(r"shared\.weight|encoder\.(block|final_layer_norm|embed_tokens)\..*|decoder\..*|lm_head\.weight")
_STACK = re.compile(r"(block\.\d+|final_layer_norm|embed_tokens)\..*")  # of T5's encoder, saved by itself
_DENSE = re.compile(r"([1-9]\d{0,2})\.linear\.weight")  # a sentence-transformers model in one file: its Dense module
_PROJECTION = "projection.weight"


def plain_names(arrays: Mapping[str, Any], where: str | Path) -> dict[str, Any]:
    """Returns arrays under the names that T5 gives them, where a known wrapper's prefix stands before all of them.

    Of a whole sentence-transformers model in one file (`0.auto_model.encoder...`, `2.linear.weight`) the projection
    becomes `projection.weight`. Names without a known prefix stay, and are judged where they are used.

    Args:
        arrays: any values by name, none of which is looked at.
        where: the file or folder, for messages.

    Raises:
        ValueError: the names are those of several models, or two of them become one.
    """
    names = {name: _INSIDE.sub("", name) for name in arrays}  # as they are in the file -> as they will be
    taken, projection = "", None
    while not any(_PLAIN.fullmatch(inner) for inner in names.values()):
        dense = [name for name, inner in names.items() if _DENSE.fullmatch(inner)]
        if projection is None and len(dense) == 1 and all(_of_module_0(names[name]) for name in names.keys() - dense):
            projection = dense[0]
            del names[projection]
            continue
        prefix = next((known for known in PREFIXES if all(inner.startswith(known) for inner in names.values())), None)
        if prefix is None or not names:
            break
        taken += prefix
        names = {name: inner.removeprefix(prefix) for name, inner in names.items()}
    if names and all(_STACK.fullmatch(inner) for inner in names.values()):
        names = {name: f"encoder.{inner}" for name, inner in names.items()}
    _refuse_several_models(names.values(), where)
    if not any(_PLAIN.fullmatch(inner) for inner in names.values()):
        return dict(arrays)  # no T5: messages shall say what stands in the file
    if projection is not None:
        names[projection] = _PROJECTION
    _refuse_collisions(names, where)
    marks = {found[0] for name in arrays for found in _INSIDE.finditer(name)}
    if taken or marks:
        listed = ", ".join([*([taken] if taken else []), *sorted(marks)])
        shown = one_line(str(where))
        _log.warning("%s: the names of its weights have a wrapper's '%s', which is taken away", shown, listed)
    return {names[name]: value for name, value in arrays.items()}


def _of_module_0(name: str) -> bool:
    return name.startswith("0.")


def _refuse_several_models(names: Iterable[str], where: str | Path) -> None:
    """Refuses a file in which some names have a prefix before a T5's, and others have another one or none."""
    found: dict[str, str] = {}
    for name in names:
        for prefix in (*PREFIXES, "teacher."):
            if name.startswith(prefix) and _PLAIN.fullmatch(name.removeprefix(prefix)):
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
