"""Readers of trivia and of questions with tempting wrong answers: OpenTriviaQA and TruthfulQA.

The trivia files call themselves UTF-8 or Latin-1, but half of them are UTF-8 that once passed through Windows-1252:
`decode_mixed` reads the valid UTF-8 in them as such and every other byte as Windows-1252.
"""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..files.archive_files import tar_files
from ..files.raw_files import csv_rows, find, malformed
from ..files.records import Instance, Row
from .plain_text import squeeze

# Answers that say nothing about their question, so that no embedding could find them.
EMPTY_ANSWERS = frozenset(
    ["true", "false", "yes", "no", "all", "none", "both", "neither"]
    + [f"{start} of {rest}" for start in ("all", "any", "both", "none", "neither") for rest in ("these", "the above")]
    + [f"{start} of {rest}" for start in ("all", "both", "none", "neither") for rest in ("them", "those")]
)
# Files that collect questions of every category.
MIXED_CATEGORIES = frozenset({"general", "newest", "rated", "for-kids"})


class TriviaQuestion(NamedTuple):
    """A question with its right answer and wrong options; `place` is file and number of the question in it."""

    category: str
    place: str
    question: str
    answer: str
    wrong: tuple[str, ...]


def trivia_questions(folder: Path) -> Iterator[TriviaQuestion]:
    """Yields every question of the archive.

    ValueError names the file and line that does not follow `#Q`, `^`, `A`..`D`.
    """
    path = find(folder, "categories.tar")
    for name, raw in tar_files(path):
        category = name.rsplit("/", 1)[-1]
        text = decode_mixed(raw).replace("\r\n", "\n")
        for number, block in enumerate(re.split(r"^#Q ?", text, flags=re.MULTILINE)[1:], start=1):
            match = re.fullmatch(r"(.*?)^\^ ?(.*?)(^[A-D] .*)?", block, flags=re.MULTILINE | re.DOTALL)
            if not match:
                raise malformed(path / name, f"question {number}", f"has no '^ answer' line: {block[:80]!r}")
            answer = squeeze(match[2])
            options = [squeeze(option) for option in re.split(r"^[A-D] ", match[3] or "", flags=re.MULTILINE)[1:]]
            wrong = tuple(option for option in options if option.casefold() != answer.casefold())
            yield TriviaQuestion(category, f"{category}:{number}", squeeze(match[1]), answer, wrong)


def open_trivia_answer(folder: Path) -> Iterator[Row]:
    """Yields rows: question -> right answer, wrong options as hard negatives.

    Questions answered by "True", "None of these" and the like are left out: their answers fit any question.
    """
    for item in trivia_questions(folder):
        if not _says_nothing(item.answer):
            wrong = tuple(option for option in item.wrong if not _says_nothing(option))
            yield Row(item.question, item.answer, item.place, wrong)


def open_trivia_category(folder: Path) -> Iterator[Instance]:
    """Yields rows: question labelled with its category; the files that mix all categories are left out."""
    for item in trivia_questions(folder):
        if item.category not in MIXED_CATEGORIES:
            yield Instance(item.question, item.category.replace("-", " "), item.place, label=item.category)


def truthfulqa(folder: Path) -> Iterator[Row]:
    """Yields rows: question -> each of its true answers, with its common false answers as hard negatives."""
    path = find(folder, "TruthfulQA.csv")
    columns = ["Question", "Best Answer", "Correct Answers", "Incorrect Answers"]
    for row, record in csv_rows(path, columns):
        answers = [record["Best Answer"], *record["Correct Answers"].split(";")]
        distinct = {squeeze(answer).rstrip(".").casefold(): squeeze(answer) for answer in reversed(answers)}
        wrong = [squeeze(answer) for answer in record["Incorrect Answers"].split(";")]
        false = tuple(answer for answer in wrong if answer.rstrip(".").casefold() not in distinct)
        for number, answer in enumerate(reversed(distinct.values())):
            yield Row(record["Question"], answer, f"{row}:{number}", false)


def decode_mixed(raw: bytes) -> str:
    """Returns bytes that are UTF-8 in parts as text; a byte outside valid UTF-8 is read as Windows-1252.

    The closing quotation mark (U+201D, bytes e2 80 9d) has lost its last byte to a `?` in these files: it is restored.
    """
    return raw.replace(b"\xe2\x80?", b"\xe2\x80\x9d").decode("utf-8", errors="windows-1252-bytes")


def _windows_1252(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    wrong = error.object[error.start : error.end]
    return bytes(wrong).decode("windows-1252", errors="ignore"), error.end


codecs.register_error("windows-1252-bytes", _windows_1252)


def _says_nothing(answer: str) -> bool:
    return answer.casefold().rstrip(".!") in EMPTY_ANSWERS
