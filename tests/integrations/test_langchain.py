"""LangChain: the suites that it hands to authors of integrations, and what they do not ask."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from .conftest import CLOSE, DOCUMENT, QUERY, TEXTS

pytest.importorskip("langchain_tests", reason="needs the extra `integrations`")

from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests

from instructor_jax.integrations.instruction_sides import PAPER
from instructor_jax.integrations.langchain import InstructorEmbeddings

ONE = {"device": "cpu:0"}


class _Ours:
    @pytest.fixture(autouse=True)
    def _folder(self, tiny_folder: Path) -> None:
        self.folder = tiny_folder

    @property
    def embeddings_class(self) -> type[InstructorEmbeddings]:
        return InstructorEmbeddings

    @property
    def embedding_model_params(self) -> dict:
        return {"model_name": str(self.folder), "model_kwargs": ONE}


class TestUnit(_Ours, EmbeddingsUnitTests):
    """langchain-tests' unit tests."""


class TestIntegration(_Ours, EmbeddingsIntegrationTests):
    """langchain-tests' integration tests, which need no network here."""


def embeddings(folder: Path, **options: object) -> InstructorEmbeddings:
    return InstructorEmbeddings(model_name=str(folder), model_kwargs=ONE, **options)  # type: ignore[arg-type]


async def test_queries_and_documents_are_read_under_their_instructions(tiny_folder, truth, free_loop) -> None:
    own = embeddings(tiny_folder, query_instruction=QUERY, embed_instruction=DOCUMENT)
    queries, documents = truth(TEXTS[:1], QUERY)[0], truth(TEXTS, DOCUMENT)
    np.testing.assert_allclose(own.embed_query(TEXTS[0]), queries, atol=CLOSE)
    np.testing.assert_allclose(own.embed_documents(TEXTS), documents, atol=CLOSE)
    np.testing.assert_allclose(await own.aembed_query(TEXTS[0]), queries, atol=CLOSE)
    np.testing.assert_allclose(await free_loop(lambda: own.aembed_documents(TEXTS)), documents, atol=CLOSE)


def test_a_dump_holds_all_and_makes_an_equal_one(tiny_folder: Path) -> None:
    own = embeddings(tiny_folder, encode_kwargs={"truncate_dim": 16})
    dump = own.model_dump()
    assert (dump["query_instruction"], dump["embed_instruction"]) == (PAPER["query"], PAPER["document"])
    vector = own.embed_query("a")
    assert len(vector) == 16
    for other in (InstructorEmbeddings(**dump), InstructorEmbeddings.model_validate_json(own.model_dump_json())):
        assert other.embed_query("a") == vector
    assert pickle.loads(pickle.dumps(own)).embed_query("a") == vector


def test_an_instruction_set_later_counts(tiny_folder: Path, truth) -> None:
    own = embeddings(tiny_folder)
    own.query_instruction = QUERY
    np.testing.assert_allclose(own.embed_query(TEXTS[0]), truth(TEXTS[:1], QUERY)[0], atol=CLOSE)


def test_it_serves_a_vector_store(tiny_folder: Path) -> None:
    from langchain_core.vectorstores import InMemoryVectorStore

    store = InMemoryVectorStore(embeddings(tiny_folder, query_instruction="", embed_instruction=""))
    store.add_texts(TEXTS)
    assert [found.page_content for found in store.similarity_search(TEXTS[2], k=1)] == [TEXTS[2]]


@pytest.mark.usefixtures("unchecked")
def test_wrong_options_are_told(tiny_folder: Path) -> None:
    for options, told in (
        ({"query_instruction": 3}, "must be a string, an instructor_jax.Instruction"),
        ({"encode_kwargs": {"prompt": "x"}}, "would hold for queries and documents alike"),
        ({"model": "x"}, "Extra inputs are not permitted"),
    ):
        with pytest.raises(ValueError, match=told):
            embeddings(tiny_folder, **options)
    with pytest.raises(ValueError, match="neither an existing folder nor a hub name"):
        InstructorEmbeddings(model_name="no such model")
    with pytest.raises(ValueError, match="single string"):
        embeddings(tiny_folder).embed_documents("one text")  # type: ignore[arg-type]
