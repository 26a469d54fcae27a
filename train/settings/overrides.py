"""`key=value` settings laid over a recipe, with the types of its fields; a wrong one is refused with the nearest fit.

Values are TOML (`true`, `1e-4`, `[768, 256]`, `[{task = "imdb", in_batch = false}]`); what is no TOML is a string, so
that paths and names need no quotes. A TOML file of the same keys does the same for many settings at once.
"""

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from instructor_jax.io.bounds import SETTINGS_BYTES
from instructor_jax.io.json_files import read_bytes
from instructor_jax.io.printable import one_line, shown

from .former_names import present_parts, present_tree

Config = TypeVar("Config")


def override(config: Config, settings: Sequence[str], file: Path | None = None) -> Config:
    """Returns the configuration with settings such as `optimizer.learning_rate=1e-4` laid over it, all at once.

    Args:
        config: Configuration: any dataclass of dataclasses.
        settings: Settings, each key=value.
        file: TOML file of settings, which count less than those.

    Raises:
        ValueError: No such key, a value of another type, one that the configuration refuses, or the file is no TOML.
    """
    tree = _tree(config, settings, file)
    try:
        return overlay(config, tree)
    except _UnknownSetting as error:
        raise ValueError(_unknown(error.key, error.known, _keys(config))) from error


def given_keys(config: Any, settings: Sequence[str], file: Path | None = None) -> frozenset[str]:
    """Returns the dotted keys that settings and file set, by their present names; arguments as of `override`."""

    def leaves(tree: Mapping[str, Any], path: str) -> Iterator[str]:
        for name, value in tree.items():
            if isinstance(value, Mapping):
                yield from leaves(value, f"{path}{name}.")
            else:
                yield f"{path}{name}"

    return frozenset(leaves(_tree(config, settings, file), ""))


def _tree(config: Any, settings: Sequence[str], file: Path | None) -> dict[str, Any]:
    tree = {} if file is None else present_tree(config, _read(file))
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"{shown(setting)} is no setting; write key=value, as in steps=1000.")
        _put(tree, present_parts(config, key.strip().split(".")), _parsed(text.strip(), key.strip()), setting)
    return tree


class _UnknownSetting(ValueError):
    """Raised for a key that the configuration does not have.

    Attributes:
        key: Dotted key.
        known: Keys that there are in its place.
    """

    def __init__(self, key: str, known: Sequence[str]) -> None:
        super().__init__(_unknown(key, known))
        self.key, self.known = key, known


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_bytes(file, SETTINGS_BYTES, "a file of settings").decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not TOML: byte {error.start} is not UTF-8 ({error.reason}).") from error
    except RecursionError as error:
        raise ValueError(f"{file} is not TOML: it nests too deeply.") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{file} is not TOML: {error}.") from error


def overlay(config: Config, tree: Mapping[str, Any], path: str = "") -> Config:
    """Returns the configuration with some of its fields replaced.

    Nested mappings replace fields of nested configurations.
    """
    hints = typing.get_type_hints(type(config))
    changes = {}
    for name, value in tree.items():
        key = f"{path}{name}"
        if name not in hints:
            raise _UnknownSetting(key, [f"{path}{known}" for known in hints])
        inner = getattr(config, name)
        if isinstance(value, Mapping) and dataclasses.is_dataclass(inner):
            changes[name] = overlay(inner, value, f"{key}.")
        elif dataclasses.is_dataclass(inner):
            fields = ", ".join(f"{key}.{one.name}" for one in dataclasses.fields(inner))
            raise ValueError(f"{key}={shown(value)}: {key} has fields, set one of {fields}.")
        else:
            changes[name] = _typed(value, hints[name], key)
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def _put(tree: dict[str, Any], parts: list[str], value: Any, setting: str) -> None:
    for part in parts[:-1]:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise ValueError(f"{shown(setting)}: {part!r} is given twice, once as a value.")
    if isinstance(tree.get(parts[-1]), dict) and not isinstance(value, dict):
        raise ValueError(f"{shown(setting)}: {parts[-1]!r} is given twice, once with fields.")
    tree[parts[-1]] = value


def _parsed(text: str, key: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except RecursionError as error:
        raise ValueError(f"{key}={one_line(text, 40)} nests too deeply.") from error
    except ValueError:  # no TOML, or a number of thousands of digits
        return text


def _typed(value: Any, hint: Any, key: str) -> Any:
    """Returns the value as a field of this type takes it.

    Raises:
        ValueError: It is of another type.
    """
    for kind in _alternatives(hint):
        converted = _as(value, kind, key)
        if converted is not _NO:
            return converted
    raise ValueError(f"{key}={shown(value)} must be {_words(hint)}.")


_NO = object()


def _as(value: Any, kind: Any, key: str) -> Any:
    """Returns the value as this type, or `_NO`; a whole number is a float too, a truth value is no number."""
    if typing.get_origin(kind) is Literal:
        return value if value in typing.get_args(kind) else _NO
    if typing.get_origin(kind) is tuple:
        values = value if isinstance(value, list) else [value]
        return tuple(_typed(one, typing.get_args(kind)[0], key) for one in values)
    if kind is types.NoneType:
        return None if value in (None, "none", "None", "null") else _NO
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if abs(value) < 1e300 or isinstance(value, float) else _NO
    if kind is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return _made(kind, value, key)
    return value if type(value) is kind else _NO


def _made(kind: Any, value: Mapping[str, Any], key: str) -> Any:
    hints = typing.get_type_hints(kind)
    if unknown := [name for name in value if name not in hints]:
        raise ValueError(_unknown(f"{key}.{unknown[0]}", [f"{key}.{known}" for known in hints]))
    try:
        return kind(**{name: _typed(one, hints[name], f"{key}.{name}") for name, one in value.items()})
    except TypeError as error:
        raise ValueError(f"{key}={shown(dict(value))}: {error}.") from error


def _alternatives(hint: Any) -> tuple[Any, ...]:
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if union else (hint,)


def _words(hint: Any) -> str:
    """Describes a type for a person."""
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", types.NoneType: "none"}
    parts = []
    for kind in _alternatives(hint):
        if typing.get_origin(kind) is Literal:
            parts.append("one of " + ", ".join(map(str, typing.get_args(kind))))
        else:
            parts.append(names.get(kind, str(kind)))
    return " or ".join(parts)


def _keys(config: Any, prefix: str = "") -> list[str]:
    """Returns all dotted keys of a configuration."""
    found = []
    for one in dataclasses.fields(config):
        inner = getattr(config, one.name)
        nested = _keys(inner, f"{prefix}{one.name}.") if dataclasses.is_dataclass(inner) else []
        found += nested or [prefix + one.name]
    return found


def _unknown(key: str, known: Sequence[str], everywhere: Sequence[str] = ()) -> str:
    """Returns the message about an unknown key, with the same name elsewhere, or a similar one there or elsewhere."""
    last, place = key.rpartition(".")[2], key.rpartition(".")[0]
    same = [one for one in everywhere if one.rpartition(".")[2] == last]
    same.sort(key=lambda one: (not one.startswith(f"{place}."), len(one)))  # below the place that was named, first
    names = {one.rpartition(".")[2]: one for one in (*everywhere, *known)}  # those of its place win
    near = [names[name] for name in difflib.get_close_matches(last, [one.rpartition(".")[2] for one in known], n=1)]
    close = same[:1] or near or [names[name] for name in difflib.get_close_matches(last, names, n=1, cutoff=0.8)]
    return f"unknown setting {shown(key)}; " + (
        f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."
    )
