"""The settings of an adapter, `adapter_config.json` in the layout of peft: which layers it changes, and by how much.

Which keys are obeyed, harmless, or refused stands in the tables below; a key in none is refused. Sources: peft 0.21
(`tuners/lora/config.py`, `layer.py`, `variants.py`; `tuners_utils.check_target_module_exists`;
`utils.other.get_pattern_key`).
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

from instructor_jax.backbones.weight_names import WeightNames
from instructor_jax.io.json_files import Fields, read_json, shown_value
from instructor_jax.io.weights.adapter_patterns import compiled, is_named

_HARMLESS = {
    "auto_mapping": "names the class of the base model, which is not imported here",
    "base_model_name_or_path": "the base lies beside the adapter",
    "inference_mode": "freezes weights",
    "lora_dropout": "acts in training only",
    "merge_weights": "peft before 0.3: merged or not, the sum is the same",
    "peft_version": "who wrote it",
    "revision": "of the base model on the hub",
    "task_type": "chooses peft's wrapper; its heads are listed in modules_to_save",
    "fan_in_fan_out": "peft sets it to false for linear layers",
    "corda_config": "how the weights began", "eva_config": "how the weights began",
    "lora_ga_config": "how the weights began", "loftq_config": "how the weights began",
    "runtime_config": "where sums are computed",
    "megatron_core": "read only with megatron_config", "qalora_group_size": "read only with use_qalora",
    "ensure_weight_tying": "for embeddings and modules_to_save, which are refused",
}  # fmt: skip
# Keys that are harmless with these values only; what another one means.
_HARMLESS_VALUES: dict[str, tuple[tuple[Any, ...], str]] = {
    "bias": (("none",), "trained biases, among them a relative attention bias"),
    "modules_to_save": (([],), "whole modules that replace the base model's"),
    "lora_bias": ((False,), "a bias that the encoder's layers have no place for"),
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


class Lora(NamedTuple):
    """What an adapter's configuration says.

    Attributes:
        rank: Rank of the update of a layer that no pattern chooses.
        alpha: Scale of the same, before it is divided by the rank.
        ranks: Ranks by pattern, in the file's order.
        alphas: Scales by pattern.
        square_root: Whether the scale is divided by the square root of the rank.
        dora: Whether rows are scaled to lengths that the adapter has (DoRA).
    """

    rank: int
    alpha: float
    ranks: list[tuple[re.Pattern[str], int]]
    alphas: list[tuple[re.Pattern[str], float]]
    square_root: bool
    dora: bool


def read_adapter_config(path: Path, linear: list[str], names: WeightNames) -> tuple[Lora, list[str]]:
    """Reads an adapter_config.json.

    Args:
        path: The file.
        linear: Names of the model's linear layers, sorted.
        names: What is known of their names.

    Returns:
        What it says, and which of the layers it adapts.

    Raises:
        ValueError: the adapter is of another kind than LoRA and DoRA, adapts no layer, or asks for something that is
            not done here.
        OSError: the file cannot be read.
    """
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
    lora = Lora(
        fields.whole("r", 8, least=1),
        fields.number("lora_alpha", 8, least=-1e6, most=1e6),
        _patterns(fields, "rank_pattern", whole=True),
        _patterns(fields, "alpha_pattern", whole=False),
        fields.flag("use_rslora", False),
        fields.flag("use_dora", False),
    )
    targets = _targets(fields, linear, names)
    fields.refuse_unread()
    if not targets:
        raise ValueError(f"{path} adapts no linear layer of this encoder; remove it if it belongs elsewhere.")
    return lora, targets


def _merge(what: str) -> str:
    return f"For {what} merge with peft: PeftModel.from_pretrained(base, folder).merge_and_unload(), and save that."


def _targets(fields: Fields, linear: list[str], names: WeightNames) -> list[str]:
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
    listed = _names(wanted, "target_modules", where)
    found = [module for module in linear if is_named(module, listed)]
    if layers is None or layers == []:
        return found
    numbers = layers if isinstance(layers, list) else [layers]
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
        raise ValueError(f"{where} has layers_to_transform={shown_value(layers)}; it must be numbers of layers.")
    if place not in (None, "", [], names.layer_list, [names.layer_list]):
        raise ValueError(
            f"{where} has layers_pattern={shown_value(place)}; the layers are a list called {names.layer_list!r}."
        )
    return [module for module in found if _layer(module, names) in numbers]


def _layer(module: str, names: WeightNames) -> int:
    found = names.adapted.fullmatch(module)
    assert found is not None  # `linear` was chosen by the same pattern
    return int(found["layer"])


def _names(value: Any, key: str, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{where} has {key}={shown_value(value)}; it must be a list of names or a pattern.")
    if len(value) > 4096:
        raise ValueError(f"{where} lists {len(value):,} names under {key}; no encoder has so many layers.")
    return value


def _patterns(fields: Fields, key: str, *, whole: bool) -> list[tuple[re.Pattern[str], Any]]:
    values = Fields(fields.any(key, {}), f"{key} in {fields.where}")
    if len(values.content) > 4096:
        raise ValueError(f"{values.where} has {len(values.content):,} entries; no encoder has so many layers.")
    read = values.whole if whole else values.number
    span: dict[str, Any] = {"least": 1} if whole else {"least": -1e6, "most": 1e6}
    return [(compiled(rf"(.*\.)?({pattern})$", str(values.where)), read(pattern, **span)) for pattern in values.content]
