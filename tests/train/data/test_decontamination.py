import logging

import numpy as np
import pytest

from instructor_jax.train.data.decontamination import decontaminate, decontamination_files
from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.data.token_cache_writer import open_token_cache

KNOWN = "the weather in Utrecht is fine today"


def rows_of(task: str, texts: list[tuple[str, str, str]]) -> list[Example]:
    return [
        Example(Side(f"{task}:", query), Side("", positive), (Side("", negative),), task, str(row))
        for row, (query, positive, negative) in enumerate(texts)
    ]


TASKS = {
    "a": rows_of("a", [("one", "two", "three"), ("four", KNOWN.upper() + "!", "five"), ("six", "seven", KNOWN)]),
    "b": rows_of("b", [("eight", "nine", "ten"), ("short", "eleven", "twelve")]),
    "c": rows_of("c", [(KNOWN, "thirteen", "fourteen")]),
}


def test_rows_with_a_known_text_anywhere_are_left_out(make_source, tokenizer, tmp_path, caplog) -> None:
    source = make_source(TASKS)
    cache = open_token_cache(source, tokenizer, "words", tmp_path / "tokens")
    kept = {"a": np.array([0, 1]), "b": np.array([3]), "c": np.array([5])}
    held = {"a": np.array([2]), "b": np.array([4])}
    texts = [("weather", KNOWN), ("weather", "nobody trains on this sentence"), ("words", "short")]
    with caplog.at_level(logging.INFO, "instructor_jax"):
        trained, measured, avoided = decontaminate(source, cache, texts, kept, held)
    assert {task: rows.tolist() for task, rows in trained.items()} == {"a": [0], "b": [3]}
    assert {task: rows.tolist() for task, rows in measured.items()} == {"b": [4]}
    assert avoided.sets == {"weather": (2, 1), "words": (0, 0)}  # short texts coincide by chance
    assert avoided.rows == {"a": 1, "c": 1}
    assert "2 rows of 2 tasks are left out" in caplog.text
    other = decontaminate(source, cache, texts[1:], kept, held)[2]
    assert other.digest != avoided.digest
    assert other.rows == {}


def test_places_are_files_or_folders(tmp_path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("a text\n")
    assert decontamination_files([str(tmp_path), str(file)]) == [file]
    with pytest.raises(FileNotFoundError, match=r"mixture\.avoid: .*nowhere does not exist"):
        decontamination_files([str(tmp_path / "nowhere")])
