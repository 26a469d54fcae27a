"""Chroma: `InstructorEmbeddingFunction`, stored with a collection by its settings.

Import this module before a collection is opened again: the import is what makes Chroma know the name that it stored.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from instructor_jax.arguments import unknown_keywords
from instructor_jax.integrations.extras import absent
from instructor_jax.integrations.two_sided import TwoSidedEmbedder
from instructor_jax.io.printable import shown

try:
    from chromadb.api.types import Documents, EmbeddingFunction, Space
    from chromadb.utils.embedding_functions import register_embedding_function
except ImportError as error:
    raise absent("chromadb", "chroma") from error

_LOADING = ("device", "cache_folder", "revision", "dtype", "max_length")
_ENCODING = ("truncate_dim", "normalize_embeddings")
_SETTINGS = ("model_name", "query_instruction", "document_instruction", *_LOADING, *_ENCODING)
# What the vectors of a collection were made with: another value would compare unlike vectors.
_FIXED = ("document_instruction", *_ENCODING)


@register_embedding_function
class InstructorEmbeddingFunction(EmbeddingFunction[Documents]):
    """Embeds what is added under one instruction and what is asked for under another.

    The model is loaded at its first use. The instructions are stored with the collection, so that it is asked in the
    same way after the model's own or this package's have changed.

    Args:
        model_name: a folder, a name on the hub, or "default" for the package's small English model.
        device: where to compute, as "cpu" or "cuda:1"; all of JAX's devices if None.
        instruction: one instruction for both sides, as Chroma's own class has it; instead of the next two.
        query_instruction: instruction of queries; None for the model's own, "" for none.
        document_instruction: instruction of documents, likewise.
        options: cache_folder, revision, dtype, max_length of `instructor_jax.INSTRUCTOR`; truncate_dim and
            normalize_embeddings of its `encode`.

    Raises:
        ValueError: a wrong option or combination.
    """

    def __init__(
        self,
        model_name: str = "hkunlp/instructor-base",
        device: str | None = None,
        instruction: Any = None,
        *,
        query_instruction: Any = None,
        document_instruction: Any = None,
        **options: Any,
    ) -> None:
        unknown_keywords("InstructorEmbeddingFunction", options, (*_LOADING, *_ENCODING))
        if instruction is not None:
            if query_instruction is not None or document_instruction is not None:
                raise ValueError(
                    f"instruction={shown(instruction)} is that of both sides; give it alone, or query_instruction and "
                    "document_instruction."
                )
            query_instruction = document_instruction = instruction
        given = {"device": device, **options}
        self._given = {name: value for name, value in given.items() if value is not None}
        self._embedder = TwoSidedEmbedder(
            model_name,
            query_instruction,
            document_instruction,
            {name: value for name, value in self._given.items() if name in _LOADING},
            {name: value for name, value in self._given.items() if name in _ENCODING},
        )

    def __call__(self, input: Documents) -> list[Any]:
        """Embeds documents: a float32 vector for each.

        Raises:
            ValueError: an input is no string.
        """
        return self._vectors(input, "document")

    def embed_query(self, input: Documents) -> list[Any]:
        """Embeds queries: a float32 vector for each."""
        return self._vectors(input, "query")

    def _vectors(self, texts: Sequence[Any], side: Any) -> list[Any]:
        return list(np.asarray(self._embedder.vectors(texts, side), np.float32))

    @staticmethod
    def name() -> str:
        """Returns the name that Chroma stores; its own class has "instructor"."""
        return "instructor_jax"

    def default_space(self) -> Space:
        """Returns the measure of new collections: the cosine."""
        return "cosine"

    def supported_spaces(self) -> list[Space]:
        """Returns the measures that make sense of the vectors."""
        return ["cosine", "l2", "ip"]

    def get_config(self) -> dict[str, Any]:
        """Returns what Chroma stores: the settings, with the instructions as they are read."""
        own = self._embedder
        known = own.query_instruction, own.document_instruction
        query, document = (
            known if None not in known else (own.instruction("query"), own.instruction("document"))  # loads the model
        )
        instructions = {"query_instruction": query, "document_instruction": document}
        return {"model_name": str(own.model_name), **instructions, **self._given}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> "InstructorEmbeddingFunction":
        """Makes the function that `get_config` described.

        Raises:
            ValueError: the configuration is none of ours.
        """
        InstructorEmbeddingFunction.validate_config(config)
        return InstructorEmbeddingFunction(**config)

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Checks a stored configuration; nothing is loaded.

        Raises:
            ValueError: it has an unknown setting, or a value of a wrong kind.
        """
        if not isinstance(config, Mapping):
            raise ValueError(f"the configuration {shown(config)} must be a dictionary.")
        unknown_keywords("the configuration of instructor_jax", config, _SETTINGS)
        for name in ("model_name", "query_instruction", "document_instruction"):
            if not isinstance(config.get(name), str):
                raise ValueError(f"the configuration's {name}={shown(config.get(name))} must be a string.")

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        """Refuses a change after which new vectors would not belong to the stored ones. A model's folder may move.

        Raises:
            ValueError: the change is one.
        """
        for name in _FIXED:
            if name in new_config and old_config.get(name) != new_config[name]:
                raise ValueError(
                    f"{name} was {shown(old_config.get(name))} when the collection was filled and cannot become "
                    f"{shown(new_config[name])}; fill a new collection."
                )
