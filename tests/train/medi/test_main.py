import json

import pytest

from instructor_jax.cli import main
from instructor_jax.train.medi.main import app
from instructor_jax.train.medi.storage.store import MediStore


def medi(*arguments):
    app([str(argument) for argument in arguments], exit_on_error=False, print_error=False, result_action="return_value")


@pytest.fixture
def faq(tmp_path):
    rows = [{"query": f"what is {i} times {i}?", "positive": f"{i} times {i} makes {i * i}"} for i in range(8)]
    (tmp_path / "faq.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return tmp_path / "faq.jsonl"


def test_import_inspect_and_stats(faq, tmp_path, capsys):
    asking = ("--query-instruction", "Q: ", "--document-instruction", "D: ", "--negatives", 2, "--margin", 0)
    medi("import", faq, "--to", tmp_path / "medi", *asking)
    assert f"{tmp_path / 'medi'}: 8 rows in" in capsys.readouterr().out
    assert all(one.query.instruction == "Q: " for one in MediStore(tmp_path / "medi").stream())
    medi("inspect", tmp_path / "medi")
    assert "Q:  -> D:" in capsys.readouterr().out
    medi("inspect", tmp_path / "medi", "--task", "fa*", "--count", 2, "--width", 80)
    blocks = capsys.readouterr().out
    assert blocks.count("--- faq | row") == 2
    assert blocks.count("[D: ]") == 2
    (tmp_path / "test.txt").write_text("what is 3 times 3?\nWHAT IS 12345678 TIMES 12345678\n")
    medi("stats", tmp_path / "medi", "--to", tmp_path / "page.html", "--evaluation", tmp_path / "test.txt")
    assert "1 tasks, 8 rows" in capsys.readouterr().out
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_mine_writes_rows_that_import_reads(faq, tmp_path, capsys):
    medi("mine", faq, "--to", tmp_path / "mined.jsonl", "--negatives", 2, "--margin", 0, "--scorer", "tfidf:64")
    assert "8 rows, 8 examples" in capsys.readouterr().out
    medi("import", tmp_path / "mined.jsonl", "--to", tmp_path / "medi")
    assert MediStore(tmp_path / "medi").tasks == ("mined",)


def test_unknown_task_is_named(faq, tmp_path):
    medi("import", faq, "--to", tmp_path / "medi")
    with pytest.raises(ValueError, match="no task is called 'sums'; there are faq"):
        medi("inspect", tmp_path / "medi", "--task", "sums")


@pytest.mark.slow
def test_build_takes_chosen_tasks_of_real_sources(shared, tmp_path, capsys):
    raw = shared / "data" / "raw"
    medi(
        "build",
        raw,
        "--to",
        tmp_path / "medi",
        "--only",
        "task1657_*",
        "task1398*",
        "gemoji_*",
        "--without",
        "task1398*",
    )
    out = capsys.readouterr().out
    store = MediStore(tmp_path / "medi")
    free_text = "task1657_gooaq_question_generation"
    assert store.tasks == ("gemoji_category", "gemoji_tags", free_text, f"{free_text}_answers")
    assert len(store) > 1000
    assert "task1398" not in out
    for name in store.tasks:
        assert store.entry(name)["about"]["licence"]


@pytest.mark.parametrize("command", ["build", "import", "inspect", "stats", "mine"])
def test_help_shows_real_examples(command, capsys):
    medi(command, "--help")
    assert f"  instructor-jax medi {command} " in capsys.readouterr().out


def test_columns_of_other_names_are_named(tmp_path, capsys) -> None:
    (tmp_path / "quora.csv").write_text(
        "question1,question2,wrong,same\nhow old,what age,how tall,3\nwhy,for what,,4\n"
    )
    options = ["--query-column", "question1", "--positive-column", "question2", "--negative-column", "wrong"]
    scores = ["--score-column", "same", "--score-range", "0", "4"]
    main(["medi", "import", str(tmp_path / "quora.csv"), *options, *scores, "--to", str(tmp_path / "quora")])
    store = MediStore(tmp_path / "quora")
    (first, second) = store.read(range(2))
    assert [first.query.text, first.positive.text, first.negatives[0].text] == ["how old", "what age", "how tall"]
    assert (first.score, second.negatives) == (0.75, ())
    with pytest.raises(SystemExit):
        main(["medi", "import", str(tmp_path / "quora.csv"), "--to", str(tmp_path / "x"), *options[:2]])
    assert "needs the field 'positive'; found ['question1', 'question2', 'same', 'wrong']; name your columns with" in (
        capsys.readouterr().err
    )
    with pytest.raises(SystemExit):
        main(["medi", "import", "medi-data.json", "--format", "published", *options, "--to", str(tmp_path / "x")])
    assert "--query-column names a column, but files of --format published have none" in capsys.readouterr().err
