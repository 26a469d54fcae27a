"""T5X checkpoints to PyTorch-named arrays: t5-v1.1, Flan, mT5, umT5, ByT5, and dual encoders such as GTR.

T5X kernels are [in, out] where PyTorch's are [out, in], and nothing is scaled: T5 folds the attention's scale into the
initial query kernel in both. Models whose layers were scanned keep one array per kind of weight with the layers on
axis 1, also inside kernels whose heads are an axis of their own ([heads, layers, head_dim, embed] for `out`).
"""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from instructor_jax.config import EncoderConfig
from instructor_jax.io.weights.names import PROJECTION
from instructor_jax.io.weights.tensor_files import few

from .shapes import encoder_config_of
from .t5x_arrays import StoredArray, check_plausible, find_checkpoints, stored_parameters

_log = logging.getLogger(__name__)

Array = Shaped[np.ndarray, "..."]


def _unchanged(array: Array) -> Array:
    return array


def _transposed(array: Array) -> Array:
    return array.T


def _heads_last(kernel: Array) -> Array:
    return kernel.reshape(kernel.shape[0], -1).T  # [embed, heads, head_dim] or [embed, heads * head_dim]


def _heads_first(kernel: Array) -> Array:
    return kernel.reshape(-1, kernel.shape[-1]).T  # [heads, head_dim, embed] or [heads * head_dim, embed]


class _Way(NamedTuple):
    """How a T5X array becomes PyTorch's: under which name, from how many axes, by which function."""

    torch_name: str
    ranks: tuple[int, ...]
    change: Callable[[Array], Array]
    scanned: bool = False  # all layers in one array, along axis 1; `torch_name` has a place for the layer


_LAYER = {  # below encoder/layers_N/ or encoder/encoder/ in T5X, below encoder.block.N. in PyTorch
    "attention/query/kernel": _Way("layer.0.SelfAttention.q.weight", (2, 3), _heads_last),
    "attention/key/kernel": _Way("layer.0.SelfAttention.k.weight", (2, 3), _heads_last),
    "attention/value/kernel": _Way("layer.0.SelfAttention.v.weight", (2, 3), _heads_last),
    "attention/out/kernel": _Way("layer.0.SelfAttention.o.weight", (2, 3), _heads_first),
    "relpos_bias/rel_embedding": _Way("layer.0.SelfAttention.relative_attention_bias.weight", (2,), _transposed),
    "pre_attention_layer_norm/scale": _Way("layer.0.layer_norm.weight", (1,), _unchanged),
    "mlp/wi/kernel": _Way("layer.1.DenseReluDense.wi.weight", (2,), _transposed),
    "mlp/wi_0/kernel": _Way("layer.1.DenseReluDense.wi_0.weight", (2,), _transposed),
    "mlp/wi_1/kernel": _Way("layer.1.DenseReluDense.wi_1.weight", (2,), _transposed),
    "mlp/wo/kernel": _Way("layer.1.DenseReluDense.wo.weight", (2,), _transposed),
    "pre_mlp_layer_norm/scale": _Way("layer.1.layer_norm.weight", (1,), _unchanged),
}
_WHOLE = {
    "token_embedder/embedding": _Way("shared.weight", (2,), _unchanged),
    "encoder/token_embedder/embedding": _Way("shared.weight", (2,), _unchanged),  # not shared with a decoder
    "encoder/relpos_bias/rel_embedding": _LAYER["relpos_bias/rel_embedding"]._replace(
        torch_name="encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    ),
    "encoder/encoder_norm/scale": _Way("encoder.final_layer_norm.weight", (1,), _unchanged),
    "projection_layer/kernel": _Way(PROJECTION, (2,), _transposed),
}
_LEFT_OUT = re.compile(r"decoder/.*")


def recognises(folder: Path) -> bool:
    """Whether the folder is, or holds, a T5X checkpoint; nothing is read, so that a damaged one is told as such."""
    return bool(find_checkpoints(folder))


def read(place: Path) -> tuple[EncoderConfig, dict[str, Array]]:
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
    unknown = [name for name in wanted if _way(name) is None]
    if unknown:
        raise ValueError(f"{checkpoint} holds {few(unknown)}, which no known T5 encoder has; nothing was read.")
    arrays = {name: opener() for name, opener in wanted.items()}
    check_plausible(checkpoint, arrays.values())
    origins: dict[str, str] = {}
    tensors: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        for torch_name, tensor in _translate(name, array).items():
            if torch_name in tensors:
                raise ValueError(f"{origins[torch_name]} and {name} in {checkpoint} are both {torch_name}.")
            origins[torch_name] = name
            tensors[torch_name] = tensor
    return encoder_config_of(folder, tensors, origins), tensors


def _only_checkpoint(folder: Path) -> Path:
    found = find_checkpoints(folder)
    if not found:
        raise ValueError(f"{folder} is no T5X checkpoint: it has neither a 'checkpoint' index nor Orbax '_METADATA'.")
    if len(found) > 1:
        names = ", ".join(str(place.relative_to(folder)) for place in found)
        raise ValueError(f"{folder} holds the checkpoints {names}; name the folder of one of them.")
    return found[0]


def _way(name: str) -> _Way | None:
    match = re.fullmatch(r"encoder/(?:layers_(0|[1-9]\d{0,3})|encoder)/(.+)", name)
    if match is None or match[2] not in _LAYER:
        return _WHOLE.get(name)
    way = _LAYER[match[2]]
    return way._replace(torch_name=f"encoder.block.{match[1] or '{}'}.{way.torch_name}", scanned=match[1] is None)


def _translate(name: str, array: StoredArray) -> dict[str, np.ndarray]:
    """One T5X array as the PyTorch arrays it holds: one, or one for each layer that was scanned."""
    way = _way(name)
    assert way is not None
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
