"""Haystack: components that its pipelines load by themselves, run, and write as YAML."""

from pathlib import Path

import numpy as np
import pytest

from .conftest import CLOSE, DOCUMENT, QUERY, TEXTS

pytest.importorskip("haystack", reason="needs the extra `haystack`")

from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.utils import ComponentDevice, Secret

from haystack_integrations.components.embedders.instructor_jax import (
    InstructorDocumentEmbedder,
    InstructorTextEmbedder,
)
from instructor_jax.integrations.instruction_sides import PAPER

PLACE = "haystack_integrations.components.embedders.instructor_jax"


def asking(folder: Path, store: InMemoryDocumentStore) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("embedder", InstructorTextEmbedder(str(folder), "cpu:0", instruction=QUERY))
    pipeline.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=len(TEXTS)))
    pipeline.connect("embedder.embedding", "retriever.query_embedding")
    return pipeline


async def test_documents_and_queries_in_pipelines(tiny_folder: Path, truth) -> None:
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    embedder = InstructorDocumentEmbedder(str(tiny_folder), "cpu:0", instruction=DOCUMENT)
    given = [Document(content=text) for text in TEXTS]
    done = embedder.run(given)
    assert done["meta"] == {"model": str(tiny_folder), "instruction": DOCUMENT}
    assert all(document.embedding is None for document in given)
    np.testing.assert_allclose(
        [document.embedding for document in done["documents"]], truth(TEXTS, DOCUMENT), atol=CLOSE
    )
    store.write_documents(done["documents"])
    order = np.argsort(-(truth(TEXTS[1:2], QUERY) @ truth(TEXTS, DOCUMENT).T)[0])
    pipeline = asking(tiny_folder, store)
    for found in (
        pipeline.run({"embedder": {"text": TEXTS[1]}}),
        await pipeline.run_async({"embedder": {"text": TEXTS[1]}}),
    ):
        assert [document.content for document in found["retriever"]["documents"]] == [TEXTS[place] for place in order]


async def test_the_event_loop_goes_on(tiny_folder: Path, truth, free_loop) -> None:
    embedder = InstructorTextEmbedder(str(tiny_folder), "cpu:0", instruction=QUERY)
    await embedder.warm_up_async()
    found = await free_loop(lambda: embedder.run_async(TEXTS[0]))
    np.testing.assert_allclose(found["embedding"], truth(TEXTS[:1], QUERY)[0], atol=CLOSE)
    assert found["embedding"] == embedder.run(TEXTS[0])["embedding"]
    documents = InstructorDocumentEmbedder(str(tiny_folder), "cpu:0")
    asked = [Document(content=text) for text in TEXTS]
    assert (await documents.run_async(asked))["documents"] == documents.run(asked)["documents"]


def test_a_pipeline_goes_through_yaml(tiny_folder: Path) -> None:
    pipeline = Pipeline()
    pipeline.add_component("texts", InstructorTextEmbedder(str(tiny_folder), "cpu:0", instruction=QUERY))
    pipeline.add_component(
        "documents",
        InstructorDocumentEmbedder(
            str(tiny_folder), ComponentDevice.from_str("cpu"), meta_fields_to_embed=["title"], truncate_dim=16
        ),
    )
    again = Pipeline.loads(pipeline.dumps())
    assert again.to_dict() == pipeline.to_dict()
    assert again.dumps() == pipeline.dumps()
    run = again.run({"texts": {"text": "a"}, "documents": {"documents": [Document(content="b")]}})
    assert run["texts"]["meta"]["instruction"] == QUERY
    assert run["documents"]["meta"]["instruction"] == PAPER["document"]
    assert len(run["documents"]["documents"][0].embedding) == 16


def test_dictionaries_are_exact(tiny_folder: Path, monkeypatch) -> None:
    token = {"type": "env_var", "env_vars": ["HF_API_TOKEN", "HF_TOKEN"], "strict": False}
    shared = {
        "model": "hkunlp/instructor-base",
        "device": None,
        "token": token,
        "instruction": None,
        "batch_size": None,
        "progress_bar": True,
        "normalize_embeddings": False,
        "truncate_dim": None,
        "model_kwargs": None,
    }
    assert InstructorTextEmbedder().to_dict() == {
        "type": f"{PLACE}.text_embedder.InstructorTextEmbedder",
        "init_parameters": shared,
    }
    document = {
        "type": f"{PLACE}.document_embedder.InstructorDocumentEmbedder",
        "init_parameters": {**shared, "meta_fields_to_embed": [], "embedding_separator": "\n"},
    }
    assert InstructorDocumentEmbedder().to_dict() == document
    assert InstructorDocumentEmbedder.from_dict(document).to_dict() == document
    device = {"type": "single", "device": "cpu"}  # as the older components wrote it
    older = InstructorTextEmbedder.from_dict(
        {"type": f"{PLACE}.text_embedder.InstructorTextEmbedder", "init_parameters": {"device": device}}
    )
    assert older.to_dict()["init_parameters"]["device"] == device
    with pytest.raises(ValueError, match="token"):
        InstructorTextEmbedder(token=Secret.from_token("hf_secret")).to_dict()


def test_meta_fields_are_read_before_the_content(tiny_folder: Path, truth) -> None:
    embedder = InstructorDocumentEmbedder(
        str(tiny_folder),
        "cpu:0",
        instruction=DOCUMENT,
        meta_fields_to_embed=["title", "none", "year"],
        embedding_separator=" | ",
    )
    given = [Document(content="a red cat", meta={"title": "Cats", "none": None, "year": 1999}), Document(content=None)]
    found = [document.embedding for document in embedder.run(given)["documents"]]
    np.testing.assert_allclose(found, truth(["Cats | 1999 | a red cat", ""], DOCUMENT), atol=CLOSE)
    assert embedder.run([])["documents"] == []


def test_wrong_input_is_told(tiny_folder: Path) -> None:
    with pytest.raises(TypeError, match="embeds a string, not a list; for documents take InstructorDocumentEmbedder"):
        InstructorTextEmbedder(str(tiny_folder)).run(["a"])  # type: ignore[arg-type]
    for documents, kind in (("a", "a str"), (["a"], "a list with a str")):
        with pytest.raises(TypeError, match=f"a list of Documents, not {kind}; for a query take"):
            InstructorDocumentEmbedder(str(tiny_folder)).run(documents)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="token must be a haystack.utils.Secret or None, not a str"):
        InstructorTextEmbedder(token="hf_x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has no option 'dtipe'"):
        InstructorTextEmbedder(model_kwargs={"dtipe": "bfloat16"})
