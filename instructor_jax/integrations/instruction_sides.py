"""Which instruction queries and documents get: the caller's, the model folder's prompts, or the paper's."""

from typing import Any, Literal

from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.printable import shown
from instructor_jax.text.instructions import Instruction

Side = Literal["query", "document"]

# Su et al. 2023, table of instructions for retrieval, without a domain; also the defaults of LangChain's and
# LlamaIndex's older classes.
PAPER: dict[Side, str] = {
    "query": str(Instruction(text_type="question", objective="retrieving supporting documents")),
    "document": str(Instruction(text_type="document", objective="retrieval")),
}
# Published models that were trained without instructions, and whose folders do not say so.
_WITHOUT = ("gtr-t5", "sentence-t5", "all-minilm", "all-mpnet")
_NAMES: dict[Side, tuple[str, ...]] = {"query": ("query",), "document": ("document", "passage", "corpus")}


def side_instruction(side: Side, given: str | None, folder: ModelFolder, name: str) -> str:
    """Returns the instruction of queries or of documents.

    Args:
        side: which of them.
        given: the caller's; "" is none, and None lets the model decide.
        folder: the model's. Its prompt of that side's name counts, unless it is empty: sentence-transformers writes
            empty ones into every folder. Then its default prompt; then, for a model that reads instructions without
            pooling them, as INSTRUCTOR's do, the paper's; other models get none, nor do those that are known by name
            to be trained without (gtr-t5, sentence-t5, all-MiniLM, all-mpnet).
        name: what the model was called by.
    """
    if given is not None:
        return given
    named = [folder.prompts[name] for name in _NAMES[side] if folder.prompts.get(name)]
    if named:
        return named[0]
    if folder.default_prompt_name and folder.prompts.get(folder.default_prompt_name):
        return folder.prompts[folder.default_prompt_name]
    without = folder.config.pool_instruction or any(known in name.lower() for known in _WITHOUT)
    return "" if without else PAPER[side]


def given_instruction(argument: str, value: Any) -> str | None:
    """Returns an instruction as it was given, as text.

    Raises:
        ValueError: it is neither a string nor an `Instruction`, nor None.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Instruction):
        return str(value)
    raise ValueError(
        f"{argument}={shown(value)} must be a string, an instructor_jax.Instruction, or None for the model's own, "
        f"not a {type(value).__name__}."
    )
