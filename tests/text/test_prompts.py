"""Which instruction a text gets: its own, the call's, a named prompt, or the folder's default."""

from pathlib import Path

import numpy as np
import pytest

from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.text.instructions import Instruction
from instructor_jax.text.prompts import resolve_pairs

from ..small_models import SMALL

PLAIN = ModelFolder(Path(), SMALL)
NAMED = ModelFolder(Path(), SMALL, {"query": "Q: ", "document": ""}, "query")


@pytest.mark.parametrize("folder", [PLAIN, NAMED])
def test_what_the_call_says_comes_first(folder: ModelFolder) -> None:
    assert resolve_pairs(["x"], folder, instruction="I: ") == [("I: ", "x")]
    assert resolve_pairs(["x"], folder, prompt="P: ") == [("P: ", "x")]
    assert resolve_pairs([["own ", "x"], ("", "y")], folder) == [("own ", "x"), ("", "y")]
    assert resolve_pairs(["x"], folder, instruction="") == [("", "x")]  # explicitly none


def test_named_prompts() -> None:
    assert resolve_pairs(["x", "y"], NAMED, prompt_name="document") == [("", "x"), ("", "y")]
    assert resolve_pairs(["x"], NAMED, prompt_name="query") == [("Q: ", "x")]
    assert resolve_pairs(["x"], NAMED) == [("Q: ", "x")]  # the default
    assert resolve_pairs(["x"], PLAIN) == [("", "x")]
    assert resolve_pairs(np.array(["x", "y"]), NAMED) == [("Q: ", "x"), ("Q: ", "y")]


def test_the_default_is_for_plain_strings_and_never_for_some_of_them() -> None:
    assert resolve_pairs(["x", ["own ", "y"]], NAMED) == [("", "x"), ("own ", "y")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"instruction": "a", "prompt": "b"}, "give one of instruction, prompt and prompt_name"),
        ({"instruction": "", "prompt_name": "query"}, "give one of instruction, prompt and prompt_name"),
        ({"prompt_name": "passage"}, "prompt_name='passage' is not in the model's prompts; it has 'query', 'document'"),
    ],
)
def test_contradictions_and_unknown_names(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve_pairs(["x"], NAMED, **options)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("sentences", [{"a": 1}, 3, None, {"x"}, b"x"])
def test_what_is_no_collection_in_order_is_refused(sentences: object) -> None:
    with pytest.raises(ValueError, match=r"sentences must be a list of texts or of pairs .* not .*: "):
        resolve_pairs(sentences, PLAIN)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("option", ["instruction", "prompt"])
def test_an_instruction_is_a_string(option: str) -> None:
    for value in (3, Instruction(text_type="title")):
        with pytest.raises(ValueError, match="the instruction must be a string"):
            resolve_pairs(["x"], PLAIN, **{option: value})  # pyright: ignore[reportArgumentType]


def test_indices_count_from_the_callers_first_text() -> None:
    with pytest.raises(ValueError, match=r"sentences\[8193\] is 3"):
        resolve_pairs(["x", 3], PLAIN, first=8192)
    with pytest.raises(ValueError, match=r"sentences\[1\] brings its own instruction"):
        resolve_pairs(["x", ["own ", "y"]], PLAIN, instruction="I: ")
