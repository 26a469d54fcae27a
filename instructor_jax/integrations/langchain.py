"""LangChain: `InstructorEmbeddings`, with the fields of langchain-community's `HuggingFaceInstructEmbeddings`."""

from typing import Any

from instructor_jax.integrations.extras import absent
from instructor_jax.integrations.instruction_sides import given_instruction
from instructor_jax.integrations.two_sided import TwoSidedEmbedder

try:
    from langchain_core.embeddings import Embeddings
    from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator
except ImportError as error:
    raise absent("langchain-core", "langchain") from error


class InstructorEmbeddings(BaseModel, Embeddings):
    """Embeds queries under one instruction and documents under another.

    The model is loaded when the object is made. The two instructions are then what they turned out to be, so that a
    dump of the object holds them.

    Attributes:
        model_name: A folder, a name on the hub, or "default" for the package's small English model.
        cache_folder: The hub's cache; its own default otherwise.
        model_kwargs: Options of `instructor_jax.INSTRUCTOR`, such as device, dtype, revision, token, max_length.
        encode_kwargs: Options of its `encode`: batch_size, normalize_embeddings, truncate_dim, precision, on_overflow.
        embed_instruction: Instruction of documents; None for the model's own, "" for none.
        query_instruction: Instruction of queries, likewise.
        show_progress: A bar over the texts.
    """

    model_name: str = "hkunlp/instructor-large"
    cache_folder: str | None = None
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    encode_kwargs: dict[str, Any] = Field(default_factory=dict)
    embed_instruction: str | None = None
    query_instruction: str | None = None
    show_progress: bool = False
    _embedder: TwoSidedEmbedder = PrivateAttr()

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    @field_validator("embed_instruction", "query_instruction", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return given_instruction("instruction", value)

    def model_post_init(self, context: Any) -> None:
        """Loads the model.

        Raises:
            ValueError: no such model, or an option that cannot be obeyed.
            OSError: the hub does not know it or cannot be reached.
        """
        progress = self.encode_kwargs.get("show_progress_bar", self.show_progress)
        cache = {} if self.cache_folder is None else {"cache_folder": self.cache_folder}
        embedder = TwoSidedEmbedder(
            self.model_name,
            self.query_instruction,
            self.embed_instruction,
            {**cache, **self.model_kwargs},
            {**self.encode_kwargs, "show_progress_bar": progress},
        )
        self.query_instruction, self.embed_instruction = embedder.instruction("query"), embedder.instruction("document")
        self._embedder = embedder

    @property
    def client(self) -> Any:
        """The loaded `INSTRUCTOR`; weights are shared with others of its name and options, its settings are not."""
        return self._embedder.model

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embeds documents under `embed_instruction`: [texts][dim].

        Raises:
            ValueError: a single string, or a text that is no string (with its index).
        """
        return self._now().vectors(texts, "document").tolist()

    def embed_query(self, text: str) -> list[float]:
        """Embeds a query under `query_instruction`: [dim]."""
        return self._now().vectors([text], "query")[0].tolist()

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embeds documents in a thread; the event loop goes on meanwhile."""
        return (await self._now().vectors_beside(texts, "document")).tolist()

    async def aembed_query(self, text: str) -> list[float]:
        """Embeds a query in a thread; the event loop goes on meanwhile."""
        return (await self._now().vectors_beside([text], "query"))[0].tolist()

    def _now(self) -> TwoSidedEmbedder:
        """Returns the embedder with the instructions of this moment: users set fields after construction."""
        embedder = self._embedder
        embedder.query_instruction = given_instruction("query_instruction", self.query_instruction)
        embedder.document_instruction = given_instruction("embed_instruction", self.embed_instruction)
        return embedder
