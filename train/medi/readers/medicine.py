"""Readers of medical questions, answers and evidence: MedQuAD, MEDIQA-RQE, MeQSum, PubMedQA, HealthVer, MedMCQA."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from ..files.archive_files import excel_rows, tar_files, xml_document
from ..files.raw_files import (
    csv_rows,
    field,
    find,
    json_document,
    json_lines,
    malformed,
    read_text,
    texts_field,
)
from ..files.records import Row
from .plain_text import squeeze

MEDQUAD_SITES = (
    "1_CancerGov_QA",
    "3_GHR_QA",
    "4_MPlus_Health_Topics_QA",
    "5_NIDDK_QA",
    "6_NINDS_QA",
    "7_SeniorHealth_QA",
    "8_NHLBI_QA_XML",
    "9_CDC_QA",
)
MEDMCQA_FILES = ("train.json", "dev.json")  # the answers of test.json are not published
MEDMCQA_OPTIONS = ("opa", "opb", "opc", "opd")


def medquad(folder: Path) -> Iterator[Row]:
    """Yields rows: question -> answer; answers to questions of another type on the same page are hard negatives.

    Pairs whose answer is empty (the publisher withdrew it) come out empty and are dropped by `read_source`.
    """
    for _, pairs in medquad_pages(folder):
        for kind, question, answer, row_id in pairs:
            others = tuple(other for other_kind, _, other, _ in pairs if other_kind != kind)
            yield Row(question, answer, row_id, others)


def medquad_pages(folder: Path) -> Iterator[tuple[str, list[tuple[str, str, str, str]]]]:
    """Yields what each page is about, and its questions: kind, question, answer (may be empty) and row id."""
    for site in MEDQUAD_SITES:
        path = find(folder, f"{site}.tar")
        for name, raw in tar_files(path, ".xml"):
            page = xml_document(raw, path / name)
            yield (
                _xml_text(page, "Focus"),
                [
                    (
                        _question_type(pair, path / name),
                        _xml_text(pair, "Question"),
                        _xml_text(pair, "Answer"),
                        f"{site}/{Path(name).stem}:{pair.get('pid', '')}",
                    )
                    for pair in page.iter("QAPair")
                ],
            )


def mediqa_rqe(folder: Path) -> Iterator[Row]:
    """Yields rows: consumer question -> a question it entails.

    Questions marked as not entailed by the same one are negatives.
    """
    for split in ("TrainingSet-AMIA2016", "ValidationSet-AMIA2016", "TestSet-wLabels"):
        path = find(folder, f"MEDIQA2019-Task2-RQE-{split}.xml")
        pairs = xml_document(read_text(path).encode(), path).findall("pair")
        wrong: defaultdict[str, list[str]] = defaultdict(list)
        for pair in pairs:
            if pair.get("value") not in ("true", "false"):
                raise malformed(path, f"pair {pair.get('pid')}", f"value={pair.get('value')!r} must be true or false")
            if pair.get("value") == "false":
                wrong[_xml_text(pair, "chq")].append(_xml_text(pair, "faq"))
        for pair in pairs:
            if pair.get("value") == "true":
                question = _xml_text(pair, "chq")
                yield Row(question, _xml_text(pair, "faq"), f"{split}:{pair.get('pid')}", tuple(wrong[question]))


def meqsum(folder: Path) -> Iterator[Row]:
    """Yields rows: long consumer question -> its one-line summary."""
    path = find(folder, "MeQSum_ACL2019_BenAbacha_Demner-Fushman.xlsx")
    for row, record in excel_rows(path, ["File", "CHQ", "Summary"]):
        yield Row(squeeze(record["CHQ"]), squeeze(record["Summary"]), str(row))


def pubmedqa_abstract(folder: Path) -> Iterator[Row]:
    """Yields rows: research question (the title of a paper) -> the paper's abstract without its conclusion."""
    for identifier, record, path in _pubmedqa(folder):
        context = " ".join(squeeze(part) for part in texts_field(record, "CONTEXTS", path, identifier))
        yield Row(field(record, "QUESTION", str, path, identifier), context, identifier)


def pubmedqa_conclusion(folder: Path) -> Iterator[Row]:
    """Yields rows: research question -> the abstract's conclusion, which answers it."""
    for identifier, record, path in _pubmedqa(folder):
        conclusion = field(record, "LONG_ANSWER", str, path, identifier)
        yield Row(field(record, "QUESTION", str, path, identifier), conclusion, identifier)


def healthver(folder: Path) -> Iterator[Row]:
    """Yields rows: claim -> sentence that supports or refutes it.

    Sentences neutral to the same claim are hard negatives.
    """
    relevant: list[tuple[str, str, str]] = []
    neutral: defaultdict[str, list[str]] = defaultdict(list)
    for split in ("dev", "test"):
        path = find(folder, f"healthver_{split}.csv")
        for row, record in csv_rows(path, ["id", "evidence", "claim", "label"]):
            claim, evidence = squeeze(record["claim"]), squeeze(record["evidence"])
            if record["label"] not in ("Supports", "Refutes", "Neutral"):
                raise malformed(path, row, f"label={record['label']!r} must be Supports, Refutes or Neutral")
            if record["label"] == "Neutral":
                neutral[claim].append(evidence)
            else:
                relevant.append((claim, evidence, f"{split}:{record['id']}"))
    told = {(claim, evidence) for claim, evidence, _ in relevant}
    for claim, evidence, row_id in relevant:
        yield Row(claim, evidence, row_id, tuple(text for text in neutral[claim] if (claim, text) not in told))


def _pubmedqa(folder: Path) -> Iterator[tuple[str, Any, Path]]:
    path = find(folder, "ori_pqal.json")
    for identifier, record in json_document(path, dict).items():
        yield identifier, record, path


def _xml_text(element: Element, tag: str) -> str:
    return squeeze(element.findtext(tag) or "")


def _question_type(pair: Element, path: Path) -> str:
    question = pair.find("Question")
    if question is None or not question.get("qtype"):
        raise malformed(path, f"pair {pair.get('pid')}", "needs a Question element with a qtype")
    return question.get("qtype", "")


def medmcqa_answer(folder: Path) -> Iterator[Row]:
    """Yields rows: question -> right option; the other options are hard negatives.

    Raises:
        ValueError: A line is malformed, or the right option's number is none of 1 to 4.
    """
    for path, row, record in _medmcqa_records(folder):
        options = [squeeze(str(field(record, name, object, path, row))) for name in MEDMCQA_OPTIONS]  # some are numbers
        right = field(record, "cop", int, path, row)
        if not 1 <= right <= len(MEDMCQA_OPTIONS):
            hint = "; some copies count from 0, the published files do not" if right == 0 else ""
            raise malformed(path, row, f"cop={right} must be one of 1..{len(MEDMCQA_OPTIONS)}{hint}")
        positive = options.pop(right - 1)
        yield Row(_medmcqa_question(record, path, row), positive, _medmcqa_id(record, path, row), tuple(options))


def medmcqa_explanation(folder: Path) -> Iterator[Row]:
    """Yields rows: question -> explanation of the answer; those without one come out empty and are dropped."""
    for path, row, record in _medmcqa_records(folder):
        explanation = squeeze(record.get("exp") or "")
        yield Row(_medmcqa_question(record, path, row), explanation, _medmcqa_id(record, path, row))


def _medmcqa_records(folder: Path) -> Iterator[tuple[Path, int, Any]]:
    for name in MEDMCQA_FILES:
        path = find(folder, name)
        for row, record in json_lines(path):
            yield path, row, record


def _medmcqa_question(record: Any, path: Path, row: int) -> str:
    return squeeze(field(record, "question", str, path, row))


def _medmcqa_id(record: Any, path: Path, row: int) -> str:
    return field(record, "id", str, path, row)
