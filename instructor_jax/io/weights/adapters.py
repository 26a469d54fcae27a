"""LoRA adapters that lie beside a model's weights, merged into them: `adapter_config.json` in the layout of peft.

sentence-transformers loads such an adapter without being asked, so a reader that looks at the base weights alone gives
other vectors. The update of a linear layer is W + scale * B A, with scale = alpha / rank; merged, it costs nothing.

Source: transformers 5 (`integrations/peft.py`: safetensors before `.bin`, the local base model where the folder has a
`config.json`).
"""

import logging
import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from instructor_jax.backbones.weight_names import WeightNames
from instructor_jax.io.json_files import Fields, read_json, shown_value
from instructor_jax.io.printable import few
from instructor_jax.io.weights.adapter_config import Lora, read_adapter_config
from instructor_jax.io.weights.names import check_float
from instructor_jax.io.weights.safetensors_files import read_safetensors
from instructor_jax.io.weights.torch_files import read_torch_file

_log = logging.getLogger(__name__)

CONFIG = "adapter_config.json"
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
ADAPTER_FILES = (CONFIG, *_WEIGHTS)

_WHOLE_BASE = (
    "copy the base model's config.json and weights into the folder, which are then merged, or merge with peft: "
    "PeftModel.from_pretrained(base, folder).merge_and_unload()"
)
_MATRIX = re.compile(r"(?:base_model\.model\.)?(.+)\.(lora_A|lora_B|lora_magnitude_vector)(?:\.default)?(?:\.weight)?")


def has_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter, or a part of one."""
    return any((folder / name).is_file() for name in ADAPTER_FILES)


def refuse_lone_adapter(folder: Path) -> None:
    """Refuses a folder that holds an adapter, but not the model that it belongs to.

    Raises:
        ValueError: there is an `adapter_config.json` and no `config.json`; the message says how to merge.
        OSError: a file cannot be read.
    """
    if not (folder / CONFIG).is_file() or (folder / "config.json").is_file():
        return
    base = Fields(read_json(folder / CONFIG), folder / CONFIG).any("base_model_name_or_path")
    raise ValueError(f"{folder} holds only an adapter of the model {shown_value(base)}; {_WHOLE_BASE}.")


def merged(folder: Path, arrays: Mapping[str, np.ndarray], names: WeightNames) -> dict[str, np.ndarray]:
    """Returns a folder's weights with the adapter beside them merged; without one, the weights as they are.

    Args:
        folder: where the weights and the adapter lie.
        arrays: the weights by their family's names; those that the adapter changes come back as new arrays, float32 or
            wider.
        names: what is known of those names.

    Raises:
        ValueError: the adapter is of another kind than LoRA and DoRA of linear layers, asks for something that is
            not done here, or its matrices and its configuration do not fit together; the message names what.
        OSError: a file cannot be read.
    """
    if not has_adapter(folder):
        return dict(arrays)
    path = folder / CONFIG
    weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if weights is None or not path.is_file():
        lacking, there = (" or ".join(_WEIGHTS), CONFIG) if weights is None else (CONFIG, weights.name)
        raise ValueError(f"{folder} has {there}, but not {lacking}: half of an adapter. Complete it or remove it.")
    modules = [name.removesuffix(".weight") for name in arrays if name.endswith(".weight")]
    linear = sorted(module for module in modules if names.adapted.fullmatch(module))
    lora, targets = read_adapter_config(path, linear, names)
    matrices = _matrices(weights, lora.dora, names)
    if absent := [module for module in targets if module not in matrices]:
        raise ValueError(f"{path} adapts {few(absent)}, of which {weights.name} holds nothing.")
    if surplus := [module for module in matrices if module not in targets]:
        raise ValueError(f"{weights} holds an adapter of {few(surplus)}, which {path} does not name for this model.")
    result = dict(arrays)
    for name in _widened(arrays, targets, linear):
        result[name] = np.asarray(arrays[name], np.float32)
    for module in targets:
        name = f"{module}.weight"
        result[name] = _updated(result[name], matrices[module], lora, module, weights)
    _log.warning("%s: merged the adapter of %d layers that lies beside the weights", folder, len(targets))
    return result


def _matrices(path: Path, dora: bool, names: WeightNames) -> dict[str, dict[str, np.ndarray]]:
    """The matrices by module and part: lora_A [rank, in], lora_B [out, rank], lora_magnitude_vector [out]."""
    arrays = read_safetensors(path) if path.suffix == ".safetensors" else read_torch_file(path)
    modules: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        found = _MATRIX.fullmatch(name)
        if names.left_out.fullmatch(f"{found[1]}.weight" if found else name.removeprefix("base_model.model.")):
            continue
        if found is None:
            raise ValueError(f"{path} holds {few([name])}, which is no part of a LoRA adapter of a linear layer.")
        check_float(f"{few([name])} in {path}", array.dtype)
        parts = modules.setdefault(found[1], {})
        if found[2] in parts:
            raise ValueError(f"{path} holds {found[2]} of {few([found[1]])} twice.")
        parts[found[2]] = array
    wanted = {"lora_A", "lora_B"} | ({"lora_magnitude_vector"} if dora else set())
    for module, parts in modules.items():
        if parts.keys() != wanted:
            held = ", ".join(sorted(parts))
            raise ValueError(f"{path} holds {held} of {few([module])}; expected are {', '.join(sorted(wanted))}.")
    return modules


def _updated(weight: np.ndarray, parts: Mapping[str, np.ndarray], lora: Lora, module: str, path: Path) -> np.ndarray:
    """W + scale * B A, [out, in]; for DoRA with every row scaled to the length that the adapter says."""
    rank = next((value for pattern, value in lora.ranks if pattern.match(module)), lora.rank)
    alpha = next((value for pattern, value in lora.alphas if pattern.match(module)), lora.alpha)
    shapes = {"lora_A": (rank, weight.shape[1]), "lora_B": (weight.shape[0], rank)}
    for part, array in parts.items():
        expected = shapes.get(part, (weight.shape[0],))
        if array.shape != expected:
            raise ValueError(f"{path} holds {part} of {module} with shape {array.shape}; expected is {expected}.")
    scale = alpha / (math.sqrt(rank) if lora.square_root else rank)
    wide = np.result_type(np.float32, weight.dtype)
    one, other = (np.asarray(parts[part], wide) for part in ("lora_B", "lora_A"))
    updated = weight.astype(wide) + (one @ other) * wide.type(scale)
    if lora.dora:
        length = np.linalg.norm(updated, axis=1)
        if not length.all():
            raise ValueError(f"{path} makes a row of {module} zero, which DoRA cannot give a length.")
        updated *= (np.asarray(parts["lora_magnitude_vector"], wide) / length)[:, None]
    return updated


def _widened(arrays: Mapping[str, np.ndarray], targets: list[str], linear: list[str]) -> list[str]:
    """Half precision weights of a kind that the adapter changes: the sum has more digits, and layers share a dtype."""
    kinds = {module.rpartition(".")[2] for module in targets}
    names = [f"{module}.weight" for module in linear if module.rpartition(".")[2] in kinds]
    return [name for name in names if arrays[name].dtype.itemsize < 4]
