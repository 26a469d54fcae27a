"""A vector that is not finite is reported of the text that broke it, not of those that are packed into its row."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.inference.culprits import culprits
from instructor_jax.inference.finite import NotFinite, check_finite
from instructor_jax.inference.pipeline import completed
from instructor_jax.inference.stages import Prepared, prepare
from instructor_jax.text.buckets import PackingConfig
from instructor_jax.text.tokenization import Pair, Tokenizer


@pytest.fixture(scope="module")
def sick(tiny_folder: Path) -> Instructor:
    """A model whose table of embeddings has one broken row: only texts with "river" meet it."""
    model = Instructor.from_pretrained(tiny_folder, devices=jax.devices()[:1], tokens_per_call=512)
    params = jax.tree.map(np.array, model.params)
    token = int(model.tokenize(["river"])["input_ids"][0, 0])
    assert token not in model.tokenize(["x"])["input_ids"]
    params["encoder"]["embed"]["embedding"][token] = np.nan
    return model.with_params(params)


WAYS: dict[str, Callable[[Instructor, list[str]], Any]] = {
    "encode": lambda model, texts: model.encode(texts),
    "stream": lambda model, texts: list(model.encode_stream(texts)),
    "windows": lambda model, texts: model.encode(texts, on_overflow="mean_of_windows"),
    "tokens": lambda model, texts: model.encode(texts, output_value="token_embeddings"),
    "everything": lambda model, texts: model.encode(texts, output_value=None),
    "bits": lambda model, texts: model.encode(texts, precision="ubinary"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_text_is_named_wherever_it_is_packed(sick: Instructor, way: str) -> None:
    for place in (0, 3, 8):
        texts = ["x"] * 9
        texts[place] = "river"
        with pytest.raises(ValueError, match=rf"^the vector of text {place} is not finite \(NaN or infinity\)\. The"):
            WAYS[way](sick, texts)


def test_several_of_them_and_of_many_texts(sick: Instructor) -> None:
    texts = ["x"] * 300
    texts[123] = texts[250] = "the river"
    with pytest.raises(ValueError, match=r"the vector of text 123 is not finite .*and 1 more of these texts' are not"):
        sick.encode(texts)


def test_the_long_text_that_breaks_in_one_of_its_windows(sick: Instructor) -> None:
    with pytest.raises(ValueError, match="the vector of text 2 is not finite .NaN or infinity.. The"):
        sick.encode(["x", "x", "x " * 700 + "river", "x"], on_overflow="mean_of_windows")


def test_where_all_are_broken_all_are_counted(sick: Instructor) -> None:
    with pytest.raises(ValueError, match=r"text 0 is not finite .*, and 59 more of these texts' are not either"):
        sick.encode(["river"] * 60)


def test_no_program_is_compiled_to_find_it(sick: Instructor) -> None:
    count = 0

    def compiled(event: str, duration_secs: float, **_: Any) -> None:
        nonlocal count
        count += event == "/jax/core/compile/backend_compile_duration"

    texts = ["x", "river", "x"]
    with pytest.raises(ValueError, match="text 1 is"):
        sick.encode(texts)
    jax.monitoring.register_event_duration_secs_listener(compiled)
    try:
        with pytest.raises(ValueError, match="text 1 is"):
            sick.encode(texts)
    finally:
        jax.monitoring.clear_event_listeners()
    assert count == 0


# --- the search for them, alone ------------------------------------------------------------------------------------


def chunk(count: int, length: int = 3) -> Prepared:
    tokenizer = Tokenizer(lambda strings: [[7] * length + [1] for _ in strings], 64)
    return prepare(tokenizer, [Pair("", "x")] * count, PackingConfig(max_length=64, tokens_per_call=256), first=100)


def run_with(broken: Callable[[int], bool]) -> Callable[[Any], np.ndarray]:
    """A stand-in for the model: `broken` says of the number of texts in a row whether their vectors are NaN."""

    def run(batch: Any) -> np.ndarray:
        vectors = np.ones((*batch.slots.shape, 2), np.float32)
        for group, slots in enumerate(batch.slots):
            rows = [slot // batch.segments_per_row for slot in slots if slot >= 0]
            for place, row in enumerate(rows):
                if broken(rows.count(row)):
                    vectors[group, place] = np.nan
        return vectors

    return run


def test_texts_that_break_only_in_company_are_told_so() -> None:
    with pytest.raises(NotFinite, match=r"text 100 is not .* and 4 more .*, though each is when it is encoded alone"):
        completed(chunk(5), run_with(lambda company: company > 1), True)


def test_of_very_many_not_all_are_tried_and_that_is_said() -> None:
    calls = 0

    def run(batch: Any) -> np.ndarray:
        nonlocal calls
        calls += 1
        return run_with(lambda company: company > 1)(batch)

    prepared = chunk(4000)
    with pytest.raises(NotFinite, match="; which of them breaks the others that are packed with it is not known"):
        completed(prepared, run, True)
    assert calls == len(prepared.calls) + 32
    told = str(culprits(prepared, run_with(lambda company: True), NotFinite(range(4000), 100)))
    assert told.startswith("the vector of text 100 is not finite (NaN or infinity), and 3999 more")
    assert "; of these not all were tried alone" in told


def test_the_error_is_a_value_error_with_the_texts() -> None:
    vectors = np.ones((5, 2), np.float32)
    vectors[[1, 4]] = np.inf
    with pytest.raises(ValueError, match="text 11 is not finite") as caught:
        check_finite(vectors, 10)
    assert isinstance(caught.value, NotFinite)
    assert caught.value.rows == [1, 4]
