"""LanceDB: a table that embeds its own column and its own queries, each under its instruction, opened again."""

from pathlib import Path

import numpy as np
import pytest

from .conftest import CLOSE, DOCUMENT, QUERY, TEXTS

pytest.importorskip("lancedb", reason="needs the extra `lancedb`")

import lancedb
from lancedb.embeddings import get_registry
from lancedb.pydantic import LanceModel, Vector

from instructor_jax.integrations.instruction_sides import PAPER
from instructor_jax.integrations.lancedb import InstructorFunction


def function(folder: Path, **options: object) -> InstructorFunction:
    return get_registry().get("instructor-jax").create(name=str(folder), device="cpu:0", **options)  # type: ignore[return-value]


def test_a_table_embeds_its_column_and_its_queries_and_is_opened_again(tiny_folder, tmp_path, truth) -> None:
    own = function(tiny_folder, query_instruction=QUERY, source_instruction=DOCUMENT)

    class Note(LanceModel):
        text: str = own.SourceField()
        vector: Vector(own.ndims()) = own.VectorField()  # type: ignore[valid-type]

    table = lancedb.connect(tmp_path).create_table("notes", schema=Note)
    table.add([{"text": text} for text in TEXTS])
    stored = np.asarray(table.to_arrow()["vector"].to_pylist(), np.float32)
    np.testing.assert_allclose(stored, truth(TEXTS, DOCUMENT), atol=CLOSE)
    order = np.argsort(-(truth(TEXTS[1:2], QUERY) @ truth(TEXTS, DOCUMENT).T)[0])
    for opened in (table, lancedb.connect(tmp_path).open_table("notes")):
        found = opened.search(TEXTS[1]).limit(len(TEXTS)).to_list()
        assert [row["text"] for row in found] == [TEXTS[place] for place in order]


def test_both_roles(tiny_folder: Path, truth) -> None:
    own = function(tiny_folder, query_instruction=QUERY, source_instruction=DOCUMENT)
    np.testing.assert_allclose(np.asarray(own.compute_query_embeddings(TEXTS[0])), truth(TEXTS[:1], QUERY), atol=CLOSE)
    first, none = own.compute_source_embeddings([TEXTS[0], None])
    assert none is None
    assert first is not None
    np.testing.assert_allclose(first, truth(TEXTS[:1], DOCUMENT)[0], atol=CLOSE)


def test_what_is_stored_holds_the_instructions_as_they_were(tiny_folder: Path) -> None:
    stored = function(tiny_folder, truncate_dim=16).safe_model_dump()
    assert stored == {
        "name": str(tiny_folder),
        "device": "cpu:0",
        "truncate_dim": 16,
        "query_instruction": PAPER["query"],
        "source_instruction": PAPER["document"],
    }
    assert get_registry().get("instructor-jax").create(**stored).ndims() == 16


@pytest.mark.usefixtures("unchecked")
def test_wrong_input_is_told_at_once(tiny_folder: Path) -> None:
    with pytest.raises(ValueError, match="quantize=True is PyTorch's"):
        function(tiny_folder, quantize=True)
    with pytest.raises(ValueError, match="text 0 is 3"):
        function(tiny_folder).compute_source_embeddings_with_retry([3])
