"""Readers of catalogues: awesome-python, awesome-selfhosted, the Exercism exercises and the emoji of gemoji."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..files.archive_files import tar_texts
from ..files.raw_files import field, find, json_document, malformed, read_text, texts_field
from ..files.records import Instance, Row
from .plain_text import squeeze
from .sections import plain_markdown

ENTRY = re.compile(r"\s*- \[(?P<name>[^\]]+)\]\([^)]*\)(?: `⚠`)? - (?P<text>.+)")


class Entry(NamedTuple):
    """One line of an awesome list."""

    category: str
    name: str
    text: str
    row_id: str


def awesome_python_category(folder: Path) -> Iterator[Row]:
    """Yields rows: description of a library -> its category."""
    for entry in awesome_entries(find(folder, "awesome-python.md"), after="Projects"):
        yield Row(entry.text, entry.category, entry.row_id)


def awesome_python_name(folder: Path) -> Iterator[Row]:
    """Yields rows: description of a library -> its name."""
    for entry in awesome_entries(find(folder, "awesome-python.md"), after="Projects"):
        yield Row(entry.text, entry.name, entry.row_id)


def awesome_selfhosted_category(folder: Path) -> Iterator[Instance]:
    """Yields rows: name and description of a server program, labelled with its category."""
    for entry in awesome_entries(find(folder, "awesome-selfhosted.md"), after="Software"):
        yield Instance(f"{entry.name}: {entry.text}", entry.category, entry.row_id, label=entry.category)


def awesome_selfhosted_description(folder: Path) -> Iterator[Row]:
    """Yields rows: name of a server program -> its description."""
    for entry in awesome_entries(find(folder, "awesome-selfhosted.md"), after="Software"):
        yield Row(entry.name, entry.text, entry.row_id)


def awesome_entries(path: Path, after: str) -> Iterator[Entry]:
    """Yields the described entries under the `###` headings after the heading `## {after}`, up to the next `##`."""
    inside, category = False, ""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.startswith("## "):
            inside, category = line[3:].strip() == after, ""
        elif line.startswith("### "):
            category = line[4:].strip()
        elif inside and category and (match := ENTRY.fullmatch(line)):
            text = re.sub(
                r"(\s*\(\[[^()]*\]\([^)]*\)(?:, \[[^()]*\]\([^)]*\))*\))?(\s*`[^`]*`)*\s*$", "", match["text"]
            )
            yield Entry(category, match["name"], re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text), str(number))


def exercism(folder: Path) -> Iterator[Row]:
    """Yields rows: blurb of a programming exercise -> its text (introduction and instructions)."""
    path = find(folder, "exercises.tar")
    files = dict(tar_texts(path))
    for name in sorted(name for name in files if name.endswith("/metadata.toml")):
        exercise = name.removesuffix("metadata.toml")
        try:
            metadata = tomllib.loads(files[name])
        except tomllib.TOMLDecodeError as error:
            raise malformed(path / name, "?", f"not TOML: {error}") from error
        parts = [files.get(f"{exercise}{part}.md", "") for part in ("introduction", "instructions", "description")]
        bodies = [plain_markdown(re.sub(r"^# .*\n+", "", part)) for part in parts if part]
        if not bodies:
            raise malformed(path / name, "?", "the exercise has neither description.md nor instructions.md")
        yield Row(field(metadata, "blurb", str, path / name, "?"), "\n\n".join(bodies), exercise.split("/")[-2])


def gemoji_tags(folder: Path) -> Iterator[Row]:
    """Yields rows: description of an emoji -> its aliases and tags.

    721 emoji have none but their description and are dropped.
    """
    for description, _, words, row_id in _gemoji(folder):
        others = dict.fromkeys(word for word in words if word.casefold() != description.casefold())
        yield Row(description, ", ".join(others), row_id)


def gemoji_category(folder: Path) -> Iterator[Instance]:
    """Yields rows: description of an emoji, labelled with its category."""
    for description, category, _, row_id in _gemoji(folder):
        yield Instance(description, category, row_id, label=category)


def _gemoji(folder: Path) -> Iterator[tuple[str, str, list[str], str]]:
    path = find(folder, "emoji.json")
    for row, record in enumerate(json_document(path, list), start=1):
        words = [*texts_field(record, "aliases", path, row), *texts_field(record, "tags", path, row)]
        readable = [squeeze(word.replace("_", " ")) for word in words]
        description, category = (field(record, name, str, path, row) for name in ("description", "category"))
        yield description, category, readable, str(row)
