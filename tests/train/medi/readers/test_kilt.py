"""KILT questions find the paragraphs their provenance names, in one pass over the knowledge source."""

import json
import logging

import pytest

from instructor_jax.train.medi.files.records import Row
from instructor_jax.train.medi.readers.kilt import KNOWLEDGE_SOURCE, kilt
from instructor_jax.train.medi.readers.source import read_source
from instructor_jax.train.medi.source_list import SOURCES

PAGES = [
    {"wikipedia_id": "1", "wikipedia_title": "Moon", "text": ["Moon\n", "The Moon orbits Earth.\n", "It is grey.\n"]},
    {"wikipedia_id": "2", "wikipedia_title": "Sun", "text": ["Sun\n", "The Sun is a star.\n"]},
]


def _span(page, first, last=None):
    return {"wikipedia_id": page, "start_paragraph_id": first} | ({} if last is None else {"end_paragraph_id": last})


@pytest.fixture
def folder_of(make_folder):
    """Makes a folder with these questions and the knowledge source."""

    def make(*questions, task="nq"):
        texts = "\n".join(json.dumps(question) for question in questions)
        pages = "\n".join(json.dumps(page) for page in PAGES)
        return make_folder({f"{task}-train-kilt.jsonl": texts, f"{KNOWLEDGE_SOURCE}.gz": pages})

    return make


QUESTION = {
    "id": "a",
    "input": "What orbits Earth?",
    "output": [
        {"answer": "the Moon", "provenance": [_span("1", 1), _span("2", 1, 1)]},
        {"answer": "Moon", "provenance": [_span("1", 1, 1)]},
    ],
}


def test_each_distinct_passage_is_a_row(folder_of):
    assert list(kilt(folder_of(QUESTION), "nq")) == [
        Row("What orbits Earth?", "Moon. The Moon orbits Earth.", "a:0"),
        Row("What orbits Earth?", "Sun. The Sun is a star.", "a:1"),
    ]


def test_a_span_of_paragraphs_is_joined_and_the_title_paragraph_is_not_repeated(folder_of):
    question = {"id": "b", "input": "q", "output": [{"provenance": [_span("1", 1, 2), _span("1", 0, 1)]}]}
    assert [row.positive for row in kilt(folder_of(question), "nq")] == [
        "Moon. The Moon orbits Earth. It is grey.",
        "Moon The Moon orbits Earth.",
    ]


def test_questions_without_evidence_are_counted(folder_of, caplog):
    questions = [{"id": "c", "input": "q", "output": [{"answer": "x"}]}, {"id": "d", "input": "q"}]
    with caplog.at_level(logging.INFO):
        assert list(kilt(folder_of(*questions), "nq")) == []
    assert "2 of 2 questions name no evidence" in caplog.text


@pytest.mark.parametrize("span", [_span("9", 1), _span("2", 5)])
def test_evidence_that_is_not_in_the_knowledge_source_is_an_error(folder_of, span):
    with pytest.raises(ValueError, match=r"nq-train-kilt\.jsonl, row 1: .* is not in kilt_knowledgesource\.json\.gz"):
        list(kilt(folder_of({"id": "e", "input": "q", "output": [{"provenance": [span]}]}), "nq"))


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ({"id": "e", "input": "q", "output": [{"provenance": [{"wikipedia_id": 1}]}]}, "start_paragraph_id"),
        ({"id": "e"}, "input"),
        (["e"], "input"),
    ],
)
def test_a_malformed_line_names_its_row(folder_of, question, problem):
    with pytest.raises(ValueError, match=f"row 1: needs the field '{problem}'"):
        list(kilt(folder_of(question), "nq"))


def test_the_registry_reaches_it(folder_of, tmp_path):
    folder_of(QUESTION, task="fever").rename(tmp_path / "kilt")
    sources = {source.name: source for source in SOURCES if source.folder == "kilt"}
    assert sorted(sources) == ["kilt_fever", "kilt_hotpotqa", "kilt_nq", "kilt_wow"]
    rows = list(read_source(sources["kilt_fever"], tmp_path))
    assert [row.task for row in rows] == ["kilt_fever"] * 2
    assert rows[0].query.instruction == "Represent the claim for retrieving evidence: "
    with pytest.raises(FileNotFoundError, match=r"nq-train-kilt\.jsonl"):
        list(read_source(sources["kilt_nq"], tmp_path))
