"""T5X checkpoints to PyTorch-named arrays: t5-v1.1, Flan, mT5, umT5, ByT5, and dual encoders such as GTR.

T5X kernels are [in, out] where PyTorch's are [out, in], and nothing is scaled: T5 folds the attention's scale into the
initial query kernel in both. Models whose layers were scanned keep one array per kind of weight with the layers on
axis 1, also inside kernels whose heads are an axis of their own ([heads, layers, head_dim, embed] for `out`).
"""

import logging
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from instructor_jax.backbones.registry import Backbone, backbones
from instructor_jax.backbones.weight_names import StoredName
from instructor_jax.config import BackboneConfig
from instructor_jax.io.printable import few

from .shapes import encoder_config_of
from .t5x_arrays import StoredArray, check_plausible, find_checkpoints, stored_parameters

_log = logging.getLogger(__name__)

Array = Shaped[np.ndarray, "..."]


_LEFT_OUT = re.compile(r"decoder/.*")


def recognises(folder: Path) -> bool:
    """Whether the folder is, or holds, a T5X checkpoint; nothing is read, so that a damaged one is told as such."""
    return bool(find_checkpoints(folder))


def read(place: Path) -> tuple[BackboneConfig, dict[str, Array]]:
    """The encoder in a T5X checkpoint, as its configuration and its PyTorch-named arrays in the dtype on disk.

    The configuration comes from a `config.json` in the folder, else from the shapes. A dual encoder's projection is
    named `projection.weight`; decoder weights are left out, and counted in the log.

    Args:
        place: the checkpoint, the folder with its Orbax item, a run's folder with one checkpoint in it, or a file that
            is a checkpoint with all its arrays.

    Raises:
        ValueError: there is no checkpoint or more than one, or an array is unknown, missing, misshapen, given twice,
            damaged, or not of floating point; each with its name.
    """
    folder = place.parent if place.is_file() else place
    checkpoint = place if place.is_file() else _only_checkpoint(folder)
    openers = stored_parameters(checkpoint)
    wanted = {name: opener for name, opener in openers.items() if not _LEFT_OUT.fullmatch(name)}
    if len(wanted) < len(openers):
        _log.info(
            "left out %d decoder arrays of %s: an embedding has no use for them", len(openers) - len(wanted), place
        )
    backbone, ways = _family(wanted)
    unknown = [name for name in wanted if name not in ways]
    if unknown:
        raise ValueError(
            f"{checkpoint} holds {few(unknown)}, which no known {backbone.title} encoder has; nothing was read."
        )
    arrays = {name: opener() for name, opener in wanted.items()}
    check_plausible(checkpoint, arrays.values())
    origins: dict[str, str] = {}
    tensors: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        for torch_name, tensor in _translate(name, array, ways[name]).items():
            if torch_name in tensors:
                raise ValueError(f"{origins[torch_name]} and {name} in {checkpoint} are both {torch_name}.")
            origins[torch_name] = name
            tensors[torch_name] = tensor
    return encoder_config_of(folder, tensors, origins, backbone), tensors


def _only_checkpoint(folder: Path) -> Path:
    found = find_checkpoints(folder)
    if not found:
        raise ValueError(f"{folder} is no T5X checkpoint: it has neither a 'checkpoint' index nor Orbax '_METADATA'.")
    if len(found) > 1:
        names = ", ".join(str(place.relative_to(folder)) for place in found)
        raise ValueError(f"{folder} holds the checkpoints {names}; name the folder of one of them.")
    return found[0]


def _family(names: Iterable[str]) -> tuple[Backbone, dict[str, StoredName]]:
    """Returns the family that most of the names are of, and how it reads those that it knows."""
    found = []
    for backbone in backbones():
        read = backbone.weights.t5x
        ways = {name: way for name in names if read is not None and (way := read(name)) is not None}
        found.append((backbone, ways))
    return max(found, key=lambda one: len(one[1]))


def _translate(name: str, array: StoredArray, way: StoredName) -> dict[str, np.ndarray]:
    """One T5X array as the PyTorch arrays it holds: one, or one for each layer that was scanned."""
    ranks = [rank + way.scanned for rank in way.ranks]
    if len(array.shape) not in ranks:
        raise ValueError(f"{name} has shape {array.shape}, where {' or '.join(map(str, ranks))} axes belong.")
    stored = array.load()
    if not way.scanned:
        return {way.torch_name: np.ascontiguousarray(way.change(stored))}
    return {
        way.torch_name.format(layer): np.ascontiguousarray(way.change(stored[:, layer]))
        for layer in range(stored.shape[1])
    }
