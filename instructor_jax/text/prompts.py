"""Which instruction each text gets: its own, the call's, or one of the folder's named prompts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.text.tokenization import Pair, as_pairs, described_item, shown_text


def resolve_pairs(
    sentences: Any,
    folder: ModelFolder,
    instruction: str | None = None,
    prompt_name: str | None = None,
    prompt: str | None = None,
    first: int = 0,
) -> list[Pair]:
    """(instruction, text) pairs from what `encode` was given.

    Args:
        sentences: strings, or pairs that bring their own instruction, as any collection with an order; see `as_list`.
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
        several = isinstance(given[0], list | tuple)
        cure = (
            "one for each text goes beside it: [[instruction, text], ...]"
            if several
            else "an Instruction becomes one by str()"
        )
        raise ValueError(f"the instruction must be a string, not {described_item(given[0])}; {cure}.")
    if prompt_name is not None and prompt_name not in folder.prompts:
        known = ", ".join(map(shown_text, folder.prompts)) or "none"
        raise ValueError(f"prompt_name={shown_text(prompt_name)} is not in the model's prompts; it has {known[:400]}.")
    texts = as_list(sentences)
    if prompt_name is not None:
        return as_pairs(texts, folder.prompts[prompt_name], first)
    if given:
        return as_pairs(texts, given[0], first)
    if folder.default_prompt_name and all(isinstance(item, str) for item in texts):
        return as_pairs(texts, folder.prompts[folder.default_prompt_name], first)
    return as_pairs(texts, None, first)


def as_list(sentences: Any) -> Sequence[Any]:
    """Returns the texts of a collection in its order, without importing the libraries whose columns it knows.

    A list or tuple is taken as it is. Columns are known by what they can do: `to_list` (pandas, polars), `to_pylist`
    (pyarrow; missing values become None), `tolist` (numpy, one dimension of texts or rows of pairs). Other iterables
    are read to their end.

    Raises:
        ValueError: it is no collection of texts, or one without an order; or a table instead of a column.
    """
    if isinstance(sentences, list | tuple):
        return sentences
    problem = ""
    if isinstance(sentences, str | bytes | bytearray | memoryview):
        problem = f"a single {type(sentences).__name__}; put it into a list"
    elif isinstance(sentences, Mapping):
        problem = "a mapping; pass list(x.values()), or the list of texts in it"
    elif isinstance(sentences, set | frozenset):
        problem = "a set, which has no order; pass a list, so that you know which vector belongs to which text"
    elif len(getattr(sentences, "shape", (1,))) == 0:
        problem = "an array without dimensions; pass its text, x.item()"
    elif hasattr(sentences, "columns") or hasattr(sentences, "column_names"):
        problem = "a table; pass one of its columns"
    elif not isinstance(sentences, Iterable):
        problem = "nothing that can be iterated over"
    if problem:
        raise ValueError(
            f"sentences must be a list of texts or of pairs [instruction, text], not {described_item(sentences)}: "
            f"{problem}."
        )
    for name in ("to_pylist", "to_list", "tolist"):
        convert = getattr(sentences, name, None)
        if convert is not None:
            return convert()
    return list(sentences)
