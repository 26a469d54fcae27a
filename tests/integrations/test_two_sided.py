"""Two instructions over one model: which they are, that models are shared, and that wrong input is told."""

import copy
import dataclasses
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest

from instructor_jax import Instruction
from instructor_jax.integrations.instruction_sides import PAPER, side_instruction
from instructor_jax.integrations.shared_models import shared_model
from instructor_jax.integrations.two_sided import TwoSidedEmbedder
from instructor_jax.io.folders import read_folder

from .conftest import CLOSE, DOCUMENT, QUERY, TEXTS

ONE = {"device": "cpu:0"}


def embedder(folder: Path, *instructions: object, **options: object) -> TwoSidedEmbedder:
    return TwoSidedEmbedder(str(folder), *instructions, loading=ONE, **options)


def test_each_side_has_its_own_instruction(tiny_folder: Path, truth) -> None:
    own = embedder(tiny_folder, QUERY, DOCUMENT)
    np.testing.assert_allclose(own.vectors(TEXTS, "query"), truth(TEXTS, QUERY), atol=CLOSE)
    np.testing.assert_allclose(own.vectors(TEXTS, "document"), truth(TEXTS, DOCUMENT), atol=CLOSE)
    assert np.abs(truth(TEXTS, QUERY) - truth(TEXTS, DOCUMENT)).max() > 1e-3  # they do differ
    assert own.vectors([], "query").shape == (0, own.dimension)


def test_without_instructions_the_paper_decides(tiny_folder: Path, truth) -> None:
    own = embedder(tiny_folder)
    assert PAPER == {
        "query": "Represent the question for retrieving supporting documents: ",
        "document": "Represent the document for retrieval: ",
    }
    assert (own.instruction("query"), own.instruction("document")) == (PAPER["query"], PAPER["document"])
    np.testing.assert_allclose(own.vectors(TEXTS, "query"), truth(TEXTS, PAPER["query"]), atol=CLOSE)
    bare = embedder(tiny_folder, "", "")
    np.testing.assert_allclose(bare.vectors(TEXTS, "query"), truth(TEXTS, ""), atol=CLOSE)


@pytest.mark.parametrize(
    ("prompts", "default", "query", "document"),
    [
        ({"query": "q: ", "document": "d: "}, None, "q: ", "d: "),
        ({"query": "q: ", "passage": "p: "}, None, "q: ", "p: "),
        (
            {"query": "", "document": ""},
            None,
            PAPER["query"],
            PAPER["document"],
        ),  # as sentence-transformers writes them
        ({"any": "a: "}, "any", "a: ", "a: "),
        ({"any": "a: ", "query": "q: "}, "any", "q: ", "a: "),
    ],
)
def test_prompts_of_the_folder_come_before_the_paper(tiny_folder, prompts, default, query, document) -> None:
    folder = dataclasses.replace(read_folder(tiny_folder), prompts=prompts, default_prompt_name=default)
    assert side_instruction("query", None, folder, "x") == query
    assert side_instruction("document", None, folder, "x") == document
    assert side_instruction("document", "mine: ", folder, "x") == "mine: "
    assert side_instruction("document", "", folder, "x") == ""


def test_models_that_read_no_instructions_get_none(tiny_folder: Path) -> None:
    folder = read_folder(tiny_folder)
    pooled = dataclasses.replace(folder, config=dataclasses.replace(folder.config, pool_instruction=True))
    assert side_instruction("query", None, pooled, "x") == ""
    for name in ("sentence-transformers/gtr-t5-base", "sentence-transformers/sentence-t5-xl", "./all-MiniLM-L6-v2"):
        assert side_instruction("query", None, folder, name) == ""


def test_an_instruction_may_be_an_object(tiny_folder: Path) -> None:
    own = TwoSidedEmbedder(str(tiny_folder), Instruction(text_type="question"), None)
    assert own.query_instruction == "Represent the question: "


def test_one_model_serves_all_who_ask_for_it_and_settings_stay_apart(tiny_folder: Path) -> None:
    found: list[TwoSidedEmbedder] = [embedder(tiny_folder) for _ in range(4)]
    threads = [threading.Thread(target=lambda each=each: each.model) for each in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engines = {id(each.model._ready()) for each in found}
    assert len(engines) == 1
    found[0].model.max_seq_length = 7
    assert found[1].model.max_seq_length != 7
    other = TwoSidedEmbedder(str(tiny_folder), loading={"device": "cpu:0", "max_length": 9})
    assert other.model.max_seq_length == 9
    assert id(other.model._ready()) not in engines


@pytest.mark.slow
def test_models_go_with_those_who_need_them(tiny_folder: Path) -> None:
    import gc

    from instructor_jax.integrations import shared_models

    options = {"device": "cpu:0", "max_length": 11}
    own = TwoSidedEmbedder(str(tiny_folder), loading=options)
    assert own.model is not None
    gc.collect()
    before = len(shared_models._LOADED)
    del own
    gc.collect()
    assert len(shared_models._LOADED) == before - 1


def test_a_relative_path_means_its_folder_of_the_moment(tiny_folder: Path, tmp_path: Path, monkeypatch) -> None:
    import shutil

    for place in ("one", "two"):
        shutil.copytree(tiny_folder, tmp_path / place / "m")
    monkeypatch.chdir(tmp_path / "one")
    first = shared_model("m", ONE)
    monkeypatch.chdir(tmp_path / "two")
    assert shared_model("m", ONE)[1] is not first[1]


def test_pickles_and_copies_hold_settings_and_no_weights(tiny_folder: Path, truth) -> None:
    own = embedder(tiny_folder, QUERY, DOCUMENT)
    assert own.model is not None
    sent = pickle.dumps(own)
    assert len(sent) < 2000
    for other in (pickle.loads(sent), copy.deepcopy(own)):
        np.testing.assert_allclose(other.vectors(TEXTS, "query"), truth(TEXTS, QUERY), atol=CLOSE)


async def test_the_event_loop_goes_on(tiny_folder: Path, free_loop, truth) -> None:
    own = embedder(tiny_folder, QUERY, DOCUMENT)
    found = await free_loop(lambda: own.vectors_beside(TEXTS, "document"))
    np.testing.assert_allclose(found, truth(TEXTS, DOCUMENT), atol=CLOSE)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"query_instruction": 3}, "query_instruction=3 must be a string"),
        ({"document_instruction": ["x"]}, "document_instruction=.* must be a string"),
        ({"loading": {"devise": "cpu"}}, "model_kwargs has no option 'devise'. Did you mean device"),
        ({"loading": "cpu"}, "model_kwargs='cpu' must be a dictionary"),
        ({"encoding": {"batchsize": 3}}, "encode_kwargs has no option 'batchsize'. Did you mean batch_size"),
        ({"encoding": [1]}, "encode_kwargs=.* must be a dictionary"),
        ({"encoding": {"prompt": "x"}}, "would hold for queries and documents alike"),
        ({"encoding": {"show_progress_bar": "yes"}}, "show_progress_bar='yes' must be True or False"),
    ],
)
def test_wrong_options_are_told_before_anything_is_loaded(options, told) -> None:
    with pytest.raises(ValueError, match=told):
        TwoSidedEmbedder("no such model", **options)


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ("one text", "is a single string; put it into a list"),
        (["a", 3], "text 1 is 3, a int; every text must be a string"),
        (["a", ["instruction", "b"]], "text 1 is .* a list"),
        (["a", None], "text 1 is None"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_texts_are_told_with_their_index(tiny_folder: Path, texts, told) -> None:
    with pytest.raises(ValueError, match=told):
        embedder(tiny_folder).vectors(texts, "document")


def test_no_such_model_is_told() -> None:
    for name in ("", None, "no/such/model/at all"):
        with pytest.raises((ValueError, OSError)):
            _ = TwoSidedEmbedder(name).model
