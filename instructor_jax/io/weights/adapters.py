"""LoRA adapters that lie beside a model's weights, merged into them: `adapter_config.json` in the layout of peft.

sentence-transformers loads such an adapter without being asked, so a reader that looks at the base weights alone gives
other vectors. The update of a linear layer is W + scale * B A, with scale = alpha / rank; merged, it costs nothing.
Which keys of the configuration are obeyed, harmless, or refused stands in the tables below; a key in none is refused.

Sources: peft 0.21 (`tuners/lora/config.py`, `layer.py`, `variants.py`; `tuners_utils.check_target_module_exists`;
`utils.other.get_pattern_key`), transformers 5 (`integrations/peft.py`: safetensors before `.bin`, the local base model
where the folder has a `config.json`).
"""

import logging
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from instructor_jax.io.json_files import Fields, read_json, shown_value
from instructor_jax.io.weights.adapter_patterns import compiled, is_named
from instructor_jax.io.weights.names import check_float
from instructor_jax.io.weights.tensor_files import few, read_safetensors
from instructor_jax.io.weights.torch_files import read_torch_file

_log = logging.getLogger(__name__)

CONFIG = "adapter_config.json"
_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
ADAPTER_FILES = (CONFIG, *_WEIGHTS)

_HARMLESS = {
    "auto_mapping": "names the class of the base model, which is not imported here",
    "base_model_name_or_path": "the base lies beside the adapter",
    "inference_mode": "freezes weights",
    "lora_dropout": "acts in training only",
    "merge_weights": "peft before 0.3: merged or not, the sum is the same",
    "peft_version": "who wrote it",
    "revision": "of the base model on the hub",
    "task_type": "chooses peft's wrapper; its heads are listed in modules_to_save",
    "fan_in_fan_out": "peft sets it to false for layers such as T5's",
    "corda_config": "how the weights began", "eva_config": "how the weights began",
    "lora_ga_config": "how the weights began", "loftq_config": "how the weights began",
    "runtime_config": "where sums are computed",
    "megatron_core": "read only with megatron_config", "qalora_group_size": "read only with use_qalora",
    "ensure_weight_tying": "for embeddings and modules_to_save, which are refused",
}  # fmt: skip
# Keys that are harmless with these values only; what another one means.
_HARMLESS_VALUES: dict[str, tuple[tuple[Any, ...], str]] = {
    "bias": (("none",), "trained biases, among them T5's relative attention bias"),
    "modules_to_save": (([],), "whole modules that replace the base model's"),
    "lora_bias": ((False,), "a bias that T5's layers have no place for"),
    "use_qalora": ((False,), "an adapter of quantised layers"),
    "trainable_token_indices": (([], {}), "embeddings of single tokens that replace the base model's"),
    "target_parameters": (([],), "an adapter of something else than linear layers"),
    "layer_replication": (([],), "layers that are used several times"),
    "megatron_config": ((), "layers of Megatron"),
    "alora_invocation_tokens": ((), "an adapter that acts on some tokens only"),
    "arrow_config": ((), "several adapters with a router"),
    "kasa_config": ((), "an adapter that changes the base weights (KaSA)"),
    "monteclora_config": ((), "an adapter that is drawn at random (MonteCLoRA)"),
    "use_bdlora": ((), "block-diagonal matrices (BD-LoRA)"),
    "velora_config": ((), "a variant of LoRA (VeLoRA)"),
    "enable_lora": ((), "an adapter of a part of a layer (peft before 0.3)"),
    # The other beginnings (pissa, olora, corda, loftq, lora_ga, mica) change the base weights when the adapter loads.
    "init_lora_weights": (
        (True, False, "gaussian", "eva", "orthogonal"),
        "base weights that loading changes; peft's save_pretrained(path_initial_model_for_weight_conversion=...) "
        "makes an ordinary adapter of it",
    ),
}  # fmt: skip
_WHOLE_BASE = (
    "copy the base model's config.json and weights into the folder, which are then merged, or merge with peft: "
    "PeftModel.from_pretrained(base, folder).merge_and_unload()"
)
_LINEAR = re.compile(
    r"encoder\.block\.\d+\.layer\.\d\.(SelfAttention\.[qkvo]|DenseReluDense\.(wi|wi_0|wi_1|wo))\.weight"
)
_MATRIX = re.compile(r"(?:base_model\.model\.)?(.+)\.(lora_A|lora_B|lora_magnitude_vector)(?:\.default)?(?:\.weight)?")
_LEFT_OUT = re.compile(r"(?:base_model\.model\.)?(decoder\.|lm_head\.).*")


class _Lora(NamedTuple):
    """What an adapter's configuration says; patterns as pairs of compiled pattern and value, in the file's order."""

    rank: int
    alpha: float
    ranks: list[tuple[re.Pattern[str], int]]
    alphas: list[tuple[re.Pattern[str], float]]
    square_root: bool
    dora: bool


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


def merged(folder: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns a folder's weights with the adapter beside them merged; without one, the weights as they are.

    Args:
        folder: where the weights and the adapter lie.
        arrays: the weights by T5's names; those that the adapter changes come back as new arrays, float32 or wider.

    Raises:
        ValueError: the adapter is of another kind than LoRA and DoRA of T5's linear layers, asks for something that is
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
    linear = sorted(name.removesuffix(".weight") for name in arrays if _LINEAR.fullmatch(name))
    lora, targets = _configuration(path, linear)
    matrices = _matrices(weights, lora.dora)
    if absent := [module for module in targets if module not in matrices]:
        raise ValueError(f"{path} adapts {few(absent)}, of which {weights.name} holds nothing.")
    if surplus := [module for module in matrices if module not in targets]:
        raise ValueError(f"{weights} holds an adapter of {few(surplus)}, which {path} does not name for this model.")
    result = dict(arrays)
    for name in _widened(arrays, targets):
        result[name] = np.asarray(arrays[name], np.float32)
    for module in targets:
        name = f"{module}.weight"
        result[name] = _updated(result[name], matrices[module], lora, module, weights)
    _log.warning("%s: merged the adapter of %d layers that lies beside the weights", folder, len(targets))
    return result


def _configuration(path: Path, linear: list[str]) -> tuple[_Lora, list[str]]:
    fields = Fields(read_json(path), path)
    kind = fields.text("peft_type")
    if kind != "LORA":
        raise ValueError(f"{path} describes an adapter of the kind {shown_value(kind)}; merged is LORA. {_merge(kind)}")
    fields.ignore(_HARMLESS)
    for key, (allowed, meaning) in _HARMLESS_VALUES.items():
        value = fields.any(key)
        if value is not None and not any(type(value) is type(good) and value == good for good in allowed):
            raise ValueError(
                f"{path} has {key}={shown_value(value)}, which means {meaning}; {_merge('such an adapter')}"
            )
    lora = _Lora(
        fields.whole("r", 8, least=1),
        fields.number("lora_alpha", 8, least=-1e6, most=1e6),
        _patterns(fields, "rank_pattern", whole=True),
        _patterns(fields, "alpha_pattern", whole=False),
        fields.flag("use_rslora", False),
        fields.flag("use_dora", False),
    )
    targets = _targets(fields, linear)
    fields.refuse_unread()
    if not targets:
        raise ValueError(f"{path} adapts no linear layer of this T5 encoder; remove it if it belongs elsewhere.")
    return lora, targets


def _merge(what: str) -> str:
    return f"For {what} merge with peft: PeftModel.from_pretrained(base, folder).merge_and_unload(), and save that."


def _targets(fields: Fields, linear: list[str]) -> list[str]:
    """The linear layers that the configuration chooses, by peft's rules."""
    where = str(fields.where)
    wanted, layers = fields.any("target_modules"), fields.any("layers_to_transform")
    excluded, place = fields.any("exclude_modules"), fields.any("layers_pattern")
    if isinstance(excluded, str):
        out = compiled(excluded, where)
        linear = [module for module in linear if not out.fullmatch(module)]
    elif excluded is not None:
        linear = [module for module in linear if not is_named(module, _names(excluded, "exclude_modules", where))]
    if isinstance(wanted, str):
        if layers is not None or place:
            raise ValueError(f"{where} has layers_to_transform beside a pattern, which peft refuses too.")
        if wanted.lower() == "all-linear":
            return linear
        chosen = compiled(wanted, where)
        return [module for module in linear if chosen.fullmatch(module)]
    names = _names(wanted, "target_modules", where)
    found = [module for module in linear if is_named(module, names)]
    if layers is None or layers == []:
        return found
    numbers = layers if isinstance(layers, list) else [layers]
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
        raise ValueError(f"{where} has layers_to_transform={shown_value(layers)}; it must be numbers of layers.")
    if place not in (None, "", [], "block", ["block"]):
        raise ValueError(f"{where} has layers_pattern={shown_value(place)}; T5's layers are a list called 'block'.")
    return [module for module in found if int(module.split(".")[2]) in numbers]


def _names(value: Any, key: str, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{where} has {key}={shown_value(value)}; it must be a list of names or a pattern.")
    if len(value) > 4096:
        raise ValueError(f"{where} lists {len(value):,} names under {key}; no T5 has so many layers.")
    return value


def _patterns(fields: Fields, key: str, *, whole: bool) -> list[tuple[re.Pattern[str], Any]]:
    values = Fields(fields.any(key, {}), f"{key} in {fields.where}")
    if len(values.content) > 4096:
        raise ValueError(f"{values.where} has {len(values.content):,} entries; no T5 has so many layers.")
    read = values.whole if whole else values.number
    span: dict[str, Any] = {"least": 1} if whole else {"least": -1e6, "most": 1e6}
    return [(compiled(rf"(.*\.)?({pattern})$", str(values.where)), read(pattern, **span)) for pattern in values.content]


def _matrices(path: Path, dora: bool) -> dict[str, dict[str, np.ndarray]]:
    """The matrices by module and part: lora_A [rank, in], lora_B [out, rank], lora_magnitude_vector [out]."""
    arrays = read_safetensors(path) if path.suffix == ".safetensors" else read_torch_file(path)
    modules: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        if _LEFT_OUT.fullmatch(name):
            continue
        found = _MATRIX.fullmatch(name)
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


def _updated(weight: np.ndarray, parts: Mapping[str, np.ndarray], lora: _Lora, module: str, path: Path) -> np.ndarray:
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


def _widened(arrays: Mapping[str, np.ndarray], targets: list[str]) -> list[str]:
    """Half precision weights of a kind that the adapter changes: the sum has more digits, and layers share a dtype."""
    kinds = {module.rpartition(".")[2] for module in targets}
    return [
        name
        for name, array in arrays.items()
        if _LINEAR.fullmatch(name) and name.split(".")[-2] in kinds and array.dtype.itemsize < 4
    ]
