"""Which instruction each text gets: its own, the call's, or one of the folder's named prompts."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from instructor_jax.folders import ModelFolder
from instructor_jax.tokenization import Pair, as_pairs


def resolve_pairs(
    sentences: Sequence[Any] | np.ndarray,
    folder: ModelFolder,
    instruction: str | None = None,
    prompt_name: str | None = None,
    prompt: str | None = None,
    first: int = 0,
) -> list[Pair]:
    """(instruction, text) pairs from what `encode` was given.

    Args:
        sentences: strings, or pairs that bring their own instruction.
        folder: the model's named prompts; its default serves plain strings when nothing else is said.
        instruction: for plain strings.
        prompt_name: the same, by name.
        prompt: the same, under sentence-transformers' name.
        first: index of the first of them among the caller's, for messages.

    Raises:
        ValueError: more than one is given, the name is unknown, or an element is wrong (with its index).
    """
    given = [value for value in (instruction, prompt_name, prompt) if value is not None]
    if len(given) > 1:
        raise ValueError("give one of instruction, prompt and prompt_name, not several.")
    if given and not isinstance(given[0], str):
        raise ValueError(f"the instruction must be a string, not {given[0]!r}; an Instruction becomes one by str().")
    if prompt_name is not None and prompt_name not in folder.prompts:
        known = ", ".join(map(repr, folder.prompts)) or "none"
        raise ValueError(f"prompt_name={prompt_name!r} is not in the model's prompts; it has {known}.")
    if not isinstance(sentences, Sequence | np.ndarray):
        raise ValueError(f"sentences must be a list, not a {type(sentences).__name__}; see encode_stream.")
    if prompt_name is not None:
        return as_pairs(sentences, folder.prompts[prompt_name], first)
    if given:
        return as_pairs(sentences, given[0], first)
    if folder.default_prompt_name and all(isinstance(item, str) for item in sentences):
        return as_pairs(sentences, folder.prompts[folder.default_prompt_name], first)
    return as_pairs(sentences, None, first)
