"""Older classes beside the new ones: under the same instructions the same vectors.

The older classes are the released ones. They import InstructorEmbedding, which does not run any more; `INSTRUCTOR` of
this library stands in its place, whose vectors tests/trust and tests/inference compare with the original's.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import instructor_jax

from .conftest import CLOSE, DOCUMENT, QUERY, TEXTS

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `from InstructorEmbedding import INSTRUCTOR` finds."""
    monkeypatch.setitem(sys.modules, "InstructorEmbedding", instructor_jax)


def same(found, expected) -> None:
    np.testing.assert_allclose(np.asarray(found, np.float32), np.asarray(expected, np.float32), atol=CLOSE)


def test_langchain(tiny_folder: Path) -> None:
    pytest.importorskip("langchain_community", reason="needs langchain-community, which is not developed any more")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from langchain_community.embeddings import HuggingFaceInstructEmbeddings

    from instructor_jax.integrations.langchain import InstructorEmbeddings

    for instructions in ({}, {"embed_instruction": DOCUMENT, "query_instruction": QUERY}):
        fields: dict[str, Any] = {
            "model_name": str(tiny_folder),
            "model_kwargs": {"device": "cpu:0"},
            "encode_kwargs": {"normalize_embeddings": True, "batch_size": 3},
            "cache_folder": None,
            "show_progress": False,
            **instructions,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            older = HuggingFaceInstructEmbeddings(**fields)
        newer = InstructorEmbeddings(**fields)
        same(newer.embed_documents(TEXTS), older.embed_documents(TEXTS))
        same(newer.embed_query(TEXTS[0]), older.embed_query(TEXTS[0]))
        for name in ("model_name", "embed_instruction", "query_instruction", "cache_folder", "show_progress"):
            assert getattr(newer, name) == getattr(older, name), name


def test_llama_index(tiny_folder: Path) -> None:
    pytest.importorskip(
        "llama_index.embeddings.instructor",
        reason="needs llama-index-embeddings-instructor, alone",
    )
    from llama_index.embeddings.instructor import InstructorEmbedding as Older

    from instructor_jax.integrations.llama_index import InstructorEmbedding

    fields: dict[str, Any] = {
        "model_name": str(tiny_folder),
        "query_instruction": QUERY,
        "text_instruction": DOCUMENT,
        "embed_batch_size": 2,
        "cache_folder": None,
        "device": "cpu:0",
    }
    older, newer = Older(**fields), InstructorEmbedding(**fields)
    same(newer.get_text_embedding_batch(TEXTS), older.get_text_embedding_batch(TEXTS))
    same(newer.get_query_embedding(TEXTS[0]), older.get_query_embedding(TEXTS[0]))
    assert newer.class_name() == older.class_name()


def test_chroma(tiny_folder: Path) -> None:
    pytest.importorskip("chromadb", reason="needs the extra `chroma`")
    from chromadb.utils.embedding_functions.instructor_embedding_function import InstructorEmbeddingFunction as Older

    from instructor_jax.integrations.chroma import InstructorEmbeddingFunction

    for older_instruction, instruction in ((DOCUMENT, DOCUMENT), (None, "")):
        older = Older(model_name=str(tiny_folder), device="cpu:0", instruction=older_instruction)
        newer = InstructorEmbeddingFunction(model_name=str(tiny_folder), device="cpu:0", instruction=instruction)
        same(newer(TEXTS), older(TEXTS))
        same(newer.embed_query(TEXTS), older.embed_query(TEXTS))


def test_lancedb(tiny_folder: Path) -> None:
    pytest.importorskip("lancedb", reason="needs the extra `lancedb`")
    pytest.importorskip("torch", reason="LanceDB's own class imports it")
    from lancedb.embeddings import get_registry

    from instructor_jax.integrations.lancedb import InstructorFunction

    fields: dict[str, Any] = {"name": str(tiny_folder), "device": "cpu:0", "batch_size": 3, "show_progress_bar": False}
    defaults: dict[str, Any] = {
        "source_instruction": "represent the document for retrieval",
        "query_instruction": "represent the document for retrieving the most similar documents",
    }
    older = get_registry().get("instructor").create(**fields)
    newer = get_registry().get("instructor-jax").create(**fields, **defaults)
    assert isinstance(newer, InstructorFunction)
    same(newer.compute_source_embeddings(TEXTS), older.compute_source_embeddings(TEXTS))
    same(newer.compute_query_embeddings(TEXTS[0]), older.compute_query_embeddings(TEXTS[0]))
    assert newer.ndims() == older.ndims()


def test_haystack(tiny_folder: Path) -> None:
    pytest.importorskip(
        "haystack_integrations.components.embedders.instructor_embedders",
        reason="needs instructor-embedders-haystack, alone",
    )
    from haystack import Document
    from haystack.utils import ComponentDevice

    from haystack_integrations.components.embedders import (
        instructor_embedders as older,  # pyright: ignore[reportAttributeAccessIssue] - another package of the namespace
    )
    from haystack_integrations.components.embedders import instructor_jax as newer

    for instruction in (None, DOCUMENT):
        fields: dict[str, Any] = {"model": str(tiny_folder), "device": ComponentDevice.from_str("cpu"), "batch_size": 3}
        given: dict[str, Any] = {} if instruction is None else {"instruction": instruction}
        text = older.InstructorTextEmbedder(**fields, **given)
        text.warm_up()
        own = newer.InstructorTextEmbedder(**fields, instruction=instruction or "Represent the sentence")
        same(own.run(TEXTS[0])["embedding"], text.run(TEXTS[0])["embedding"])
        more: dict[str, Any] = {"progress_bar": False, "normalize_embeddings": True, "meta_fields_to_embed": ["title"]}
        document = older.InstructorDocumentEmbedder(**fields, **given, **more, embedding_separator=" - ")
        document.warm_up()
        ours = newer.InstructorDocumentEmbedder(
            **fields, **more, embedding_separator=" - ", instruction=instruction or "Represent the document"
        )
        asked = [Document(content=text, meta={"title": "A title"}) for text in TEXTS]
        found = [one.embedding for one in ours.run(asked)["documents"]]
        same(found, [one.embedding for one in document.run(asked)["documents"]])


def test_the_original_package(tiny_folder: Path, truth) -> None:
    from InstructorEmbedding import INSTRUCTOR  # type: ignore[import-not-found]

    model = INSTRUCTOR(str(tiny_folder), device="cpu:0")
    same(model.encode([[DOCUMENT, text] for text in TEXTS]), truth(TEXTS, DOCUMENT))
