"""Readers of dialogues: DialogSum and the schema-guided dialogues (SGD)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..files.raw_files import field, find, json_document, json_lines, malformed
from ..files.records import Instance, Row
from .plain_text import chained

SGD_FILES = ("001", "003", "005", "007", "009", "010")


def dialogsum_dialogue(folder: Path) -> Iterator[Row]:
    """Yields rows: summary -> the dialogue it sums up."""
    for row_id, record, path in _dialogsum(folder):
        dialogue = field(record, "dialogue", str, path, row_id)
        for number, summary in enumerate(_summaries(record, path, row_id)):
            yield Row(summary, dialogue, f"{row_id}:{number}")


def dialogsum_summary(folder: Path) -> Iterator[Row]:
    """Yields rows: summary of a dialogue <-> another annotator's summary of it (the test part has three of each)."""
    for row_id, record, path in _dialogsum(folder):
        for number, (one, other) in enumerate(chained(_summaries(record, path, row_id))):
            yield Row(one, other, f"{row_id}:{number}", label=row_id)


def sgd_reply(folder: Path) -> Iterator[Row]:
    """Yields rows: user turn -> the system's reply."""
    for row_id, turn, following, path in sgd_turns(folder, "USER"):
        if following is not None:
            yield Row(utterance(turn, path, row_id), utterance(following, path, row_id), row_id)


def sgd_intent(folder: Path) -> Iterator[Instance]:
    """Yields rows: user turn that states an intent, labelled with it.

    Later turns of the intent ("Yes, please.") are left out.
    """
    for row_id, turn, path, intent, description in _sgd_intents(folder):
        yield Instance(utterance(turn, path, row_id), description, row_id, label=intent)


def sgd_intent_description(folder: Path) -> Iterator[Row]:
    """Yields rows: user turn that states an intent -> the schema's description of that intent."""
    for row_id, turn, path, intent, description in _sgd_intents(folder):
        yield Row(utterance(turn, path, row_id), description, row_id, label=intent)


def _dialogsum(folder: Path) -> Iterator[tuple[str, Any, Path]]:
    for split in ("dev", "test"):
        path = find(folder, f"dialogsum.{split}.jsonl")
        for row, record in json_lines(path):
            yield field(record, "fname", str, path, row), record, path


def _summaries(record: Any, path: Path, row_id: str) -> list[str]:
    names = ["summary"] if "summary" in record else ["summary1", "summary2", "summary3"]
    return [field(record, name, str, path, row_id) for name in names]


def sgd_turns(folder: Path, *speakers: str) -> Iterator[tuple[str, Any, Any, Path]]:
    """Yields row id, a turn of these speakers, "USER" or "SYSTEM", the turn after it (None at the end) and file."""
    for name in SGD_FILES:
        path = find(folder, f"dialogues_{name}.json")
        for place, dialogue in enumerate(json_document(path, list), start=1):
            turns = field(dialogue, "turns", list, path, place)
            for number, (turn, following) in enumerate(zip(turns, [*turns[1:], None], strict=True)):
                row_id = f"{field(dialogue, 'dialogue_id', str, path, place)}:{number}"
                speaker = field(turn, "speaker", str, path, row_id)
                if speaker not in ("USER", "SYSTEM"):
                    raise malformed(path, row_id, f"speaker={speaker!r} must be USER or SYSTEM")
                if speaker in speakers:
                    yield row_id, turn, following, path


def _sgd_intents(folder: Path) -> Iterator[tuple[str, Any, Path, str, str]]:
    """Yields row id, turn, file, intent and its description, of the user turns that tell the system a new intent."""
    schema_path = find(folder, "schema.json")
    descriptions = {
        (service["service_name"], intent["name"]): field(intent, "description", str, schema_path, place)
        for place, service in enumerate(json_document(schema_path, list), start=1)
        for intent in field(service, "intents", list, schema_path, place)
    }
    for row_id, turn, _, path in sgd_turns(folder, "USER"):
        for frame in field(turn, "frames", list, path, row_id):
            if any(action["act"] == "INFORM_INTENT" for action in field(frame, "actions", list, path, row_id)):
                key = frame["service"], frame["state"]["active_intent"]
                if key not in descriptions:
                    raise malformed(path, row_id, f"intent {key} is not in {schema_path.name}")
                yield row_id, turn, path, key[1], descriptions[key]
                break  # one new intent a turn; a second frame only carries the old one on


def utterance(turn: Any, path: Path, row_id: str) -> str:
    """Returns what is said in a turn."""
    return field(turn, "utterance", str, path, row_id)
