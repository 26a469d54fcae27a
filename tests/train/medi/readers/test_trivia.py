"""Trivia files with all their quirks of encoding and layout, and TruthfulQA."""

import pytest

from instructor_jax.train.medi.files.records import Instance, Row
from instructor_jax.train.medi.readers import trivia

ANIMALS = """
#Q Which animal barks?
^ The dog
A The cat
B The dog
C None of these

#Q Complete the rhyme:
A bird in the hand
is worth ...?
^ two in
the bush
A two in
the bush
B nothing

#Q Is a whale a fish?
^ False
A True
B False
"""


def test_open_trivia(make_folder):
    folder = make_folder(
        {"categories.tar.gz": {"categories/animals": ANIMALS, "categories/newest": "#Q New?\n^ Old\nA Old\nB Newer\n"}}
    )
    rhyme = "Complete the rhyme: A bird in the hand is worth ...?"
    assert list(trivia.open_trivia_answer(folder)) == [
        Row("Which animal barks?", "The dog", "animals:1", ("The cat",)),
        Row(rhyme, "two in the bush", "animals:2", ("nothing",)),
        Row("New?", "Old", "newest:1", ("Newer",)),
    ]
    assert list(trivia.open_trivia_category(folder)) == [
        Instance("Which animal barks?", "animals", "animals:1", "animals"),
        Instance(rhyme, "animals", "animals:2", "animals"),
        Instance("Is a whale a fish?", "animals", "animals:3", "animals"),
    ]


def test_a_question_without_answer_is_named(make_folder):
    folder = make_folder({"categories.tar": {"categories/animals": "#Q Fine?\n^ Yes\n\n#Q Lost?\nA One\n"}})
    with pytest.raises(ValueError, match="animals, row question 2: has no"):
        list(trivia.trivia_questions(folder))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("plain “quotes”".encode(), "plain “quotes”"),
        (b"Windows \x93quotes\x94 and caf\xe9", "Windows “quotes” and café"),
        (b"closed \xe2\x80\x9cby a question mark\xe2\x80?", "closed “by a question mark”"),
        (b"undefined \x81 byte", "undefined  byte"),
    ],
)
def test_mixed_encodings(raw, text):
    assert trivia.decode_mixed(raw) == text


def test_truthfulqa(make_folder):
    text = (
        "Type,Category,Question,Best Answer,Correct Answers,Incorrect Answers,Source\n"
        'A,B,Can pigs fly?,No,"No; Pigs cannot fly.; Pigs cannot fly","Yes; no; Some can",x\n'
    )
    assert list(trivia.truthfulqa(make_folder({"TruthfulQA.csv": text}))) == [
        Row("Can pigs fly?", "No", "1:0", ("Yes", "Some can")),
        Row("Can pigs fly?", "Pigs cannot fly.", "1:1", ("Yes", "Some can")),
    ]
