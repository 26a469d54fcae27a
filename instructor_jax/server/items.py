"""From a request's fields to texts with instructions: what clients may send, and which instruction each text gets.

The first that is given wins: the text's own instruction, the request's (`instruction`, then `prompt_name`, then
`input_type`), that of the model's alias, the server's. A text with its own instruction is an object, or the original
package's pair of two strings; lists of numbers are token ids of the model.
"""

import dataclasses
import functools
import logging
from collections.abc import Sequence
from typing import Any

from instructor_jax.server.device.item import Item
from instructor_jax.server.device.served_model import ServedModel
from instructor_jax.server.refusals import EMPTY, Refusal
from instructor_jax.text.tokenization import shown_text

logger: logging.Logger = logging.getLogger(__name__)

# Prompts that a role may go by, and what the paper's models were trained on where a folder has none of them.
_ROLES: dict[str, tuple[tuple[str, ...], str]] = {
    "query": (("query", "search_query"), "Represent the question for retrieving supporting documents: "),
    "document": (("document", "passage", "corpus", "search_document"), "Represent the document for retrieval: "),
    "classification": (("classification",), "Represent the sentence for classification: "),
    "clustering": (("clustering",), "Represent the sentence for clustering: "),
}
_SAME_ROLE = {
    "search_query": "query",
    "search_document": "document",
    "passage": "document",
    "corpus": "document",
}
ROLES = (*_ROLES, *_SAME_ROLE)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The instruction that a request names for all its texts, or for each.

    Attributes:
        instruction: The text itself, one for all or one for each.
        prompt_name: Name of one of the folder's prompts.
        input_type: A role, such as "query" or "search_document".
        alias: Instruction of the alias under which the model was asked for.
    """

    instruction: str | Sequence[str] | None = None
    prompt_name: str | None = None
    input_type: str | None = None
    alias: str | None = None


def read_items(model: ServedModel, inputs: Any, wanted: Wanted, *, most: int, field: str = "input") -> list[Item]:
    """Returns the texts of a request with their instructions.

    Args:
        model: The model that was asked for.
        inputs: What the request's field holds.
        wanted: The instruction that the request names.
        most: Most texts of a request.
        field: Name of the field, for messages.

    Raises:
        Refusal: 400 for a value of the wrong shape, 413 for too many texts; the message names the element.
    """
    values = _as_list(inputs, field)
    if not values:
        raise Refusal(400, f"{field} is empty; send at least one text.", param=field, code=EMPTY)
    if len(values) > most:
        raise Refusal(413, f"{field} has {len(values):,} texts; at most {most:,} are taken in a request.", param=field)
    shared = _instructions(model, wanted, len(values))
    return [_item(value, index, shared[index], model, field) for index, value in enumerate(values)]


def role_instruction(model: ServedModel, role: str) -> str:
    """Returns the instruction of a role: the folder's prompt of that name, or the paper's wording.

    Raises:
        Refusal: 400 for an unknown role.
    """
    if role in model.folder.prompts:
        return model.folder.prompts[role]
    known = _ROLES.get(_SAME_ROLE.get(role, role))
    if known is None:
        raise Refusal(
            400,
            f"input_type={shown_text(role)} must be one of {', '.join(ROLES)}, or a prompt of the model.",
            param="input_type",
        )
    names, wording = known
    return next((model.folder.prompts[name] for name in names if name in model.folder.prompts), wording)


def _as_list(inputs: Any, field: str) -> list[Any]:
    if isinstance(inputs, str | dict):
        return [inputs]
    if isinstance(inputs, list):
        if inputs and all(_is_id(value) for value in inputs):
            return [inputs]  # one text as token ids
        return inputs
    raise Refusal(
        400,
        f"{field} must be a text, a list of texts, of pairs [instruction, text], of objects with text and "
        f"instruction, or of token ids, not {_kind(inputs)}.",
        param=field,
    )


def _item(value: Any, index: int, shared: str | None, model: ServedModel, field: str) -> Item:
    where = f"{field}[{index}]"
    if isinstance(value, str):
        return Item(shared or "", _text(value, where, field))
    if isinstance(value, dict):
        text, own = value.get("text"), value.get("instruction")
        if not isinstance(text, str) or not isinstance(own, str | None) or set(value) - {"text", "instruction"}:
            raise Refusal(
                400,
                f'{where} must be {{"text": "...", "instruction": "..."}} with strings, and nothing else.',
                param=field,
            )
        return Item(_text(own if own is not None else shared or "", where, field), _text(text, where, field))
    if isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value):
        return Item(_text(value[0], where, field), _text(value[1], where, field))
    if isinstance(value, list) and value and all(_is_id(part) for part in value):
        return Item(shared or "", ids=_checked_ids(value, where, model, field))
    raise Refusal(
        400,
        f"{where} must be a text, a pair [instruction, text], an object with text and instruction, or a list of "
        f"token ids, not {_kind(value)}.",
        param=field,
    )


def _text(text: str, where: str, field: str) -> str:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise Refusal(
                400, f"{where} holds half of a surrogate pair, which is no character; send valid Unicode.", param=field
            ) from None
    return text


def _checked_ids(ids: list[int], where: str, model: ServedModel, field: str) -> tuple[int, ...]:
    wrong = next((value for value in ids if not 0 <= value < model.vocabulary), None)
    if wrong is not None:
        raise Refusal(
            400,
            f"{where} holds the token id {str(wrong)[:40]}, but {model.name} has ids from 0 to {model.vocabulary - 1}: "
            "these are ids of another model's vocabulary. Send texts; in LangChain's OpenAIEmbeddings set "
            "check_embedding_ctx_length=False.",
            param=field,
            code="foreign_token_ids",
        )
    _warn_of_ids(model.name)
    return tuple(ids)


@functools.cache
def _warn_of_ids(name: str) -> None:
    """Says once that ids are taken as the model's own: small ones of another vocabulary cannot be told from them."""
    logger.warning(
        "%s is sent token ids and takes them as its own; LangChain's OpenAIEmbeddings sends those of another "
        "vocabulary unless check_embedding_ctx_length=False",
        name,
    )


def _instructions(model: ServedModel, wanted: Wanted, count: int) -> list[str | None]:
    given = wanted.instruction
    if isinstance(given, str):
        return [_text(given, "instruction", "instruction")] * count
    if given is not None:
        if len(given) != count or not all(isinstance(one, str) for one in given):
            raise Refusal(
                400,
                f"instruction must be one text, or a list of {count} texts, one for each input.",
                param="instruction",
            )
        return [_text(one, f"instruction[{index}]", "instruction") for index, one in enumerate(given)]
    if wanted.prompt_name is not None:
        prompts = model.folder.prompts
        if wanted.prompt_name not in prompts:
            known = ", ".join(map(shown_text, prompts)) or "none"
            raise Refusal(
                400,
                f"prompt_name={shown_text(wanted.prompt_name)} is not among the model's prompts; it has {known}.",
                param="prompt_name",
            )
        return [prompts[wanted.prompt_name]] * count
    if wanted.input_type is not None:
        return [role_instruction(model, wanted.input_type)] * count
    if wanted.alias is not None:
        return [wanted.alias] * count
    if model.instruction is not None:
        return [model.instruction] * count
    default = model.folder.default_prompt_name
    return [model.folder.prompts[default] if default else None] * count


def _is_id(value: Any) -> bool:
    return type(value) is int


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
