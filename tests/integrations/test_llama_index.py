"""LlamaIndex: an index that is asked, dictionaries and pickles both ways, and asynchronous calls."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from .conftest import CLOSE, DOCUMENT, QUERY, TEXTS

pytest.importorskip("llama_index.core", reason="needs the extra `llama-index`")

from llama_index.core import VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.schema import TextNode

from instructor_jax.integrations.instruction_sides import PAPER
from instructor_jax.integrations.llama_index import InstructorEmbedding


def embedding(folder: Path, **options: object) -> InstructorEmbedding:
    return InstructorEmbedding(model_name=str(folder), device="cpu:0", **options)  # type: ignore[arg-type]


async def test_queries_and_texts_are_read_under_their_instructions(tiny_folder, truth, free_loop) -> None:
    own = embedding(tiny_folder, query_instruction=QUERY, text_instruction=DOCUMENT)
    assert isinstance(own, BaseEmbedding)
    query, texts = truth(TEXTS[:1], QUERY)[0], truth(TEXTS, DOCUMENT)
    np.testing.assert_allclose(own.get_query_embedding(TEXTS[0]), query, atol=CLOSE)
    np.testing.assert_allclose(own.get_text_embedding(TEXTS[1]), texts[1], atol=CLOSE)
    np.testing.assert_allclose(own.get_text_embedding_batch(TEXTS), texts, atol=CLOSE)
    np.testing.assert_allclose(await own.aget_query_embedding(TEXTS[0]), query, atol=CLOSE)
    np.testing.assert_allclose(await own.aget_text_embedding(TEXTS[1]), texts[1], atol=CLOSE)
    found = await free_loop(lambda: own.aget_text_embedding_batch(TEXTS))
    np.testing.assert_allclose(found, texts, atol=CLOSE)


async def test_an_index_finds_what_is_asked_for(tiny_folder: Path) -> None:
    own = embedding(tiny_folder, query_instruction="", text_instruction="")
    index = VectorStoreIndex([TextNode(text=text) for text in TEXTS], embed_model=own)
    retriever = index.as_retriever(similarity_top_k=1)
    assert [found.get_content() for found in retriever.retrieve(TEXTS[3])] == [TEXTS[3]]
    assert [found.get_content() for found in await retriever.aretrieve(TEXTS[1])] == [TEXTS[1]]


def test_dictionaries_json_and_pickles_make_an_equal_one(tiny_folder: Path) -> None:
    own = embedding(tiny_folder, encode_kwargs={"truncate_dim": 16})
    content = own.to_dict()
    assert content["class_name"] == "InstructorEmbedding"
    assert (content["query_instruction"], content["text_instruction"]) == (PAPER["query"], PAPER["document"])
    json.dumps(content)
    vector = own.get_query_embedding("a")
    for other in (
        InstructorEmbedding.from_dict(content),
        InstructorEmbedding.from_json(own.to_json()),
        pickle.loads(pickle.dumps(own)),
    ):
        assert other.get_query_embedding("a") == vector
        assert other.to_dict() == content


def test_wrong_options_are_told(tiny_folder: Path) -> None:
    with pytest.raises(ValueError, match="must be a string, an instructor_jax.Instruction"):
        embedding(tiny_folder, text_instruction=3)
    with pytest.raises(ValueError, match="neither an existing folder nor a hub name"):
        InstructorEmbedding(model_name="no such model")
    with pytest.raises(ValueError, match="embed_batch_size"):
        embedding(tiny_folder, embed_batch_size=0)
