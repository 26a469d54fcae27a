"""`InstructorDocumentEmbedder`: embeds documents under an instruction."""

import dataclasses
from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.utils import ComponentDevice, Secret

from haystack_integrations.components.embedders.instructor_jax.settings import HUB_TOKEN, ModelSettings
from instructor_jax.integrations.two_sided import beside_the_loop


@component
class InstructorDocumentEmbedder:
    """Embeds documents; each comes back as a copy with its vector. The model is loaded by `warm_up`, or the first run.

    Args:
        model: a folder, a name on the hub, or "default" for the package's small English model.
        device: where to compute; all of JAX's devices if None.
        token: the hub's, for private models.
        instruction: instruction of the documents; None for the model's own for documents, "" for none.
        batch_size: most texts in one call of the device; None lets the number of tokens decide, which is faster.
        progress_bar: a bar over the texts.
        normalize_embeddings: unit length also for models without a normalising module.
        meta_fields_to_embed: fields of a document's meta that are written before its content.
        embedding_separator: stands between them.
        truncate_dim: dimensions that are kept.
        model_kwargs: further options of `instructor_jax.INSTRUCTOR`, such as dtype, revision, max_length.

    Raises:
        ValueError: a wrong option.
    """

    def __init__(
        self,
        model: str = "hkunlp/instructor-base",
        device: "ComponentDevice | str | None" = None,
        token: "Secret | None" = HUB_TOKEN,
        instruction: str | None = None,
        batch_size: int | None = None,
        progress_bar: bool = True,
        normalize_embeddings: bool = False,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
        truncate_dim: int | None = None,
        model_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self._settings = ModelSettings(
            model, device, token, batch_size, progress_bar, normalize_embeddings, truncate_dim, model_kwargs
        )
        self._embedder = self._settings.embedder(document_instruction=instruction)
        self.meta_fields_to_embed = meta_fields_to_embed or []
        self.embedding_separator = embedding_separator

    def to_dict(self) -> dict[str, Any]:
        """Returns the component as Haystack's pipelines write it."""
        return default_to_dict(
            self,
            **vars(self._settings),
            instruction=self._embedder.document_instruction,
            meta_fields_to_embed=self.meta_fields_to_embed,
            embedding_separator=self.embedding_separator,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "InstructorDocumentEmbedder":
        """Makes the component that `to_dict` described."""
        return default_from_dict(cls, data)

    def warm_up(self) -> None:
        """Loads the model, unless it is loaded.

        Raises:
            ValueError: no such model, or an option that cannot be obeyed.
            OSError: the hub does not know it or cannot be reached.
        """
        _ = self._embedder.model

    async def warm_up_async(self) -> None:
        """Loads the model in a thread; the event loop goes on meanwhile."""
        await beside_the_loop(self.warm_up)

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Embeds documents.

        Returns:
            "documents", copies with their vectors, and "meta" with the model and the instruction.

        Raises:
            TypeError: it is no list of documents.
        """
        return self._answer(_checked(documents))

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    async def run_async(self, documents: list[Document]) -> dict[str, Any]:
        """Embeds documents in a thread; the event loop goes on meanwhile."""
        return await beside_the_loop(self._answer, _checked(documents))

    def _answer(self, documents: list[Document]) -> dict[str, Any]:
        vectors = self._embedder.vectors([self._text(document) for document in documents], "document").tolist()
        return {
            "documents": [
                dataclasses.replace(document, embedding=vector)
                for document, vector in zip(documents, vectors, strict=True)
            ],
            "meta": {"model": self._settings.model, "instruction": self._embedder.instruction("document")},
        }

    def _text(self, document: Document) -> str:
        values = (document.meta.get(name) for name in self.meta_fields_to_embed)
        parts = [str(value) for value in values if value is not None]
        return self.embedding_separator.join([*parts, document.content or ""])


def _checked(documents: Any) -> list[Document]:
    if not isinstance(documents, list) or not all(isinstance(document, Document) for document in documents):
        raise TypeError(
            f"InstructorDocumentEmbedder embeds a list of Documents, not {_kind(documents)}; for a query take "
            "InstructorTextEmbedder."
        )
    return documents


def _kind(value: Any) -> str:
    if not isinstance(value, list):
        return f"a {type(value).__name__}"
    other = next(item for item in value if not isinstance(item, Document))
    return f"a list with a {type(other).__name__}"
