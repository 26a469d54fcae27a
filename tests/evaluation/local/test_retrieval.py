"""Corpora, queries and judgements in the files' own formats."""

import json

import pytest

from instructor_jax.evaluation.local.records import Document, JudgedDocuments
from instructor_jax.evaluation.local.retrieval import (
    read_beir,
    read_cisi,
    read_covid_faq,
    read_cranfield,
    read_disfl_qa,
    read_trec_qa,
    read_xquad,
)


def test_xquad_counts_a_repeated_question_once(tmp_path):
    questions = [{"id": "i", "question": "Who?"}, {"id": "j", "question": " When? "}, {"id": "k", "question": "When?"}]
    paragraphs = [{"context": " Somebody did. ", "qas": questions}, {"context": "Nobody.", "qas": []}]
    (tmp_path / "xquad.en.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    assert read_xquad(tmp_path) == JudgedDocuments(
        {"d0": Document("Somebody did."), "d1": Document("Nobody.")},
        {"i": "Who?", "k": "When?"},
        {"i": {"d0": 1}, "k": {"d0": 1}},
    )


def test_fluent_forms_and_answers_that_stand_twice_are_one_document(tmp_path):
    pairs = {"a": ("Who?", "What no who?"), "b": ("Who?", "Er who?"), "c": ("When?", "Where when?")}
    content = {key: {"original": fluent, "disfluent": spoken} for key, (fluent, spoken) in pairs.items()}
    (tmp_path / "test.json").write_text(json.dumps(content))
    (tmp_path / "faq_covidbert.csv").write_text('question,answer,lang\nQ?,"A, long",en\nR?,B,en\nQ?,C,en\nS?,B,en\n')
    fluent, faq = read_disfl_qa(tmp_path), read_covid_faq(tmp_path)
    assert {key: document.text for key, document in fluent.corpus.items()} == {"d0": "Who?", "d1": "When?"}
    assert fluent.relevant == {"a": {"d0": 1}, "b": {"d0": 1}, "c": {"d1": 1}}
    assert [document.text for document in faq.corpus.values()] == ["A, long", "B", "C"]
    assert faq.queries == {"q0": "Q?", "q1": "R?", "q2": "S?"}
    assert faq.relevant == {"q0": {"d0": 1, "d2": 1}, "q1": {"d1": 1}, "q2": {"d1": 1}}


def test_beir_keeps_grades_and_drops_queries_without_a_relevant_document(tmp_path):
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": f"d{n}", "title": f"T{n}", "text": f"text {n}"}) + "\n" for n in range(3))
    )
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "first"}\n{"_id": "r", "text": "second"}\n')
    qrels = tmp_path / "qrels" / "test.tsv"
    qrels.write_text("query-id\tcorpus-id\tscore\nq\td0\t2\nq\td1\t0\nq\td2\t1\nr\td1\t0\n")
    record = read_beir(tmp_path)
    assert record.corpus["d1"] == Document("text 1", "T1")
    assert (record.queries, record.relevant) == ({"q": "first"}, {"q": {"d0": 2, "d2": 1}})
    qrels.write_text("query-id\tcorpus-id\tscore\nq\td0\tgood\n")
    with pytest.raises(ValueError, match="line 2: score 'good'"):
        read_beir(tmp_path)


def test_cisi_skips_queries_without_judgement(tmp_path):
    (tmp_path / "CISI.ALL").write_text(".I 1\n.T\nOne\n.W\nfirst\n.X\n2\t5\t1\n.I 2\n.T \nTwo\n.W\nsecond\n")
    (tmp_path / "CISI.QRY").write_text(".I 1\n.W\nwhat\n.I 2\n.W\nnever judged\n")
    (tmp_path / "CISI.REL").write_text("     1      2\t0\t0.000000\n")
    expected = JudgedDocuments(
        {"1": Document("first", "One"), "2": Document("second", "Two")}, {"1": "what"}, {"1": {"2": 1}}
    )
    assert read_cisi(tmp_path) == expected


def test_cranfield_numbers_queries_by_place_and_marks_the_last_row_with_minus_one(tmp_path):
    (tmp_path / "cran.all.1400").write_text(
        ".I 1\n.T\na wing .\n.A\nx\n.B\ny\n.W\na wing .\n it flies .\n.I 2\n.T\na plate .\n.W\nflat .\n"
    )
    (tmp_path / "cran.qry").write_text("\n.I 001\n.W\nwings\n.I 008\n.W\nplates\n")
    (tmp_path / "cranqrel").write_text("1 1 2 \n1 2 -1\n\n2 2 4 \n2 1 -1\n")
    record = read_cranfield(tmp_path)
    assert record.corpus == {"1": Document("a wing . it flies ."), "2": Document("flat .", "a plate .")}
    assert record.queries == {"1": "wings", "2": "plates"}
    assert record.relevant == {"1": {"1": 1}, "2": {"2": 1}}
    (tmp_path / "cranqrel").write_text("1 1 2\n1 two 3\n")
    with pytest.raises(ValueError, match="line 2: must begin with three numbers"):
        read_cranfield(tmp_path)


def test_reranking_needs_right_and_wrong_candidates(tmp_path):
    (tmp_path / "test.csv").write_text('qtext,label,atext\nQ ?,1,"yes , so"\nQ ?,0,no\nR ?,0,no\nS ?,1,yes\n')
    assert read_trec_qa(tmp_path) == JudgedDocuments(
        {"q0-0": Document("yes , so"), "q0-1": Document("no")},
        {"q0": "Q ?"},
        {"q0": {"q0-0": 1}},
        {"q0": ["q0-0", "q0-1"]},
    )
