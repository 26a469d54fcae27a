"""An `Embedder` as MTEB wants it: per task and side the right instruction, and a search of its own for retrieval.

MTEB takes an encoder that also has `index` and `search` as a search engine; that hook is what lets a corpus stream
through the encoder block by block, its vectors stay on disk, and the ranking happen on the device.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from instructor_jax.evaluation.embedder import Embedder
from instructor_jax.evaluation.mteb.corpus_vectors import BLOCK, CorpusVectors
from instructor_jax.evaluation.protocol import Protocol
from instructor_jax.evaluation.task_instructions import InstructionTable, Side
from instructor_jax.inference.nearest import nearest
from instructor_jax.inference.quantization import unit_length

try:
    from mteb.models.abs_encoder import AbsEncoder
    from mteb.models.model_meta import ModelMeta, ScoringFunction
except ImportError as error:
    raise ImportError("Evaluation on MTEB's tasks needs mteb: pip install 'instructor-jax[eval]'") from error

logger: logging.Logger = logging.getLogger(__name__)

_SHOWN = 160  # characters of a text in the log; instructions are shown whole


class MtebEncoder(AbsEncoder):
    """What `mteb.evaluate` takes.

    Args:
        embedder: the model.
        table: the instruction of every task that will run.
        protocol: how sides are encoded.
        vectors: folder of corpus vectors; None keeps none.
        experiment: what sets this run apart from the model's default one, for MTEB's own result paths.

    Attributes:
        encoded: First string that was encoded, exactly, by task and side.
        without_instruction: Number of texts that were too long for their instruction, and of all texts, by task.
    """

    def __init__(
        self,
        embedder: Embedder,
        table: InstructionTable,
        protocol: Protocol,
        vectors: Path | None = None,
        experiment: Mapping[str, Any] | None = None,
    ) -> None:
        self.embedder = self.model = embedder
        self.protocol = protocol
        self.mteb_model_meta = model_meta(embedder, experiment)
        self.encoded: dict[str, dict[str, str]] = {}
        self.without_instruction: dict[str, tuple[int, int]] = {}
        self.vectors = CorpusVectors(embedder, vectors)
        self._table = table
        self._corpus: Any = None

    # --- encoding --------------------------------------------------------------------------------------------------

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **kwargs: Any,
    ) -> Float[np.ndarray, "texts dim"]:
        """Encodes a loader of batches {"text": [...]}, as MTEB's `EncoderProtocol` does: one float32 row per text."""
        texts = [text for batch in inputs for text in batch["text"]]
        side: Side = "document" if prompt_type is not None and prompt_type.value == "document" else "query"
        return self.encode_texts(texts, task_metadata, side)

    def encode_texts(self, texts: Sequence[str], task_metadata: Any, side: Side) -> Float[np.ndarray, "texts dim"]:
        """Texts of one side of a task, under the instruction that table and protocol give them."""
        instruction = self.instruction(task_metadata, side)
        limit = self.protocol.clustering_tokens
        if task_metadata.type != "Clustering" or limit is None or not instruction:
            self._show(task_metadata.name, side, instruction, texts)
            return self.embedder.encode(texts, instruction)
        counts = np.asarray(self.embedder.count_tokens(texts, instruction), np.int64)
        long, whole = np.flatnonzero(counts > limit), np.flatnonzero(counts <= limit)
        before = self.without_instruction.get(task_metadata.name, (0, 0))
        self.without_instruction[task_metadata.name] = (before[0] + len(long), before[1] + len(texts))
        vectors = np.empty((len(texts), self.embedder.dimension), np.float32)
        for chosen, prefix in ((whole, instruction), (long, "")):
            some = [texts[row] for row in chosen.tolist()]
            if some:
                self._show(task_metadata.name, side if prefix else f"{side}, more than {limit} tokens", prefix, some)
                vectors[chosen] = self.embedder.encode(some, prefix)
        return vectors

    def instruction(self, task_metadata: Any, side: Side) -> str:
        """Returns the instruction of one side of a task. The published retrieval code gave its documents none."""
        if side == "document" and task_metadata.type == "Retrieval" and not self.protocol.document_instructions:
            return ""
        return self._table.of(task_metadata.name, side)

    def _show(self, task: str, side: str, instruction: str, texts: Sequence[str]) -> None:
        """Logs, once per task and side, the string that goes to the tokenizer."""
        sides = self.encoded.setdefault(task, {})
        if side in sides or not texts:
            return
        sides[side] = joined = (instruction + texts[0].strip()).strip()
        shown = joined if len(texts[0]) <= _SHOWN else f"{joined[: len(instruction) + _SHOWN]}..."
        logger.info("%s, %s: instruction %r, first string encoded %r", task, side, instruction, shown)

    # --- searching -------------------------------------------------------------------------------------------------

    def index(self, corpus: Any, **kwargs: Any) -> None:
        """Keeps the corpus (a `datasets.Dataset`), as MTEB's `SearchProtocol` asks; `search` encodes it."""
        self._corpus = corpus

    def search(
        self,
        queries: Any,
        *,
        task_metadata: Any,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **kwargs: Any,
    ) -> dict[str, dict[str, float]]:
        """Returns for each query id its documents' ids and cosines, as MTEB's `SearchProtocol` asks.

        Args:
            queries: rows with "id" and "text".
            task_metadata: which task it is.
            top_k: how many documents to find for each query.
            top_ranked: the candidates of each query, for reranking; otherwise the whole corpus.
        """
        if self._corpus is None:
            raise ValueError("index the corpus before searching it.")
        ids: list[str] = list(queries["id"])
        vectors = self.encode_texts(query_texts(queries), task_metadata, "query")
        instruction = self.instruction(task_metadata, "document")
        blocks = self._blocks(task_metadata, instruction)
        documents: list[str] = list(self._corpus["id"])
        found = (
            _ranked(ids, vectors, documents, blocks, top_k)
            if top_ranked is None
            else _reranked(ids, vectors, documents, blocks, top_k, top_ranked)
        )
        self._corpus = None
        return found

    def _blocks(self, task_metadata: Any, instruction: str) -> Iterator[Float[np.ndarray, "texts dim"]]:
        texts = document_texts(self._corpus)
        first = next(document_texts(self._corpus.select(range(min(1, len(self._corpus))))), None)
        self._show(task_metadata.name, "document", instruction, [] if first is None else [first])
        return self.vectors.blocks(texts, instruction)


def document_texts(corpus: Any) -> Iterator[str]:
    """Yields title, space and text of each document, stripped, as MTEB joins them; read in batches, never at once."""
    for batch in corpus.iter(batch_size=1024):
        titles = batch.get("title") or [""] * len(batch["text"])
        for title, text in zip(titles, batch["text"], strict=True):
            yield f"{title} {text}".strip() if title else text.strip()


def query_texts(queries: Any) -> list[str]:
    """Returns the texts of queries, each with a blank and its own instruction behind it where it has one, as MTEB has.

    Raises:
        ValueError: a query is no text, as a conversation is not.
    """
    texts = list(queries["text"])
    if any(not isinstance(text, str) for text in texts):
        raise ValueError("its queries are conversations, which are not encoded; only texts are.")
    if "instruction" not in queries.column_names:
        return texts
    return [f"{text} {own}" if own else text for text, own in zip(texts, queries["instruction"], strict=True)]


def _ranked(
    ids: Sequence[str],
    vectors: Float[np.ndarray, "query dim"],
    documents: list[str],
    blocks: Iterator[np.ndarray],
    top_k: int,
) -> dict[str, dict[str, float]]:
    scores, rows = nearest(vectors, blocks, min(top_k, max(len(documents), 1)))
    return {
        query: {documents[row]: score for score, row in zip(own, at, strict=True) if row >= 0}
        for query, own, at in zip(ids, scores.tolist(), rows.tolist(), strict=True)
    }


def _reranked(
    ids: Sequence[str],
    vectors: Float[np.ndarray, "query dim"],
    documents: list[str],
    blocks: Iterator[np.ndarray],
    top_k: int,
    top_ranked: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, float]]:
    kept = list(blocks)  # on disk, unless no vectors are kept
    row_of = {document: row for row, document in enumerate(documents)}
    found = {}
    for query, vector in zip(ids, unit_length(vectors), strict=True):
        candidates = list(top_ranked.get(query, ()))
        rows = [row_of[document] for document in candidates]
        some = np.stack([kept[row // BLOCK][row % BLOCK] for row in rows]) if rows else np.zeros((0, len(vector)))
        cosines = unit_length(some.astype(np.float32)) @ vector
        best = np.argsort(-cosines, kind="stable")[:top_k]
        found[query] = {candidates[place]: float(cosines[place]) for place in best}
    return found


def model_meta(embedder: Embedder, experiment: Mapping[str, Any] | None = None) -> ModelMeta:
    """Returns what MTEB records about the model; what nobody told us is None."""
    return ModelMeta(
        loader=None,
        name=embedder.name,
        revision=embedder.revision,
        release_date=None,
        languages=None,
        n_parameters=embedder.parameters,
        memory_usage_mb=None,
        max_tokens=embedder.max_length,
        embed_dim=embedder.dimension,
        license=None,
        open_weights=None,
        public_training_code=None,
        public_training_data=None,
        framework=["JAX"] if not embedder.name.startswith("sentence-transformers/") else ["Sentence Transformers"],
        similarity_fn_name=ScoringFunction.COSINE,
        use_instructions=True,
        training_datasets=None,
        experiment_kwargs=dict(experiment) if experiment else None,
    )
