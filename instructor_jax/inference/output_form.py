"""What `encode` returns, and in which container: vectors, token states or everything; arrays, lists or tensors."""

import dataclasses
from typing import Any

from instructor_jax.arguments import flag, optional_text
from instructor_jax.inference.torch_tensors import as_tensor, torch_is_installed
from instructor_jax.io.printable import shown
from instructor_jax.text.tokenization import OnOverflow

_OUTPUTS = ("sentence_embedding", "token_embeddings")


@dataclasses.dataclass(frozen=True)
class OutputForm:
    """The output that a caller of `encode` asked for.

    Attributes:
        value: "sentence_embedding", "token_embeddings", or None for a dictionary of all outputs per text.
        numpy: Whether vectors are one array and not a list.
        tensor: Whether arrays are torch tensors.
    """

    value: str | None
    numpy: bool
    tensor: bool

    def contained(self, outputs: Any, single: bool) -> Any:
        """Returns the outputs in their container.

        Args:
            outputs: vectors [texts, dim], or a list of the outputs of each text.
            single: return the output of the only text by itself.

        Raises:
            ImportError: tensors are asked for, and torch is absent.
        """
        if self.value != "sentence_embedding":
            outputs = [_tensors(output) for output in outputs] if self.tensor else outputs
            return outputs[0] if single else outputs
        vectors = outputs[0] if single else outputs
        if self.tensor:
            return as_tensor(vectors)
        if self.numpy or single:
            return vectors
        return [as_tensor(vector) for vector in vectors] if torch_is_installed() else list(vectors)


def output_form(
    output_value: Any, convert_to_numpy: Any, convert_to_tensor: Any, on_overflow: OnOverflow
) -> OutputForm:
    """Returns the form, checked.

    Raises:
        ValueError: an option has a wrong type or value, or the output cannot be had of windows.
    """
    value = optional_text("output_value", output_value)
    if value is not None and value not in _OUTPUTS:
        raise ValueError(
            f"output_value={shown(value)} must be 'sentence_embedding', 'token_embeddings' or None (everything)."
        )
    if value != "sentence_embedding" and on_overflow == "mean_of_windows":
        raise ValueError("on_overflow='mean_of_windows' gives one vector per text, not token embeddings.")
    return OutputForm(value, flag("convert_to_numpy", convert_to_numpy), flag("convert_to_tensor", convert_to_tensor))


def _tensors(output: Any) -> Any:
    """Returns the output of one text with its arrays as tensors."""
    if isinstance(output, dict):
        return {name: as_tensor(array) for name, array in output.items()}
    return as_tensor(output)
