"""The settings of sentence-transformers' class: length, dimensions, prompts, and how vectors are compared.

They are properties that may be set at any time; what they change is the folder's record in this process, not its files.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from instructor_jax.arguments import flag, optional_text, whole_number
from instructor_jax.drop_in.host import Host
from instructor_jax.inference.similarity import Measure, as_rows, measure_name, pairwise_similarities, similarities
from instructor_jax.inference.torch_tensors import as_tensor
from instructor_jax.io.bounds import SIZE
from instructor_jax.io.printable import shown


class ModelSettings(Host):
    """What may be set on a model of sentence-transformers, and `similarity`, which follows from it."""

    _truncate_dim: int | None = None

    # --- length and size -------------------------------------------------------------------------------------------

    @property
    def max_seq_length(self) -> int:
        """Most tokens of instruction and text together; may be set, also above the folder's own limit."""
        return self.folder.config.max_length

    @max_seq_length.setter
    def max_seq_length(self, value: Any) -> None:
        """Sets the limit in tokens."""
        self._reconfigure(max_length=whole_number("max_seq_length", value, 2, SIZE))

    def get_max_seq_length(self) -> int:
        """The older name of `max_seq_length`."""
        return self.max_seq_length

    @property
    def truncate_dim(self) -> int | None:
        """Dimensions that `encode` keeps where its own `truncate_dim` is None; may be set."""
        return self._truncate_dim

    @truncate_dim.setter
    def truncate_dim(self, value: Any) -> None:
        """Sets how many dimensions are kept; None keeps all."""
        dimensions = self.folder.config.embedding_dim
        self._truncate_dim = None if value is None else whole_number("truncate_dim", value, 1, dimensions)

    @contextlib.contextmanager
    def truncate_embeddings(self, truncate_dim: int | None) -> Iterator[None]:
        """Within this context `encode` keeps that many dimensions."""
        before = self.truncate_dim
        self.truncate_dim = truncate_dim
        try:
            yield
        finally:
            self._truncate_dim = before

    truncate_sentence_embeddings = truncate_embeddings

    def get_embedding_dimension(self) -> int:
        """Size of the vectors, of what `truncate_dim` leaves where that is set."""
        return self._truncate_dim or self.folder.config.embedding_dim

    get_sentence_embedding_dimension = get_embedding_dimension

    # --- prompts ---------------------------------------------------------------------------------------------------

    @property
    def prompts(self) -> dict[str, str]:
        """The model's named instructions; may be set and changed."""
        return self.folder.prompts

    @prompts.setter
    def prompts(self, value: Any) -> None:
        """Replaces the named instructions."""
        if not isinstance(value, dict) or not all(isinstance(part, str) for item in value.items() for part in item):
            raise ValueError(f"prompts={shown(value)} must be a dictionary of strings: a name for each instruction.")
        self.folder = dataclasses.replace(self.folder, prompts=dict(value))

    @property
    def default_prompt_name(self) -> str | None:
        """The name of the instruction of plain strings where none is given; may be set."""
        return self.folder.default_prompt_name

    @default_prompt_name.setter
    def default_prompt_name(self, value: Any) -> None:
        """Chooses one of the prompts, or none."""
        name = optional_text("default_prompt_name", value)
        if name is not None and name not in self.folder.prompts:
            known = ", ".join(map(repr, self.folder.prompts)) or "none"
            raise ValueError(f"default_prompt_name={shown(name)} is not in the model's prompts; it has {known}.")
        self.folder = dataclasses.replace(self.folder, default_prompt_name=name)

    def set_pooling_include_prompt(self, include_prompt: bool) -> None:
        """Whether the instruction's tokens are part of the mean; False is right for INSTRUCTOR models."""
        self._reconfigure(pool_instruction=flag("include_prompt", include_prompt))

    # --- similarity ------------------------------------------------------------------------------------------------

    @property
    def similarity_fn_name(self) -> Measure:
        """What `similarity` computes: "cosine", "dot", "euclidean" or "manhattan"; may be set."""
        return measure_name(self.folder.similarity_fn_name)

    @similarity_fn_name.setter
    def similarity_fn_name(self, value: Any) -> None:
        """Chooses the measure."""
        self.folder = dataclasses.replace(self.folder, similarity_fn_name=measure_name(value))

    def similarity(self, first: Any, second: Any) -> Any:
        """Every vector of the first array with every one of the second, by `similarity_fn_name`.

        Args:
            first: [n, dim], or [dim] for a single vector, as array, tensor or list of vectors.
            second: [m, dim], or [dim].

        Returns:
            [n, m], the greater the more alike; a torch tensor where the vectors were.

        Raises:
            ValueError: they are no vectors of one length.
        """
        return self._scores(similarities, first, second)

    def similarity_pairwise(self, first: Any, second: Any) -> Any:
        """The first vector of one array with the first of the other, and so on: [n]; else as `similarity`."""
        return self._scores(pairwise_similarities, first, second)

    def _scores(self, function: Any, first: Any, second: Any) -> Any:
        rows, others = as_rows("first", first), as_rows("second", second)
        if rows.shape[1] != others.shape[1] or (function is pairwise_similarities and len(rows) != len(others)):
            raise ValueError(f"vectors of the shapes {rows.shape} and {others.shape} do not belong together.")
        scores = function(self.similarity_fn_name, rows, others)
        tensors = [
            one
            for vectors in (first, second)
            for one in (vectors[:1] if isinstance(vectors, list | tuple) else [vectors])
            if hasattr(one, "detach")
        ]
        if not tensors:
            return scores
        return as_tensor(scores, tensors[0].device)
