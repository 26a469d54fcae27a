"""KILT questions find the paragraphs their provenance names, in one pass over the knowledge source."""

import json
import logging

import pytest

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.kilt import read_kilt

PAGES = [
    {"wikipedia_id": "1", "wikipedia_title": "Moon", "text": ["Moon\n", "The Moon orbits Earth.\n", "It is grey.\n"]},
    {"wikipedia_id": "2", "wikipedia_title": "Sun", "text": ["Sun\n", "The Sun is a star.\n"]},
]


def _span(page, first, last=None):
    return {"wikipedia_id": page, "start_paragraph_id": first} | ({} if last is None else {"end_paragraph_id": last})


def _read(make_folder, questions):
    folder = make_folder(
        {
            "nq.jsonl": "\n".join(json.dumps(question) for question in questions),
            "pages.jsonl.gz": "\n".join(json.dumps(page) for page in PAGES),
        }
    )
    return list(read_kilt(folder / "nq.jsonl", folder / "pages.jsonl.gz", "kilt_nq", "Q: ", "D: "))


def _example(question, passage, row_id):
    return Example(Side("Q: ", question), Side("D: ", passage), (), "kilt_nq", row_id)


def test_each_distinct_passage_is_a_row(make_folder):
    question = {
        "id": "a",
        "input": "What orbits Earth?",
        "output": [
            {"answer": "the Moon", "provenance": [_span("1", 1), _span("2", 1, 1)]},
            {"answer": "Moon", "provenance": [_span("1", 1, 1)]},
        ],
    }
    assert _read(make_folder, [question]) == [
        _example("What orbits Earth?", "Moon. The Moon orbits Earth.", "a:0"),
        _example("What orbits Earth?", "Sun. The Sun is a star.", "a:1"),
    ]


def test_a_span_of_paragraphs_is_joined_and_the_title_paragraph_is_not_repeated(make_folder):
    question = {"id": "b", "input": "q", "output": [{"provenance": [_span("1", 1, 2), _span("1", 0, 1)]}]}
    assert [row.positive.text for row in _read(make_folder, [question])] == [
        "Moon. The Moon orbits Earth. It is grey.",
        "Moon The Moon orbits Earth.",
    ]


def test_questions_without_evidence_are_counted(make_folder, caplog):
    with caplog.at_level(logging.INFO):
        assert (
            _read(make_folder, [{"id": "c", "input": "q", "output": [{"answer": "x"}]}, {"id": "d", "input": "q"}])
            == []
        )
    assert "2 of 2 questions name no evidence" in caplog.text


@pytest.mark.parametrize("span", [_span("9", 1), _span("2", 5)])
def test_evidence_that_is_not_in_the_knowledge_source_is_an_error(make_folder, span):
    with pytest.raises(ValueError, match=r"nq\.jsonl, row 1: .* is not in pages\.jsonl\.gz"):
        _read(make_folder, [{"id": "e", "input": "q", "output": [{"provenance": [span]}]}])


def test_a_malformed_span_names_its_row(make_folder):
    with pytest.raises(ValueError, match="row 1: needs the field 'start_paragraph_id'"):
        _read(make_folder, [{"id": "e", "input": "q", "output": [{"provenance": [{"wikipedia_id": 1}]}]}])
