"""The bodies that clients send, as the OpenAPI document describes them; the routes check what a field may hold."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

_TEXT = {"type": "string"}
_ITEM = {
    "type": "object",
    "properties": {"text": _TEXT, "instruction": _TEXT},
    "required": ["text"],
    "additionalProperties": False,
}
_IDS = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
_PAIR = {"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2}
_INPUTS = {
    "description": "A text, an object with text and instruction, a list of these, of pairs [instruction, text], or of "
    "the model's token ids.",
    "anyOf": [_TEXT, _ITEM, _IDS, {"type": "array", "items": {"anyOf": [_TEXT, _ITEM, _PAIR, _IDS]}, "minItems": 1}],
}
Inputs = Annotated[Any, WithJsonSchema(_INPUTS)]
Number = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
Flag = Annotated[bool, Field(strict=True)]


class Body(BaseModel):
    """A request's body; unknown fields are kept, so that `--strict` can name them."""

    model_config = ConfigDict(extra="allow")


class Instructed(Body):
    """The fields that name the instruction of a request's texts; the first that is given wins."""

    instruction: str | list[str] | None = Field(None, description="Instruction of all texts, or one for each.")
    prompt_name: str | None = Field(None, description="Name of one of the model's prompts.")
    input_type: str | None = Field(None, description="Role of the texts: query, document, classification, clustering.")


class OpenAIRequest(Instructed):
    """OpenAI's request, and the instruction."""

    input: Inputs
    model: str | None = Field(None, description="Name of a served model or of an alias; the first model without it.")
    encoding_format: Literal["float", "base64"] | None = "float"
    dimensions: Number | None = Field(None, description="Leading dimensions to keep, at unit length again.")
    user: str | None = None
    truncate: Flag | None = Field(None, description="False refuses texts that are longer than the model reads.")
    return_info: Flag = Field(False, description="Also tell the instructions that were used and what was cut.")


class TEIRequest(Instructed):
    """The request of Text Embeddings Inference, and the instruction."""

    inputs: Inputs
    truncate: Flag | None = None
    truncation_direction: Literal["left", "right", "Left", "Right"] = "right"
    normalize: Flag = True
    dimensions: Number | None = None


class TEITokenizeRequest(Body):
    """Texts to cut into tokens."""

    inputs: Annotated[Any, WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]})]
    add_special_tokens: Flag = True
    prompt_name: str | None = None


class TEIDecodeRequest(Body):
    """Token ids to join to texts."""

    ids: Annotated[Any, WithJsonSchema({"anyOf": [_IDS, {"type": "array", "items": _IDS, "minItems": 1}]})]
    skip_special_tokens: Flag = True


class SimilarityInputs(Body):
    """A text, and the texts that it is compared with."""

    source_sentence: str
    sentences: list[str] = Field(min_length=1)


class SimilarityParameters(Body):
    """How the texts are read."""

    truncate: Flag | None = None
    truncation_direction: Literal["left", "right", "Left", "Right"] = "right"
    prompt_name: str | None = None
    instruction: str | None = None


class TEISimilarityRequest(Body):
    """Texts to compare."""

    inputs: SimilarityInputs
    parameters: SimilarityParameters | None = None


EmbeddingType = Literal["float", "int8", "uint8", "binary", "ubinary", "base64"]


class CohereRequest(Body):
    """Cohere's request, version 2."""

    model: str | None = None
    texts: list[str] | None = Field(None, min_length=1)
    inputs: list[dict[str, Any]] | None = Field(None, description="Cohere's mixed inputs; only texts are taken.")
    input_type: str | None = None
    embedding_types: list[EmbeddingType] | None = Field(None, min_length=1)
    output_dimension: Number | None = None
    truncate: Literal["NONE", "START", "END"] | None = "END"
    max_tokens: Number | None = None
    instruction: str | list[str] | None = None
