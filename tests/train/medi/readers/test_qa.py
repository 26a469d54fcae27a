"""Question answering files, read by hand."""

import json

import pytest

from instructor_jax.train.medi.files.records import Row
from instructor_jax.train.medi.readers import qa


def _squad(context, *questions):
    return json.dumps({"data": [{"paragraphs": [{"context": context, "qas": list(questions)}]}]})


def test_policyqa(make_folder):
    one = {"question": "What is kept?", "id": "a", "answers": []}
    folder = make_folder({"dev.json.gz": _squad("We keep logs.", one), "test.json": _squad("We share them.", one)})
    assert list(qa.policyqa(folder)) == [
        Row("What is kept?", "We keep logs.", "dev:a"),
        Row("What is kept?", "We share them.", "test:a"),
    ]


def test_covid_qa_cuts_a_passage_and_knows_small_shifts_of_the_offset(make_folder):
    context = "First one. " * 200 + "The virus came in  2019 to us. " + "Last one. " * 200
    start = context.index("2019") - 2  # the answer's text begins with two spaces too many
    question = {"question": "When?", "id": 5, "answers": [{"text": "  2019", "answer_start": start}]}
    (row,) = qa.covid_qa(make_folder({"200423_covidQA.json": _squad(context, question)}))
    assert (row.query, row.row_id) == ("When?", "5:0")
    assert row.positive.startswith("First one. First one.")
    assert "The virus came in 2019 to us. Last one." in row.positive
    assert 1100 < len(row.positive) <= 1200


def test_covid_qa_refuses_an_answer_that_is_elsewhere(make_folder):
    question = {"question": "When?", "id": 5, "answers": [{"text": "2019", "answer_start": 3}]}
    folder = make_folder({"200423_covidQA.json": _squad("It was in the year 2019.", question)})
    with pytest.raises(ValueError, match="row question 5: the answer '2019' is not at character 3"):
        list(qa.covid_qa(folder))


def test_nq_open_takes_the_first_answer(make_folder):
    lines = '{"question": "who", "answer": ["A", "Mr A"]}\n', '{"question": "when", "answer": []}\n'
    folder = make_folder({"NQ-open.dev.jsonl": lines[0], "NQ-open.efficientqa.dev.1.1.jsonl": lines[1]})
    rows = qa.nq_open(folder)
    assert next(rows) == Row("who", "A", "NQ-open.dev:1")
    with pytest.raises(ValueError, match="row 1: the question has no answer"):
        next(rows)


QED = {
    "example_id": 7,
    "question_text": "who won",
    "paragraph_text": "It was close . Ann won . Bob lost . ",
    "sentence_starts": [0, 15, 25],
    "annotation": {"explanation_type": "single_sentence", "selected_sentence": {"start": 15, "end": 25}},
}


def test_qed(make_folder):
    other = {**QED, "example_id": 8, "annotation": {"explanation_type": "none"}}
    folder = make_folder({"qed-dev.jsonlines": f"{json.dumps(QED)}\n{json.dumps(other)}\n"})
    assert list(qa.qed_sentence(folder)) == [Row("who won", "Ann won . ", "7", ("It was close . ", "Bob lost . "))]
    assert [row.row_id for row in qa.qed_paragraph(folder)] == ["7", "8"]


def test_qed_refuses_a_sentence_that_does_not_begin_anywhere(make_folder):
    wrong = QED["annotation"] | {"selected_sentence": {"start": 3}}
    folder = make_folder({"qed-dev.jsonlines": json.dumps({**QED, "annotation": wrong})})
    with pytest.raises(ValueError, match="row 1: the selected sentence starts at 3"):
        list(qa.qed_sentence(folder))


def test_strategyqa(make_folder):
    record = {
        "qid": "x",
        "question": "Can it?",
        "facts": ["One.", " Two."],
        "decomposition": ["What is it?", "Is #1 so?"],
    }
    folder = make_folder({"train.json": json.dumps([record]), "dev.json": "[]"})
    assert list(qa.strategyqa_facts(folder)) == [Row("Can it?", "One. Two.", "x")]
    assert list(qa.strategyqa_decomposition(folder)) == [Row("Can it?", "What is it? Is #1 so?", "x")]


def _report(*questions):
    return {
        "table": {"uid": "t1", "table": [["", "2019", "2018"], ["Sales", "$ 5", ""]]},
        "paragraphs": [{"order": 1, "text": "Sales rose."}, {"order": 2, "text": "Costs fell."}],
        "questions": list(questions),
    }


def test_tatqa(make_folder):
    questions = [
        {"uid": "a", "question": "Sales in 2019?", "answer_from": "table", "rel_paragraphs": ["1"]},
        {"uid": "b", "question": "What fell?", "answer_from": "text", "rel_paragraphs": ["2"]},
        {"uid": "c", "question": "What rose to 5?", "answer_from": "table-text", "rel_paragraphs": ["1"]},
    ]
    folder = make_folder(
        {"tatqa_dataset_dev.json": json.dumps([_report(*questions)]), "tatqa_dataset_test_gold.json": "[]"}
    )
    table = "2019 | 2018\nSales | $ 5"
    assert list(qa.tatqa(folder)) == [
        Row("Sales in 2019?", table, "a", ("Sales rose.", "Costs fell."), label="t1"),
        Row("What fell?", "Costs fell.", "b", ("Sales rose.",), label="t1"),
        Row("What rose to 5?", f"{table}\nSales rose.", "c", ("Costs fell.",), label="t1"),
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"answer_from": "image"}, "answer_from='image' must be"),
        ({"rel_paragraphs": ["9"]}, r"rel_paragraphs \['9'\] are"),
    ],
)
def test_tatqa_refuses_unknown_evidence(make_folder, change, problem):
    question = {"uid": "b", "question": "What?", "answer_from": "text", "rel_paragraphs": ["2"]} | change
    folder = make_folder({"tatqa_dataset_dev.json": json.dumps([_report(question)])})
    with pytest.raises(ValueError, match=f"row 1: {problem}"):
        list(qa.tatqa(folder))
