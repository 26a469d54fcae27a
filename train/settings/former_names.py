"""Settings that were renamed answer to their former names: in commands, files, recipes and the checkpoints of old runs.

A renamed field carries its former name (`formerly("ahead", default=2)`), so both stand in one place. Everything else
asks `former_names` for the table of a configuration, and works with present names alone.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

Config = TypeVar("Config")

_KEY = "formerly"


def formerly(name: str, **options: Any) -> Any:
    """Declares a dataclass field whose setting had another name before.

    Args:
        name: Former name of the setting, within the same section.
        options: Arguments of `dataclasses.field`, the default among them.
    """
    return dataclasses.field(**options, metadata={_KEY: name})


@functools.cache
def former_names(config: type) -> dict[str, str]:
    """Returns the former names of a dataclass's fields, each with the present one."""
    fields = dataclasses.fields(config)
    return {one.metadata[_KEY]: one.name for one in fields if _KEY in one.metadata}


def accepts_former_names(config: type[Config]) -> type[Config]:
    """Lets a dataclass be made, and changed by `dataclasses.replace`, with former names of its fields.

    Where both names are given the former one counts, since `dataclasses.replace` always gives the present one too.
    """
    make: Callable[..., None] = config.__init__

    @functools.wraps(make)
    def __init__(self: Any, *args: Any, **values: Any) -> None:
        for former, present in former_names(config).items():
            if former in values:
                values[present] = values.pop(former)
        make(self, *args, **values)

    config.__init__ = __init__
    return config


def present_parts(config: Any, parts: Sequence[str]) -> list[str]:
    """Returns the parts of a dotted key by their present names; parts that are not known stay as they are."""
    found: list[str] = []
    for part in parts:
        found.append(_names(config).get(part, part))
        config = getattr(config, found[-1], None)
    return found


def present_keys(config: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns settings by dotted key under their present names."""
    return {".".join(present_parts(config, key.split("."))): value for key, value in settings.items()}


def present_tree(config: Any, tree: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Returns nested settings under their present names.

    Raises:
        ValueError: A setting is given under both of its names.
    """
    names, found = _names(config), {}
    for name, value in tree.items():
        present = names.get(name, name)
        if present in found:
            both = " and ".join(sorted(f"{path}{key}" for key in tree if names.get(key, key) == present))
            raise ValueError(f"{both} are two names of one setting; give one of them, best {path}{present}.")
        inner = getattr(config, present, None)
        nested = isinstance(value, Mapping) and dataclasses.is_dataclass(inner)
        found[present] = present_tree(inner, value, f"{path}{present}.") if nested else value
    return found


def _names(config: Any) -> dict[str, str]:
    known = dataclasses.is_dataclass(config) and not isinstance(config, type)
    return former_names(type(config)) if known else {}
