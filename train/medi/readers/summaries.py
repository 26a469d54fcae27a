"""Readers of summaries with what they sum up: SciTLDR and the plain-English summaries of contracts."""

from collections.abc import Iterator
from pathlib import Path

from ..files.raw_files import field, find, json_document, json_lines, texts_field
from ..files.records import Row
from .plain_text import squeeze


def scitldr_summary(folder: Path) -> Iterator[Row]:
    """Yields rows: one-sentence summary -> abstract; a paper may have several summaries."""
    for row_id, _, abstract, summaries in _scitldr(folder):
        for number, summary in enumerate(summaries):
            yield Row(summary, abstract, f"{row_id}:{number}")


def scitldr_title(folder: Path) -> Iterator[Row]:
    """Yields rows: title -> abstract."""
    for row_id, title, abstract, _ in _scitldr(folder):
        yield Row(title, abstract, row_id)


def legal_summarization(folder: Path) -> Iterator[Row]:
    """Yields rows: plain-English summary -> the passage of a contract or licence it sums up."""
    for name in ("tldrlegal_v1", "tosdr_annotated_v1"):
        path = find(folder, f"{name}.json")
        for key, record in json_document(path, dict).items():
            summary, passage = (field(record, part, str, path, key) for part in ("reference_summary", "original_text"))
            yield Row(summary, passage, key)


def _scitldr(folder: Path) -> Iterator[tuple[str, str, str, list[str]]]:
    for split in ("train", "dev", "test"):
        path = find(folder / "SciTLDR-A", f"{split}.jsonl")
        for row, record in json_lines(path):
            abstract = squeeze(" ".join(texts_field(record, "source", path, row)))
            title = field(record, "title", str, path, row)
            yield f"{split}:{row}", title, abstract, texts_field(record, "target", path, row)
