"""The page of a recipe's settings, written from the records in code: each with its meaning, type and default."""

import dataclasses
import inspect
import re
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructor_jax.train import RunConfig

from .files import write_if_changed

HEAD = """# Settings of a recipe

`instructor-jax train RECIPE key=value ...` changes single settings of a recipe; a file of them goes before with
`--config run.toml`. `instructor-jax train RECIPE --show` prints those of a recipe; the defaults here are those of a
`RunConfig` that no recipe has changed. Values are TOML: texts may leave out their quotes, lists are written
`'["a", "b"]'`.

This page is made of the records in the code.
"""


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting of a run.

    Attributes:
        key: Dotted key, such as `batch.rows`.
        kind: Type of the value, as Python writes it.
        default: Value where no recipe changes it.
        meaning: What it sets, in whole sentences.
    """

    key: str
    kind: str
    default: str
    meaning: str


def write_settings_page(path: Path) -> None:
    """Writes the page of all settings."""
    write_if_changed(path, settings_page())


def settings_page() -> str:
    """Returns the page of all settings, a table for each section."""
    sections: dict[str, list[Setting]] = {}
    for one in settings(RunConfig()):
        sections.setdefault(one.key.rpartition(".")[0], []).append(one)
    parts = [HEAD]
    for section, found in sections.items():
        parts.append(f"## {f'`{section}`' if section else 'The run'}\n\n{_summary(section)}\n\n{_table(found)}")
    return "\n".join(parts)


def settings(config: Any, prefix: str = "") -> Iterator[Setting]:
    """Yields every setting of a record and of the records in it, in their order.

    Raises:
        ValueError: A field has no line under "Attributes:" in its record's docstring.
    """
    meanings = attributes_of(type(config))
    hints = typing.get_type_hints(type(config))
    for one in dataclasses.fields(config):
        value = getattr(config, one.name)
        if dataclasses.is_dataclass(value):
            yield from settings(value, f"{prefix}{one.name}.")
        elif one.name not in meanings:
            raise ValueError(f"{type(config).__name__} does not say under 'Attributes:' what {one.name} is.")
        else:
            yield Setting(prefix + one.name, _kind(hints[one.name]), _plain(value), meanings[one.name])


def attributes_of(record: type) -> dict[str, str]:
    """Returns what a record's docstring says of each attribute, those of its base classes included."""
    found: dict[str, str] = {}
    for base in reversed(record.__mro__[:-1]):
        text = inspect.cleandoc(base.__doc__ or "")
        _, has, listed = text.partition("Attributes:\n")
        if has:
            listed = textwrap.dedent(re.split(r"\n(?=\S)", listed)[0])
            for names, meaning in re.findall(r"^([\w, ]+): (.*(?:\n .*)*)", listed, re.MULTILINE):
                found |= dict.fromkeys(names.split(", "), " ".join(meaning.split()))
    return found


def _summary(section: str) -> str:
    """Returns the first paragraph of the docstring of a section's record."""
    record: Any = RunConfig()
    for name in section.split(".") if section else ():
        record = getattr(record, name)
    return " ".join((inspect.getdoc(type(record)) or "").split("\n\n")[0].split())


def _table(found: list[Setting]) -> str:
    rows = "".join(f"| `{one.key}` | {one.meaning} | {_code(one.kind)} | {_code(one.default)} |\n" for one in found)
    return f"| key | meaning | type | default |\n| --- | --- | --- | --- |\n{rows}"


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _kind(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(str(choice) for choice in typing.get_args(hint))
    if isinstance(hint, type) and not typing.get_args(hint):
        return hint.__name__
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", str(hint)).replace("tuple[", "list[").replace(", ...", "")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return str([one if not dataclasses.is_dataclass(one) else vars(one) for one in value])
    return '""' if value == "" else str(value).lower() if value is None else str(value)
