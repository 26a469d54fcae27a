"""Readers of descriptions with code, commands or SQL: CoDeNN, CoNaLa, NL2Bash, tldr pages, text2sql.

Commands and code keep their layout; only the marks of each format around them are undone.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..files.archive_files import tar_texts
from ..files.raw_files import (
    aligned_lines,
    field,
    find,
    json_document,
    malformed,
    texts_field,
    tsv_rows,
)
from ..files.records import Row
from .plain_text import chained, squeeze

SHARED_DESCRIPTION = 3  # a description on more tldr pages than this ("Display help") says nothing of its command


def codenn(folder: Path, language: str) -> Iterator[Row]:
    """Yields rows: title of a Stack Overflow question -> code of an answer, with newlines as backslash and n.

    Args:
        folder: The folder of the set.
        language: "csharp", "python" or "sql", a folder below it.
    """
    for row, (question, answer, title, code, _) in tsv_rows(find(folder / language, "valid.txt"), 5):
        # A backslash that is itself escaped ("\\n" in the code) is content; only single ones are layout.
        layout = re.sub(r"(?<!\\)\\([nt])", lambda mark: "\n" if mark[1] == "n" else "\t", code)
        yield Row(title, layout, f"{question}:{answer}:{row}")


def conala_snippet(folder: Path) -> Iterator[Row]:
    """Yields rows: intent (title of a Stack Overflow question) -> Python snippet."""
    for row_id, record, path in _conala(folder):
        yield Row(field(record, "intent", str, path, row_id), field(record, "snippet", str, path, row_id), row_id)


def conala_rewritten(folder: Path) -> Iterator[Row]:
    """Yields rows: intent -> the intent rewritten to name the variables of its snippet; 102 rows have none."""
    for row_id, record, path in _conala(folder):
        if record.get("rewritten_intent") is not None:
            rewritten = field(record, "rewritten_intent", str, path, row_id)
            question = str(field(record, "question_id", int, path, row_id))
            yield Row(field(record, "intent", str, path, row_id), rewritten, row_id, label=question)


def nl2bash_command(folder: Path) -> Iterator[Row]:
    """Yields rows: description -> Bash one-liner."""
    for line, (description, command) in _nl2bash(folder):
        yield Row(description, command, str(line))


def nl2bash_paraphrase(folder: Path) -> Iterator[Row]:
    """Yields rows: description of a one-liner <-> another description of the same one-liner."""
    by_command: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for line, (description, command) in _nl2bash(folder):
        by_command[squeeze(command)][line] = description
    for descriptions in by_command.values():
        first = str(min(descriptions))
        for number, (one, other) in enumerate(chained(descriptions.values())):
            yield Row(one, other, f"{first}:{number}", label=first)


def tldr_command(folder: Path) -> Iterator[Row]:
    """Yields rows: description -> command; the other commands of the page are hard negatives.

    Descriptions found on more than three pages ("Display help", "Start the daemon") name no tool and are left out, and
    with them the pages that only point to another page.
    """
    pages = list(_tldr_pages(folder))
    spread = Counter(text for _, _, _, examples in pages for text in {text.casefold() for text, _ in examples})
    answers: defaultdict[str, set[str]] = defaultdict(set)
    for _, _, _, examples in pages:
        for text, command in examples:
            answers[text.casefold()].add(command)
    for name, _, _, examples in pages:
        for number, (text, command) in enumerate(examples):
            if spread[text.casefold()] <= SHARED_DESCRIPTION:
                turned = examples[number + 1 :] + examples[:number]
                others = tuple(other for _, other in turned if other not in answers[text.casefold()])
                yield Row(text, command, f"{name}:{number}", others)


def tldr_page(folder: Path) -> Iterator[Row]:
    """Yields rows: summary of a command-line tool -> its page of examples (without the summary)."""
    for name, title, summary, examples in _tldr_pages(folder):
        body = "\n".join(f"{text}: {command}" for text, command in examples)
        yield Row(summary, f"{title}\n{body}", name)


def text2sql_question(folder: Path, databases: tuple[str, ...]) -> Iterator[Row]:
    """Yields rows: question to a database <-> the question in other words, with the first one's names filled in."""
    for key, defaults, record, path in _text2sql(folder, databases):
        by_text = {squeeze(sentence["text"]): sentence for sentence in record["sentences"]}
        for number, (one, other) in enumerate(chained(by_text)):
            values = defaults | _given(by_text[one], path, key)
            yield Row(_filled(one, values), _filled(other, values), f"{key}:{number}", label=key)


def text2sql_query(folder: Path, databases: tuple[str, ...]) -> Iterator[Row]:
    """Yields rows: question to a database -> SQL that answers it."""
    for key, defaults, record, path in _text2sql(folder, databases):
        sql = texts_field(record, "sql", path, key)[0]  # further ones are equivalent
        for number, sentence in enumerate(record["sentences"]):
            values = defaults | _given(sentence, path, key)
            yield Row(_filled(sentence["text"], values), _filled(sql, values), f"{key}:{number}", label=key)


def _conala(folder: Path) -> Iterator[tuple[str, Any, Path]]:
    for split in ("train", "test"):
        path = find(folder, f"conala-{split}.json")
        for row, record in enumerate(json_document(path, list), start=1):
            yield f"{split}:{row}", record, path


def _nl2bash(folder: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    return aligned_lines([find(folder, "all.nl"), find(folder, "all.cm")])


def _tldr_pages(folder: Path) -> Iterator[tuple[str, str, str, list[tuple[str, str]]]]:
    """Yields name, title, summary and (description, command) pairs of each page."""
    path = find(folder, "pages_en.tar")
    for name, text in tar_texts(path, ".md"):
        kept = [line.strip() for line in text.split("\n") if line.strip()]
        if not kept or not kept[0].startswith("# "):
            raise malformed(path / name, 1, "a page begins with '# title'")
        notes = [line[1:].strip() for line in kept if line.startswith(">")]
        summary = " ".join(note for note in notes if not note.startswith(("More information:", "See also:")))
        body = kept[1 + len(notes) :]
        if len(body) % 2:
            raise malformed(path / name, f"example {len(body) // 2 + 1}", "a description without command")
        examples = []
        for number, (description, command) in enumerate(zip(body[::2], body[1::2], strict=True), start=1):
            if not description.startswith("- ") or not re.fullmatch(r"`.+`", command):
                raise malformed(path / name, f"example {number}", f"not '- text:' and '`command`': {description!r}")
            examples.append((_without_mnemonics(description[2:].rstrip(":")), _command(command[1:-1])))
        yield name.removeprefix("pages/").removesuffix(".md"), kept[0][2:], _without_marks(summary), examples


def _without_mnemonics(text: str) -> str:
    """Turns "E[x]tract a [f]ile" into "Extract a file": the brackets mark the letter of the option."""
    return re.sub(r"(?<=\w)\[(\w{1,2})\]|\[(\w{1,2})\](?=\w)", lambda mark: mark[1] or mark[2], text)


def _without_marks(text: str) -> str:
    return re.sub(r"\s*<https?://[^>]*>", "", text)


def _command(text: str) -> str:
    """Turns `tar {{[-x|--extract]}} {{path/to/file}}` into `tar --extract path/to/file`: long options, no braces."""
    long_options = re.sub(r"\{\{\[([^\]{}]*)\]\}\}", lambda mark: mark[1].split("|")[-1], text)
    return re.sub(r"\{\{|\}\}", "", long_options)


def _text2sql(folder: Path, databases: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str], Any, Path]]:
    """Yields key of a query, the example value of its variables, its record and file."""
    for database in databases:
        path = find(folder, f"{database}.json")
        for number, record in enumerate(json_document(path, list), start=1):
            variables = field(record, "variables", list, path, number)
            field(record, "sentences", list, path, number)
            yield f"{database}:{number}", {item["name"]: item["example"] for item in variables}, record, path


def _given(sentence: Any, path: Path, key: str) -> dict[str, str]:
    """Returns the variables a sentence gives a value; "" stands for one that its wording does not mention."""
    return {name: value for name, value in field(sentence, "variables", dict, path, key).items() if value}


def _filled(text: str, values: dict[str, str]) -> str:
    if not values:
        return text
    names = "|".join(re.escape(name) for name in sorted(values, key=len, reverse=True))
    return re.sub(rf"\b(?:{names})\b", lambda mark: values[mark[0]], text)
