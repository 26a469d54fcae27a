"""The adapter: published strings reach the model verbatim, switches bite, its search finds what MTEB's does."""

import csv
import logging
from typing import Any, cast

import numpy as np
import pytest

from instructor_jax.evaluation.protocol import Protocol, published
from instructor_jax.evaluation.task_instructions import InstructionTable, packaged_instructions

from ..known_vectors import KnownVectors, table_of
from ..toy_tasks import clustering, retrieval_data, sentence, toy_task

pytest.importorskip("mteb")
pytestmark = pytest.mark.torch

TEXT = "some text"
COLUMNS = {"large": "exact", "base": "exact_base", "xl": "exact_xl"}


def encoder(embedder, table, protocol=None, **options):
    from instructor_jax.evaluation.mteb.encoder import MtebEncoder

    return MtebEncoder(embedder, table, protocol or Protocol(), **options)


def prompt_types(side):
    """How MTEB asks for a side: STS, classification and the like have no prompt type, queries and documents have."""
    from mteb.types import PromptType

    return {"both": [None], "query": [PromptType.query], "corpus": [PromptType.document]}[side]


@pytest.mark.parametrize("size", COLUMNS)
def test_the_published_strings_reach_the_encoder_verbatim_for_all_97_rows(shared, size):
    import mteb

    path = shared / "reference" / "published_instructions.csv"
    with open(path, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["benchmark"] == "mteb"]
    assert len(rows) == 97
    table = InstructionTable(packaged_instructions(), "packaged").overridden_by(path, size)
    embedder = KnownVectors()
    adapter = encoder(embedder, table)
    for row in rows:
        metadata = mteb.get_task(row["task"]).metadata
        for prompt_type in prompt_types(row["side"]):
            adapter.encode(
                [{"text": [TEXT]}],
                task_metadata=metadata,
                hf_split="test",
                hf_subset="default",
                prompt_type=prompt_type,
            )
            assert embedder.seen[-1] == (row[COLUMNS[size]], TEXT)
    assert len(embedder.seen) == 97


def test_mtebs_own_prompts_accept_the_table_and_choose_the_same_strings(shared):
    import mteb
    from mteb.models.abs_encoder import AbsEncoder, get_prompt_name
    from mteb.types import PromptType

    path = shared / "reference" / "published_instructions.csv"
    table = InstructionTable(packaged_instructions(), "packaged").overridden_by(path)
    with open(path, encoding="utf-8", newline="") as file:
        names = list(dict.fromkeys(row["task"] for row in csv.DictReader(file) if row["benchmark"] == "mteb"))
    assert len(names) == 67
    prompts = {f"{task}-{side.value}": table.of(task, side.value) for task in names for side in PromptType}
    prompts |= {task: table.of(task, "query") for task in names}
    assert AbsEncoder.validate_task_to_prompt_name(prompts) == prompts
    adapter = encoder(KnownVectors(), table)
    for task in names:
        metadata = mteb.get_task(task).metadata
        for prompt_type in (*PromptType, None):
            key = get_prompt_name(prompts, metadata, prompt_type)
            side = "document" if prompt_type is PromptType.document else "query"
            assert key is not None
            assert adapter.instruction(metadata, side) == prompts[key]


def test_the_published_protocol_gives_no_instruction_to_retrieval_documents_only():
    import mteb

    table = table_of("SciFact", "SciDocsRR")
    adapter = encoder(KnownVectors(), table, published())
    retrieval, reranking = (mteb.get_task(name).metadata for name in ("SciFact", "SciDocsRR"))
    assert adapter.instruction(retrieval, "document") == ""
    assert adapter.instruction(retrieval, "query") == "SciFact query: "
    assert adapter.instruction(reranking, "document") == "SciDocsRR document: "
    assert encoder(KnownVectors(), table).instruction(retrieval, "document") == "SciFact document: "


def test_long_texts_to_cluster_lose_their_instruction_under_the_rule_only():
    name = "TwentyNewsgroupsClustering"
    task = clustering()
    texts = [text for row in task.dataset["test"]["sentences"] for text in row]
    for limit, long in ((10, 4), (None, 0)):
        embedder = KnownVectors()
        adapter = encoder(embedder, table_of(name), Protocol(clustering_tokens=limit))
        vectors = adapter.encode_texts(texts, task.metadata, "query")
        # Two words of instruction, then 3 or 30 of text.
        prefixes = ["" if limit and len(text.split()) + 2 > limit else f"{name} query: " for text in texts]
        assert prefixes.count("") == long
        expected = [KnownVectors().encode([text], prefix)[0] for text, prefix in zip(texts, prefixes, strict=True)]
        np.testing.assert_array_equal(vectors, expected)
        assert adapter.without_instruction == ({name: (4, 8)} if limit else {})


def test_the_log_shows_once_per_side_what_is_encoded(caplog):
    import mteb

    adapter = encoder(KnownVectors(), table_of("SciFact"))
    metadata = mteb.get_task("SciFact").metadata
    with caplog.at_level(logging.INFO, logger="instructor_jax"):
        for side in ("query", "document", "query"):
            adapter.encode_texts([f" a {side} ", "another"], metadata, side)
    assert [record.getMessage() for record in caplog.records] == [
        f"SciFact, {side}: instruction 'SciFact {side}: ', first string encoded 'SciFact {side}: a {side}'"
        for side in ("query", "document")
    ]
    assert adapter.encoded == {"SciFact": {side: f"SciFact {side}: a {side}" for side in ("query", "document")}}


@pytest.mark.parametrize("ranked", [False, True])
def test_its_search_finds_what_mtebs_finds_with_the_same_vectors(tmp_path, monkeypatch, ranked):
    from mteb.models import SearchEncoderWrapper
    from mteb.models.abs_encoder import AbsEncoder

    from instructor_jax.evaluation.mteb import corpus_vectors
    from instructor_jax.evaluation.mteb import encoder as mteb_encoder

    class Plain(AbsEncoder):  # without `index` and `search`: MTEB searches
        mteb_model_meta = None

        def encode(self, inputs, **options):
            return adapter.encode(inputs, **options)

    for module in (corpus_vectors, mteb_encoder):
        monkeypatch.setattr(module, "BLOCK", 7)
    name = "SciDocsRR" if ranked else "SciFact"
    split = retrieval_data(ranked=ranked)["default"]["test"]
    adapter = encoder(KnownVectors(), table_of(name), vectors=tmp_path)
    options = {"task_metadata": toy_task(name, {}).metadata, "hf_split": "test", "hf_subset": "default"}
    found = []
    for searcher in (adapter, SearchEncoderWrapper(cast(Any, Plain()))):
        searcher.index(split["corpus"], encode_kwargs={}, num_proc=None, **options)
        found.append(
            searcher.search(
                split["queries"], top_k=5, top_ranked=split["top_ranked"], encode_kwargs={}, num_proc=None, **options
            )
        )
    ours, mtebs = found
    assert set(ours) == set(mtebs)
    for query in ours:
        # float32 dot products of 16 numbers in another order.
        assert ours[query] == pytest.approx(mtebs[query], abs=1e-6)
        assert len(ours[query]) == 5


def test_documents_are_joined_as_mteb_joins_them():
    from mteb._create_dataloaders import create_dataloader
    from mteb.types import PromptType

    from instructor_jax.evaluation.mteb.encoder import document_texts

    corpus = retrieval_data()["default"]["test"]["corpus"]
    metadata = toy_task("SciFact", {}).metadata
    loader = create_dataloader(corpus, task_metadata=metadata, prompt_type=PromptType.document)
    assert list(document_texts(corpus)) == [text for batch in loader for text in batch["text"]]
    assert next(document_texts(corpus)) == f"{sentence(100)}  {sentence(0)}"


def test_searching_without_a_corpus_is_refused():
    with pytest.raises(ValueError, match="index the corpus"):
        encoder(KnownVectors(), table_of("SciFact")).search(
            retrieval_data()["default"]["test"]["queries"], task_metadata=toy_task("SciFact", {}).metadata, top_k=3
        )
