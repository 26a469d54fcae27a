"""`TwoSidedEmbedder`: what every adapter is made of. Queries under one instruction, documents under another."""

import asyncio
import contextvars
import dataclasses
import functools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Shaped

from instructor_jax.arguments import flag, unknown_keywords
from instructor_jax.integrations.instruction_sides import Side, given_instruction, side_instruction
from instructor_jax.integrations.shared_models import loading_options, shared_model
from instructor_jax.io.printable import shown

# Options of `encode` that an adapter passes on. Those without a meaning here are what older code hands to PyTorch.
_ENCODING = ("batch_size", "normalize_embeddings", "on_overflow", "precision", "show_progress_bar", "truncate_dim")
_NO_MEANING = ("convert_to_numpy", "convert_to_tensor", "device")
Result = TypeVar("Result")


@dataclasses.dataclass
class TwoSidedEmbedder:
    """A model with an instruction for queries and one for documents; loaded at its first use, pickled without weights.

    Attributes:
        model_name: A folder, a name on the hub, or "default" for the packaged model.
        query_instruction: Instruction of queries; None for the model's own, "" for none.
        document_instruction: Instruction of documents, likewise.
        loading: Options of `INSTRUCTOR`, such as device, dtype, revision, cache_folder.
        encoding: Options of `encode`, such as batch_size, normalize_embeddings, truncate_dim.
    """

    model_name: Any
    query_instruction: Any = None
    document_instruction: Any = None
    loading: Any = None
    encoding: Any = None

    def __post_init__(self) -> None:
        self.query_instruction = given_instruction("query_instruction", self.query_instruction)
        self.document_instruction = given_instruction("document_instruction", self.document_instruction)
        self.loading = loading_options("model_kwargs", self.loading)
        self.encoding = _encoding_options(self.encoding)
        self._models: tuple[Any, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Returns the settings; the receiving process loads the model by its name."""
        return {**self.__dict__, "_models": None}

    @property
    def model(self) -> Any:
        """The model, an `instructor_jax.INSTRUCTOR`; loaded here, the first time."""
        if self._models is None:
            self._models = shared_model(self.model_name, self.loading)
        return self._models[0]

    @property
    def dimension(self) -> int:
        """Size of the vectors."""
        return self.encoding.get("truncate_dim") or self.model.get_embedding_dimension()

    def instruction(self, side: Side) -> str:
        """Returns the instruction that a side's texts are read under."""
        given = self.query_instruction if side == "query" else self.document_instruction
        return side_instruction(side, given, self.model.folder, str(self.model_name))

    def vectors(self, texts: Any, side: Side) -> Shaped[np.ndarray, "texts dim"]:
        """Returns the vectors of some queries or documents, one row each.

        Args:
            texts: strings, in any collection with an order.
            side: which they are.

        Raises:
            ValueError: a single string instead of a list, or a text that is no string (with its index).
        """
        if isinstance(texts, str):
            raise ValueError(f"texts={shown(texts)} is a single string; put it into a list.")
        texts = list(texts)
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(
                    f"text {index} is {shown(text)}, a {type(text).__name__}; every text must be a string."
                )
        return self.model.encode(texts, instruction=self.instruction(side), **self.encoding)

    async def vectors_beside(self, texts: Any, side: Side) -> Shaped[np.ndarray, "texts dim"]:
        """Returns the same, computed in a thread, so that the event loop goes on with other work."""
        return await beside_the_loop(self.vectors, texts, side)


async def beside_the_loop(function: Callable[..., Result], *arguments: Any) -> Result:
    """Returns what a function returns, computed in one of two threads of our own.

    The loop's own threads stay free: a burst of queries would hold them all, and with them every name look-up.
    """
    call = functools.partial(contextvars.copy_context().run, function, *arguments)
    return await asyncio.get_running_loop().run_in_executor(_threads(), call)


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="instructor-jax-embed")


def _encoding_options(options: Any) -> dict[str, Any]:
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise ValueError(f"encode_kwargs={shown(options)} must be a dictionary, not a {type(options).__name__}.")
    for name in ("instruction", "prompt", "prompt_name"):
        if name in options:
            raise ValueError(
                f"encode_kwargs has {name!r}, which would hold for queries and documents alike; give each its own, as "
                "query_instruction and as the adapter's instruction of documents."
            )
    unknown_keywords("encode_kwargs", options, (*_ENCODING, *_NO_MEANING))
    flag("show_progress_bar", options.get("show_progress_bar"))
    kept = {name: value for name, value in options.items() if name in _ENCODING and value is not None}
    return {"show_progress_bar": False, **kept}
