"""Instructions from metadata, and a user's file laid over the shipped corrections."""

import pytest

from instructor_jax.train.medi.readers.super_natural_templates import read_corrections, task_instruction


@pytest.mark.parametrize(
    ("task", "domains", "categories", "expected"),
    [
        ("taskX", ["News"], ["Summarization"], "Represent the news passage for retrieving its summary: "),
        ("taskX", ["Books", "News"], ["Misc."], "Represent the books input for answering what is asked: "),
        (
            "taskX",
            ["Natural Science -> School Science Textbooks"],
            ["Question Answering"],
            "Represent the school science question for retrieving its answer: ",
        ),
        ("taskX", ["Miscellaneous"], ["Word Semantics"], "Represent the word for retrieving a related word: "),
        ("taskX", [], [], "Represent the text for classification: "),
        # A category and a domain the shipped file does not list.
        (
            "taskX",
            ["Sociology"],
            ["Toxic Language Detection"],
            "Represent the sociology input for toxic language detection: ",
        ),
        # A corrected task: domain left out, text type and objective of its own.
        (
            "task1146_country_capital",
            ["Countries"],
            ["Misc."],
            "Represent the country name for retrieving its capital: ",
        ),
    ],
)
def test_template(task, domains, categories, expected):
    assert str(task_instruction(task, domains, categories, read_corrections())) == expected


def test_a_users_file_is_laid_over_the_shipped_one(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        '[domains]\nNews = "press"\n'
        '[categories.Summarization]\ntext_type = "article"\n'
        '[tasks]\ntask1146_country_capital = { objective = "naming the seat of government" }\n'
    )
    corrections = read_corrections(path)
    assert str(task_instruction("taskX", ["News"], ["Summarization"], corrections)) == (
        "Represent the press article for retrieving its summary: "
    )
    assert str(task_instruction("task1146_country_capital", [], ["Misc."], corrections)) == (
        "Represent the country name for naming the seat of government: "
    )
    assert str(task_instruction("task1147_country_currency", [], ["Misc."], corrections)) == (
        "Represent the country name for retrieving its currency: "
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[tasks", "is not TOML"),
        ("[task]\n", r"\[task\] is not one of the tables"),
        ('[tasks]\ntask1 = "question"\n', "tasks.task1 must be a table of texts"),
        ("[tasks]\ntask1 = { textype = 'x' }\n", r"tasks.task1 has the keys \['textype'\]; it may have"),
        ("[tasks]\ntask1 = { kind = 'ranking' }\n", "kind='ranking' of tasks.task1 must be one of"),
        ("[categories]\nX = { domain = 'x' }\n", r"categories.X has the keys \['domain'\]"),
        ("[domains]\nNews = 3\n", "domains.News must be a text"),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path, text, problem):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=problem):
        read_corrections(path)


def test_every_shipped_correction_makes_an_instruction():
    corrections = read_corrections()
    for task in corrections.tasks:
        instruction = str(task_instruction(task, ["News"], ["Classification"], corrections))
        assert instruction.startswith("Represent the ")
        assert instruction.endswith(": ")
