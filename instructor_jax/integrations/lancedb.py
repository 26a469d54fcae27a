"""LanceDB: the embedding function "instructor-jax", with the fields of LanceDB's own "instructor".

Import this module before a table is opened again: the import is what makes LanceDB know the name that it stored.
"""

from typing import Any

import numpy as np

from instructor_jax.integrations.extras import absent
from instructor_jax.integrations.instruction_sides import Side, given_instruction
from instructor_jax.integrations.two_sided import TwoSidedEmbedder

try:
    from lancedb.embeddings import TextEmbeddingFunction, register
    from pydantic import PrivateAttr, field_validator
except ImportError as error:
    raise absent("lancedb", "lancedb") from error


@register("instructor-jax")
class InstructorFunction(TextEmbeddingFunction):
    """Embeds a table's source column under one instruction and queries under another.

    Make one with `get_registry().get("instructor-jax").create(...)`. The model is loaded at its first use. The
    instructions are stored with the table as they are read. Missing texts get no vector.

    Attributes:
        name: A folder, a name on the hub, or "default" for the package's small English model.
        batch_size: Most texts in one call of the device; None lets the number of tokens decide.
        device: Where to compute, as "cpu" or "cuda:1"; all of JAX's devices if None.
        show_progress_bar: A bar over the texts.
        normalize_embeddings: Unit length also for models without a normalising module.
        quantize: PyTorch's quantisation is not offered; True is refused.
        source_instruction: Instruction of the source column; None for the model's own, "" for none.
        query_instruction: Instruction of queries, likewise.
        dtype: Type of weights and computation, "float32" or "bfloat16".
        revision: Branch, tag or commit on the hub.
        max_length: Most tokens of instruction and text.
        truncate_dim: Dimensions that are kept.
        max_retries: LanceDB's field; nothing is tried again.
    """

    name: str = "hkunlp/instructor-base"
    batch_size: int | None = None
    device: str | None = None
    show_progress_bar: bool = False
    normalize_embeddings: bool = True
    quantize: bool = False
    source_instruction: str | None = None
    query_instruction: str | None = None
    dtype: str | None = None
    revision: str | None = None
    max_length: int | None = None
    truncate_dim: int | None = None
    max_retries: int = 0
    _embedder: TwoSidedEmbedder = PrivateAttr()

    @field_validator("source_instruction", "query_instruction", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return given_instruction("instruction", value)

    @field_validator("quantize")
    @classmethod
    def _no_quantization(cls, value: bool) -> bool:
        if value:
            raise ValueError("quantize=True is PyTorch's and not offered; give dtype='bfloat16', or leave it out.")
        return value

    def model_post_init(self, context: Any) -> None:
        """Checks the options; the model is loaded later."""
        super().model_post_init(context)
        self._embedder = TwoSidedEmbedder(
            self.name,
            self.query_instruction,
            self.source_instruction,
            {name: getattr(self, name) for name in ("device", "dtype", "revision", "max_length")},
            {
                name: getattr(self, name)
                for name in ("batch_size", "show_progress_bar", "normalize_embeddings", "truncate_dim")
            },
        )

    def ndims(self) -> int:
        """Returns the size of the vectors."""
        return self._embedder.dimension

    def compute_query_embeddings(self, query: str, *args: Any, **kwargs: Any) -> list[np.ndarray | None]:
        """Embeds a query under `query_instruction`: one vector."""
        return self._vectors([query], "query")

    def compute_source_embeddings(self, texts: Any, *args: Any, **kwargs: Any) -> list[np.ndarray | None]:
        """Embeds texts of the source column under `source_instruction`; None for those that are missing."""
        return self._vectors(self.sanitize_input(texts), "document")

    def compute_query_embeddings_with_retry(self, *args: Any, **kwargs: Any) -> list[np.ndarray | None]:
        """Embeds a query, once: what fails here fails again, and LanceDB would wait and hide the reason."""
        return self.compute_query_embeddings(*args, **kwargs)

    def compute_source_embeddings_with_retry(self, *args: Any, **kwargs: Any) -> list[np.ndarray | None]:
        """Embeds texts of the source column, once, likewise."""
        return self.compute_source_embeddings(*args, **kwargs)

    def generate_embeddings(self, texts: Any, *args: Any, **kwargs: Any) -> list[np.ndarray | None]:
        """Embeds texts of the source column."""
        return self._vectors(texts, "document")

    def safe_model_dump(self) -> dict[str, Any]:
        """Returns what LanceDB stores with the table: the arguments, with the instructions as they are read."""
        instructions = {
            "source_instruction": self._embedder.instruction("document"),
            "query_instruction": self._embedder.instruction("query"),
        }
        return {**super().safe_model_dump(), **instructions}

    def _vectors(self, texts: Any, side: Side) -> list[np.ndarray | None]:
        present = [text for text in texts if text is not None]
        vectors = iter(self._embedder.vectors(present, side))
        return [None if text is None else next(vectors) for text in texts]
