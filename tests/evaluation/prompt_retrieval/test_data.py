import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from instructor_jax.evaluation.data_files import find_file, read_rows
from instructor_jax.evaluation.prompt_retrieval.data import absence, find_task_files, read_task_rows
from instructor_jax.evaluation.prompt_retrieval.task import PromptTask
from instructor_jax.evaluation.prompt_retrieval.tasks import TASKS

BY_NAME = {task.task: task for task in TASKS}


def write_rows(folder: Path, **files: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, rows in files.items():
        (folder / f"{stem}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def drawn(data: Path, task: PromptTask):
    files = find_task_files(data, task)
    assert files is not None
    return read_task_rows(files, task)


def test_eleven_tasks_in_the_paper_s_order_of_kinds() -> None:
    assert len(BY_NAME) == 11
    assert [task.task for task in TASKS if task.learner == "code-davinci-002"] == ["geoquery", "mwoz"]
    assert [task.task for task in TASKS if task.centred == "both"] == [
        *("rte", "sst5", "mrpc", "dbpedia_14", "hellaswag", "coda_title_generation")
    ]
    assert {task.task: task.budget.most for task in TASKS if task.budget.most} == {
        "amazon": 2,
        "civil_comments": 2,
        "coda_title_generation": 16,
    }


def test_texts_and_prompts_of_each_template() -> None:
    pair = {"sentence1": "A b", "sentence2": "C d", "label": 1}
    assert BY_NAME["rte"].text(pair) == "A b.\nquestion: C d"
    assert prompt("rte", pair) == ("A b.\nquestion: C d. True or False?\nanswer:", "False")
    assert BY_NAME["mrpc"].text(pair) == "A b.\nC d"
    assert prompt("mrpc", pair)[0].endswith("?\nA b.\nC d.\nanswer:")
    assert prompt("mrpc", pair)[1] == "equivalent"
    text = {"text": "fine", "label": 4, "meta": [0]}
    assert prompt("sst5", text) == ("How do you feel about the following sentence?\nfine\nanswer:", "very positive")
    assert prompt("amazon", text)[0] == "How do you feel about the following sentence?\nfine.\nanswer:"
    topic = {"title": "T", "content": "C", "label": 13}
    assert BY_NAME["dbpedia_14"].text(topic) == "title: T ; content: C"
    assert prompt("dbpedia_14", topic) == ("title: T; content: C", "written work")
    story = {"activity_label": "Tea", "ctx_a": "He sits.", "ctx_b": "He", "endings": ["p", "q", "r", "s"], "label": "2"}
    assert BY_NAME["hellaswag"].text(story) == "The topic is Tea. He sits. He | p | q | r | s"
    assert prompt("hellaswag", story) == ("The topic is Tea. He sits. He ", "r")
    title = {"input": "An abstract.", "output": ["A title"]}
    assert "".join(prompt("coda_title_generation", title)) == "write a title\nAn abstract.\ntitle:A title\n\n"
    turn = {"dialog": {"sys": ["x", "none"], "usr": ["y", "a taxi"]}, "turn_slot_values": {"taxi-b": 1, "taxi-a": 2}}
    assert BY_NAME["mwoz"].text(turn) == "[system]  [user] a taxi"


def prompt(task: str, row: dict[str, Any]) -> tuple[str, str]:
    demonstration = BY_NAME[task].demonstration
    assert demonstration is not None
    return demonstration(row)


def test_published_multirc_rows_are_drawn(shared: Path) -> None:
    """The original: seed 0, the test rows from all, the pool from the rest in the order of a set of small numbers."""
    data = shared / "data" / "raw"
    rows = drawn(data, BY_NAME["multirc_answerability"])
    file = data / "eval_prompt_multirc_answerability" / "multric_answerability.json.gz"
    with gzip.open(file, "rt") as text:
        instances = json.load(text)["Instances"]
    random.seed(0)
    test = random.sample(range(len(instances)), 256)
    pool = random.sample(list(set(range(len(instances))) - set(test)), 3000)
    for chosen, numbers in ((rows.test, test), (rows.pool, pool)):
        assert len(chosen) == len(numbers)
        for row, number in zip(chosen, numbers, strict=True):
            joined = f"Sentence: {row['sentence']} \nQuestion: {row['question']}"
            assert joined.split() == instances[number]["input"].split()
            assert row["label"] == instances[number]["output"][0]
    assert not set(test) & set(pool)


def test_published_geoquery_rows_are_drawn(shared: Path) -> None:
    rows = drawn(shared / "data" / "raw", BY_NAME["geoquery"])
    assert (len(rows.pool), len(rows.test)) == (391, 256)
    random.seed(0)
    assert [row["id"] for row in rows.test] == random.sample(range(344), 256)


def test_pool_and_test_are_drawn_in_this_order_with_seed_zero(tmp_path: Path) -> None:
    pool = [{"text": f"p{n}", "label": n % 5} for n in range(4000)]
    test = [{"text": f"t{n}", "label": n % 5} for n in range(300)]
    write_rows(tmp_path / "prompt_sst5", pool=pool, test=test)
    rows = drawn(tmp_path, BY_NAME["sst5"])
    random.seed(0)
    assert rows.pool == random.sample(pool, 3000)
    assert rows.test == random.sample(test, 256)


def test_rte_searches_the_whole_training_set_under_its_public_file_names(tmp_path: Path) -> None:
    train = [{"sentence1": f"p{n}", "sentence2": "q", "label": n % 2} for n in range(3100)]
    write_rows(tmp_path / "rte", train=train, validation=train[:10])
    rows = drawn(tmp_path, BY_NAME["rte"])
    assert rows.pool == train
    assert rows.test == train[:10]  # fewer than 256: all, in order


def test_civil_comments_keeps_toxic_comments_on_one_identity(tmp_path: Path) -> None:
    def comment(text: str, label: int, identity: int) -> dict[str, Any]:
        return {"text": text, "label": label, "meta": [1, 1, 1, identity, 1]}

    test = [comment("a", 1, 1), comment("b", 0, 1), comment("c", 1, 0), comment("d", 1, 1)]
    write_rows(tmp_path / "civil_comments", civil_train=[comment("p", 0, 0)], civil_test=test)
    assert [row["text"] for row in drawn(tmp_path, BY_NAME["civil_comments"]).test] == ["a", "d"]
    write_rows(tmp_path / "civil_comments", civil_test=[comment("b", 0, 1)])
    with pytest.raises(ValueError, match="1 rows for the pool and 0 for the test"):
        drawn(tmp_path, BY_NAME["civil_comments"])


def test_twenty_amazon_reviewers_with_fifty_reviews_each(tmp_path: Path) -> None:
    reviews = [{"text": f"line\n{n}", "label": 3, "meta": [f"r{n % 30}", n]} for n in range(30 * 60)]
    write_rows(tmp_path / "amazon", amazon_train=reviews[:5], amazon_test=reviews)
    rows = drawn(tmp_path, BY_NAME["amazon"])
    by_reviewer: dict[str, int] = {}
    for row in rows.test:
        by_reviewer[row["meta"][0]] = by_reviewer.get(row["meta"][0], 0) + 1
    assert len(by_reviewer) == 20
    assert set(by_reviewer.values()) == {50}
    assert all("\n" not in row["text"] for row in [*rows.pool, *rows.test])
    assert drawn(tmp_path, BY_NAME["amazon"]) == rows


def test_dialogues_stay_whole_in_the_pool_and_the_test_stops_at_256_turns(tmp_path: Path) -> None:
    def turn(dialogue: int, number: int, domain: str) -> dict[str, Any]:
        said = {"sys": ["none"], "usr": [f"{dialogue}.{number}"]}
        return {"ID": f"D{dialogue}", "turn_id": number, "domains": [domain], "dialog": said, "turn_slot_values": {}}

    turns = [turn(dialogue, number, "hotel") for dialogue in range(1100) for number in range(3)]
    write_rows(tmp_path / "mwoz", pool=[*turns, turn(5000, 0, "police")], test=turns)
    rows = drawn(tmp_path, BY_NAME["mwoz"])
    assert len(rows.pool) == 3000
    assert len(rows.test) == 256
    assert all(row["domains"] == ["hotel"] for row in rows.pool)
    names = [row["ID"] for row in rows.pool]
    assert all(names.count(name) == 3 for name in names[:30])


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ("sst5", {"text": "x", "label": 5}, r"row 2.*label 5 is none of 0, 1, 2, 3, 4"),
        ("sst5", {"text": "x"}, r"line 2: has no 'label'"),
        ("rte", {"sentence1": "x", "sentence2": "y", "label": -1}, r"row 2.*label -1 is none of 0, 1"),
    ],
)
def test_a_broken_row_is_refused_with_its_place(tmp_path: Path, task: str, row: dict[str, Any], message: str) -> None:
    good = {"text": "x", "sentence1": "x", "sentence2": "y", "label": 1}
    write_rows(tmp_path / task, pool=[good, row], test=[good])
    with pytest.raises(ValueError, match=message):
        drawn(tmp_path, BY_NAME[task])


def test_an_absent_task_says_which_files_it_looks_for(tmp_path: Path) -> None:
    assert find_task_files(tmp_path, BY_NAME["amazon"]) is None
    assert "eval_prompt_amazon" in absence(tmp_path, BY_NAME["amazon"])
    assert "amazon_train.jsonl" in absence(tmp_path, BY_NAME["amazon"])
    assert "rows of text, label, meta" in absence(tmp_path, BY_NAME["amazon"])
    write_rows(tmp_path / "amazon", pool=[])
    assert find_task_files(tmp_path, BY_NAME["amazon"]) is None  # the test rows are still missing


def test_files_are_json_lines_or_a_list_or_a_task_s_instances(tmp_path: Path) -> None:
    row = {"a": 1}
    (tmp_path / "list.json").write_text(json.dumps([row]))
    (tmp_path / "task.json").write_text(json.dumps({"Instances": [row]}))
    (tmp_path / "lines.jsonl.gz").write_bytes(gzip.compress(json.dumps(row).encode()))
    for stem in ("list", "task", "lines"):
        path = find_file([tmp_path / "nowhere", tmp_path], ["other", stem])
        assert path is not None
        assert read_rows(path, ["a"]) == [row]
    for stem, content, message in (
        ("broken", "[{", "not valid JSON"),
        ("empty", "[]", "must hold a list of objects"),
        ("word", '"x"', "must hold a list of objects"),
        ("other", '[{"a": 1}, {"b": 2}]', "row 2: has no a"),
    ):
        (tmp_path / f"{stem}.json").write_text(content)
        with pytest.raises(ValueError, match=message):
            read_rows(tmp_path / f"{stem}.json", ["a"])
