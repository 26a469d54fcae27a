"""LlamaIndex: `InstructorEmbedding`, with the fields of llama-index-embeddings-instructor's class of that name."""

from typing import Any

from instructor_jax.integrations.extras import absent
from instructor_jax.integrations.instruction_sides import given_instruction
from instructor_jax.integrations.two_sided import TwoSidedEmbedder

try:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import Field, PrivateAttr, field_validator
except ImportError as error:
    raise absent("llama-index-core", "llama-index") from error


class InstructorEmbedding(BaseEmbedding):
    """Embeds queries under one instruction and the texts of nodes under another.

    The model is loaded when the object is made; the two instructions are then what they turned out to be, so that
    `to_dict` and `to_json` hold them. A pickled object loads the model by its name where it is unpickled.

    Attributes:
        model_name: A folder, a name on the hub, or "default" for the package's small English model.
        query_instruction: Instruction of queries; None for the model's own, "" for none.
        text_instruction: Instruction of the texts that are indexed, likewise.
        cache_folder: The hub's cache; its own default otherwise.
        device: Where to compute, as "cpu" or "cuda:1"; all of JAX's devices otherwise.
        model_kwargs: Further options of `instructor_jax.INSTRUCTOR`, such as dtype, revision, max_length.
        encode_kwargs: Options of its `encode`: batch_size, normalize_embeddings, truncate_dim, on_overflow.
        embed_batch_size: Texts that LlamaIndex hands over at once; tokens, not texts, decide the device calls.
    """

    model_name: str = "hkunlp/instructor-base"
    query_instruction: str | None = None
    text_instruction: str | None = None
    cache_folder: str | None = None
    device: str | None = None
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    encode_kwargs: dict[str, Any] = Field(default_factory=dict)
    embed_batch_size: int = Field(default=1024, gt=0, le=2048)
    _embedder: TwoSidedEmbedder = PrivateAttr()

    @field_validator("query_instruction", "text_instruction", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return given_instruction("instruction", value)

    def model_post_init(self, context: Any) -> None:
        """Loads the model.

        Raises:
            ValueError: no such model, or an option that cannot be obeyed.
            OSError: the hub does not know it or cannot be reached.
        """
        super().model_post_init(context)
        own = {"cache_folder": self.cache_folder, "device": self.device}
        given = {name: value for name, value in own.items() if value is not None}
        self._embedder = TwoSidedEmbedder(
            self.model_name,
            self.query_instruction,
            self.text_instruction,
            {**given, **self.model_kwargs},
            self.encode_kwargs,
        )
        self.query_instruction = self._embedder.instruction("query")
        self.text_instruction = self._embedder.instruction("document")

    @classmethod
    def class_name(cls) -> str:
        """Returns the name under which LlamaIndex files the class; that of the older one."""
        return "InstructorEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._now().vectors([query], "query")[0].tolist()

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return (await self._now().vectors_beside([query], "query"))[0].tolist()

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._now().vectors(texts, "document").tolist()

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return (await self._now().vectors_beside(texts, "document")).tolist()

    def _now(self) -> TwoSidedEmbedder:
        """Returns the embedder with the instructions of this moment: users set fields after construction."""
        embedder = self._embedder
        embedder.query_instruction = given_instruction("query_instruction", self.query_instruction)
        embedder.document_instruction = given_instruction("text_instruction", self.text_instruction)
        return embedder
