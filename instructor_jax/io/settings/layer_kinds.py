"""What a config.json says of rotary positions and of layers that see a window: in old spellings, or transformers 5's.

Since version 5 `rope_parameters` and `layer_types` say what each family had keys of its own for. Where both are there
transformers obeys the newer ones, and here they have to agree.
"""

from collections.abc import Mapping
from typing import Any

from instructor_jax.io.bounds import SIZE
from instructor_jax.io.json_files import Fields, shown_value

FULL, WINDOW = "full_attention", "sliding_attention"


def rotary_bases(fields: Fields, keys: Mapping[str, str], defaults: Mapping[str, int]) -> dict[str, int]:
    """Returns the base of the wavelengths of each kind of layer.

    Args:
        fields: Of the config.json.
        keys: The older key of each kind that has one; a single one is that of all layers.
        defaults: The bases of all kinds, where nothing is said.

    Raises:
        ValueError: Another kind of rotation is asked for, or a base is no whole number.
    """
    fields.require({"rope_scaling": ({"rope_type": "default"}, {"type": "default"})}, "which scales positions")
    older = {
        kind: _base(fields, keys[kind], default) if kind in keys else default for kind, default in defaults.items()
    }
    content = fields.any("rope_parameters", {})
    if not isinstance(content, Mapping):
        raise ValueError(f"{fields.where} has rope_parameters={shown_value(content)}; it must be an object.")
    nested = any(kind in content for kind in (FULL, WINDOW))
    bases = {}
    for kind, base in older.items():
        said = content.get(kind) or {} if nested else content
        inner = Fields(said, f"{fields.where}: rope_parameters")
        inner.require({"rope_type": ("default",), "type": ("default",)}, "which scales positions")
        inner.require({"partial_rotary_factor": (1, 1.0)}, "which turns a part of each head")
        bases[kind] = _base(inner, "rope_theta", base)
        inner.refuse_unread()
        if kind in keys and keys[kind] in fields and bases[kind] != base:
            raise ValueError(
                f"{fields.where} has {keys[kind]}={base}, but rope_parameters say {bases[kind]}; remove the wrong one."
            )
    return bases


def _base(fields: Fields, key: str, default: int) -> int:
    value = fields.number(key, float(default), least=2.0, most=float(SIZE))
    if value != int(value):
        raise ValueError(f"{fields.where} has {key}={value}; it must be a whole number.")
    return int(value)


def full_every(fields: Fields, layers: int, place: int, keys: tuple[str, ...], default: int) -> int:
    """Returns how often a layer sees all of a text, where the others see a window.

    Args:
        fields: Of the config.json.
        layers: Number of layers.
        place: Which of every group of layers it is, 0 for the first and -1 for the last.
        keys: Older keys that say it.
        default: How often where nothing is said.

    Raises:
        ValueError: `layer_types` follows no such rule, or contradicts the older keys.
    """
    told = [fields.whole(key, least=1) for key in keys if key in fields]
    types: Any = fields.any("layer_types")
    if types is None:
        every = told[0] if told else default
    else:
        # of several rules that give the same layers, as of a few layers, the one that is told or usual
        rules = (*told, default, *range(1, layers + 2))
        every = next((number for number in rules if layer_types(layers, number, place) == types), 0)
        if not every:
            raise ValueError(
                f"{fields.where} has layer_types={shown_value(types)}; supported is one layer of {FULL!r} among every "
                f"few of {WINDOW!r}, at equal distances."
            )
    if any(number != every for number in told):
        raise ValueError(f"{fields.where} has {keys[0]}={told[0]}, but layer_types of every {every}; one is wrong.")
    return every


def layer_types(layers: int, every: int, place: int) -> list[str]:
    """Returns the kind of each layer, as transformers 5 writes it; see `full_every`."""
    return [FULL if index % every == place % every else WINDOW for index in range(layers)]
