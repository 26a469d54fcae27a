"""The answers as the OpenAPI document describes them: every status that a route may give, with its shape."""

from typing import Any

from instructor_jax.server.refusals import Dialect

EMBEDDING_ERRORS = (400, 401, 404, 408, 413, 415, 422, 429, 500, 503)
_MEANINGS = {
    400: "The request has a wrong value; the message names it.",
    401: "The key is missing or wrong.",
    404: "No such model is served.",
    408: "The body did not arrive in time.",
    413: "Too many bytes, texts or tokens.",
    415: "The body has another encoding than gzip.",
    422: "A text is too long and must not be cut, or a field has a wrong type.",
    429: "Too many tokens wait for the device; Retry-After says when to try again.",
    500: "The device failed on this request.",
    503: "The server is starting, shutting down or broken, or the texts waited too long.",
}
_NULLABLE_TEXT = {"type": ["string", "null"]}
_ERRORS: dict[Dialect, dict[str, Any]] = {
    "openai": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["message", "type", "param", "code"],
                "properties": {
                    "message": {"type": "string"},
                    "type": {"type": "string"},
                    "param": _NULLABLE_TEXT,
                    "code": _NULLABLE_TEXT,
                },
            }
        },
    },
    "tei": {
        "type": "object",
        "required": ["error", "error_type"],
        "properties": {"error": {"type": "string"}, "error_type": {"type": "string"}},
    },
    "cohere": {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}},
}
_NUMBERS = {"type": "array", "items": {"type": "number"}}


def errors(dialect: Dialect, statuses: tuple[int, ...]) -> dict[int | str, dict[str, Any]]:
    """Returns the descriptions of error answers."""
    content = {"application/json": {"schema": _ERRORS[dialect]}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in statuses}


def answer(schema: dict[str, Any], text: str = "The answer.") -> dict[str, Any]:
    """Returns the description of a good answer."""
    return {"description": text, "content": {"application/json": {"schema": schema}}}


OPENAI_ANSWER = answer(
    {
        "type": "object",
        "required": ["object", "data", "model", "usage"],
        "properties": {
            "object": {"const": "list"},
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["object", "index", "embedding"],
                    "properties": {
                        "object": {"const": "embedding"},
                        "index": {"type": "integer"},
                        "embedding": {"anyOf": [_NUMBERS, {"type": "string"}]},
                    },
                },
            },
            "model": {"type": "string"},
            "usage": {
                "type": "object",
                "required": ["prompt_tokens", "total_tokens"],
                "properties": {"prompt_tokens": {"type": "integer"}, "total_tokens": {"type": "integer"}},
            },
            "instructions": {"type": "array", "items": {"type": "string"}},
            "truncated": {"type": "array", "items": {"type": "boolean"}},
            "tokens": {"type": "array", "items": {"type": "integer"}},
        },
    },
    "The vectors, in the order of the texts.",
)
VECTORS_ANSWER = answer({"type": "array", "items": _NUMBERS}, "The vectors, in the order of the texts.")
TOKEN_VECTORS_ANSWER = answer(
    {"type": "array", "items": {"type": "array", "items": _NUMBERS}}, "For each text the vectors of its tokens."
)
NUMBERS_ANSWER = answer(_NUMBERS, "Cosine similarities, in the order of the sentences.")
TOKENS_ANSWER = answer(
    {
        "type": "array",
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "text", "special", "start", "stop"],
                "properties": {
                    "id": {"type": "integer"},
                    "text": {"type": "string"},
                    "special": {"type": "boolean"},
                    "start": {"type": ["integer", "null"]},
                    "stop": {"type": ["integer", "null"]},
                },
            },
        },
    },
    "For each text its tokens.",
)
TEXTS_ANSWER = answer({"type": "array", "items": {"type": "string"}}, "The texts.")
COHERE_ANSWER = answer(
    {
        "type": "object",
        "required": ["id", "embeddings", "texts", "meta"],
        "properties": {
            "id": {"type": "string"},
            "embeddings": {"type": "object"},
            "texts": {"type": "array", "items": {"type": "string"}},
            "meta": {"type": "object"},
        },
    },
    "The vectors, in each of the kinds that were asked for.",
)
