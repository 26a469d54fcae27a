"""Readers of question answering over passages: PolicyQA, COVID-QA, QED, StrategyQA, TAT-QA, Natural Questions.

A question repeated over many passages is left as it is: rows with the same query text are never each other's negatives.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..files.raw_files import field, find, json_document, json_lines, malformed, texts_field
from ..files.records import Row
from .plain_text import passage_around, squeeze


def policyqa(folder: Path) -> Iterator[Row]:
    """Yields rows: question -> paragraph of the privacy policy that answers it."""
    for split in ("dev", "test"):
        path = find(folder, f"{split}.json")
        for context, question in _squad(path):
            yield Row(field(question, "question", str, path, "?"), context, f"{split}:{question['id']}")


def covid_qa(folder: Path) -> Iterator[Row]:
    """Yields rows: question -> passage around its answer; the context is a whole article.

    Answer offsets off by white space, and by three characters in one article, are known faults of this file; any other
    is an error.
    """
    path = find(folder, "200423_covidQA.json")
    for context, question in _squad(path):
        name = f"question {question.get('id')}"
        for number, answer in enumerate(field(question, "answers", list, path, name)):
            start = field(answer, "answer_start", int, path, name)
            text = field(answer, "text", str, path, name).strip()
            found = context.find(text, start)
            if not start <= found <= start + 3:
                raise malformed(path, name, f"the answer {text!r:.60} is not at character {start} of its context")
            passage = passage_around(context, found, found + len(text))
            yield Row(field(question, "question", str, path, name), passage, f"{question['id']}:{number}")


def _squad(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields context and question record of a SQuAD-like file, in its order."""
    document = json_document(path, dict)
    for place, article in enumerate(field(document, "data", list, path, "data"), start=1):
        for paragraph in field(article, "paragraphs", list, path, f"article {place}"):
            context = field(paragraph, "context", str, path, f"article {place}")
            for question in field(paragraph, "qas", list, path, f"article {place}"):
                yield context, question


def nq_open(folder: Path) -> Iterator[Row]:
    """Yields rows: question -> its first short answer. Further answers are spellings of the same."""
    for name in ("NQ-open.dev.jsonl", "NQ-open.efficientqa.dev.1.1.jsonl"):
        path = find(folder, name)
        for row, record in json_lines(path):
            answers = texts_field(record, "answer", path, row)
            if not answers:
                raise malformed(path, row, "the question has no answer")
            yield Row(field(record, "question", str, path, row), answers[0], f"{name.removesuffix('.jsonl')}:{row}")


def qed_paragraph(folder: Path) -> Iterator[Row]:
    """Yields rows: question -> Wikipedia paragraph that answers it."""
    path = find(folder, "qed-dev.jsonlines")
    for row, record in json_lines(path):
        question = field(record, "question_text", str, path, row)
        yield Row(question, field(record, "paragraph_text", str, path, row), str(record["example_id"]))


def qed_sentence(folder: Path) -> Iterator[Row]:
    """Yields rows: question -> the one sentence that answers it.

    The other sentences of the paragraph are hard negatives.

    Only questions annotated as answered by a single sentence (1021 of 1355) are rows.
    """
    path = find(folder, "qed-dev.jsonlines")
    for row, record in json_lines(path):
        annotation = field(record, "annotation", dict, path, row)
        if field(annotation, "explanation_type", str, path, row) != "single_sentence":
            continue
        paragraph = field(record, "paragraph_text", str, path, row)
        starts = field(record, "sentence_starts", list, path, row)
        sentences = {start: paragraph[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)}
        selected = field(annotation["selected_sentence"], "start", int, path, row)
        if selected not in sentences:
            raise malformed(path, row, f"the selected sentence starts at {selected}, sentences at {starts}")
        answer = sentences.pop(selected)
        question = field(record, "question_text", str, path, row)
        yield Row(question, answer, str(record["example_id"]), tuple(sentences.values()))


def strategyqa_facts(folder: Path) -> Iterator[Row]:
    """Yields rows: yes/no question -> the facts from which its answer follows."""
    for path, row, record in _strategyqa(folder):
        facts = " ".join(squeeze(fact) for fact in texts_field(record, "facts", path, row))
        yield Row(field(record, "question", str, path, row), facts, field(record, "qid", str, path, row))


def strategyqa_decomposition(folder: Path) -> Iterator[Row]:
    """Yields rows: yes/no question -> the simple questions it breaks into."""
    for path, row, record in _strategyqa(folder):
        steps = " ".join(squeeze(step) for step in texts_field(record, "decomposition", path, row))
        yield Row(field(record, "question", str, path, row), steps, field(record, "qid", str, path, row))


def _strategyqa(folder: Path) -> Iterator[tuple[Path, int, Any]]:
    for split in ("train", "dev"):
        path = find(folder, f"{split}.json")
        for row, record in enumerate(json_document(path, list), start=1):
            yield path, row, record


def tatqa(folder: Path) -> Iterator[Row]:
    """Yields rows: question -> the table or paragraphs of the financial report it is answered from.

    Other paragraphs are negatives.

    All rows of a report carry its label: its table and paragraphs overlap between questions.
    """
    for split in ("dev", "test_gold"):
        path = find(folder, f"tatqa_dataset_{split}.json")
        for place, report in enumerate(json_document(path, list), start=1):
            table = field(report, "table", dict, path, place)
            paragraphs = {
                str(part["order"]): squeeze(field(part, "text", str, path, place))
                for part in field(report, "paragraphs", list, path, place)
            }
            for question in field(report, "questions", list, path, place):
                yield _tatqa_row(question, _table_text(table, path, place), paragraphs, str(table["uid"]), path, place)


def _tatqa_row(question: Any, table: str, paragraphs: dict[str, str], report: str, path: Path, place: int) -> Row:
    answer_from = field(question, "answer_from", str, path, place)
    if answer_from not in ("table", "text", "table-text"):
        raise malformed(path, place, f"answer_from={answer_from!r} must be table, text or table-text")
    named = texts_field(question, "rel_paragraphs", path, place) if "text" in answer_from else []
    if unknown := [order for order in named if order not in paragraphs]:
        raise malformed(path, place, f"rel_paragraphs {unknown} are not among the paragraphs {sorted(paragraphs)}")
    parts = [table] * ("table" in answer_from) + [paragraphs[order] for order in named]
    others = tuple(text for order, text in paragraphs.items() if order not in named)
    text = field(question, "question", str, path, place)
    return Row(text, "\n".join(parts), field(question, "uid", str, path, place), others, label=report)


def _table_text(table: Any, path: Path, place: int) -> str:
    """Returns the table as lines of its non-empty cells, separated by bars."""
    rows = (" | ".join(cell for cell in map(squeeze, map(str, cells)) if cell) for cells in table["table"])
    return "\n".join(row for row in rows if row)
