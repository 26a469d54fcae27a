"""Chroma: a collection on disk, opened again without a function, asked under the query's instruction."""

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from .conftest import CLOSE, DOCUMENT, QUERY, TEXTS

pytest.importorskip("chromadb", reason="needs the extra `chroma`")

import chromadb

from instructor_jax.integrations.chroma import InstructorEmbeddingFunction
from instructor_jax.integrations.instruction_sides import PAPER

REOPENED = """
import sys
import chromadb
import instructor_jax.integrations.chroma
client = chromadb.PersistentClient(sys.argv[1])
collection = client.get_collection("notes")
print(collection.query(query_texts=[sys.argv[2]], n_results=1)["documents"][0][0])
"""


def function(folder: Path, **options: object) -> InstructorEmbeddingFunction:
    return InstructorEmbeddingFunction(str(folder), "cpu:0", **options)  # type: ignore[arg-type]


def test_each_side_has_its_own_instruction(tiny_folder: Path, truth) -> None:
    own = function(tiny_folder, query_instruction=QUERY, document_instruction=DOCUMENT)
    np.testing.assert_allclose(own(TEXTS), truth(TEXTS, DOCUMENT), atol=CLOSE)
    queries = own.embed_query(TEXTS)
    np.testing.assert_allclose(queries, truth(TEXTS, QUERY), atol=CLOSE)
    assert all(vector.dtype == np.float32 for vector in queries)
    both = function(tiny_folder, instruction=QUERY)
    np.testing.assert_allclose(both(TEXTS), truth(TEXTS, QUERY), atol=CLOSE)
    np.testing.assert_allclose(both.embed_query(TEXTS), truth(TEXTS, QUERY), atol=CLOSE)


def test_a_collection_on_disk_is_opened_without_a_function(tiny_folder: Path, tmp_path: Path, truth) -> None:
    own = function(tiny_folder, query_instruction=QUERY, document_instruction=DOCUMENT)
    client = chromadb.PersistentClient(str(tmp_path / "store"))
    collection = client.create_collection("notes", embedding_function=cast(Any, own))
    collection.add(ids=[str(number) for number in range(len(TEXTS))], documents=TEXTS)
    stored = cast(Any, collection.get(include=["embeddings"])["embeddings"])
    np.testing.assert_allclose(stored, truth(TEXTS, DOCUMENT), atol=CLOSE)
    reopened = client.get_collection("notes")
    found: Any = reopened.query(query_texts=[TEXTS[1]], n_results=len(TEXTS), include=["distances", "documents"])
    cosines = truth(TEXTS[1:2], QUERY) @ truth(TEXTS, DOCUMENT).T
    order = np.argsort(-cosines[0])
    assert found["documents"][0] == [TEXTS[place] for place in order]
    # Chroma's distance is 1 - cosine, in its own float32 arithmetic
    np.testing.assert_allclose(found["distances"][0], 1 - cosines[0][order], atol=1e-5)


@pytest.mark.slow
def test_another_process_opens_it_without_a_function(tiny_folder: Path, tmp_path: Path) -> None:
    own = function(tiny_folder, query_instruction="", document_instruction="")
    collection = chromadb.PersistentClient(str(tmp_path / "store")).create_collection(
        "notes", embedding_function=cast(Any, own)
    )
    collection.add(ids=[str(number) for number in range(len(TEXTS))], documents=TEXTS)
    for text in TEXTS[:2]:
        done = subprocess.run(
            [sys.executable, "-c", REOPENED, str(tmp_path / "store"), text], capture_output=True, text=True
        )
        assert done.stdout.strip() == text, done.stderr[-2000:]


def test_the_stored_settings_hold_the_instructions_as_they_were(tiny_folder: Path) -> None:
    own = function(tiny_folder, truncate_dim=16)
    config = own.get_config()
    assert config == {
        "model_name": str(tiny_folder),
        "query_instruction": PAPER["query"],
        "document_instruction": PAPER["document"],
        "device": "cpu:0",
        "truncate_dim": 16,
    }
    again = InstructorEmbeddingFunction.build_from_config(config)
    assert again.get_config() == config
    assert len(again(TEXTS[:1])[0]) == 16
    assert (own.name(), own.default_space()) == ("instructor_jax", "cosine")


def test_settings_that_would_mix_unlike_vectors_do_not_change(tiny_folder: Path) -> None:
    own = function(tiny_folder)
    old = own.get_config()
    own.validate_config_update(old, {**old, "model_name": "/moved", "query_instruction": "other: "})
    with pytest.raises(ValueError, match="document_instruction was .* cannot become 'x'; fill a new collection"):
        own.validate_config_update(old, {**old, "document_instruction": "x"})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"model_name": 3}, "model_name=3 must be a string"),
        ({"model_name": "m", "query_instruction": "q", "document_instruction": None}, "document_instruction=None"),
        ({"model_name": "m", "trust_remote_code": True}, "has no option 'trust_remote_code'"),
    ],
)
def test_a_stored_configuration_of_another_kind_is_refused(config, told) -> None:
    with pytest.raises(ValueError, match=told):
        InstructorEmbeddingFunction.build_from_config(config)


@pytest.mark.usefixtures("unchecked")
def test_wrong_options_are_told(tiny_folder: Path) -> None:
    with pytest.raises(ValueError, match="has no option 'batch'"):
        function(tiny_folder, batch=3)
    with pytest.raises(ValueError, match="instruction='a' is that of both sides"):
        function(tiny_folder, instruction="a", query_instruction="b")
    with pytest.raises(ValueError, match="text 1 is 3"):
        function(tiny_folder).embed_query(["a", 3])  # type: ignore[list-item]
