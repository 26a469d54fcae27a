"""What Cohere's clients call: `/v2/embed`, the one widespread format that tells queries from documents."""

import uuid
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from instructor_jax.server.answers import base64_of, json_response, rows
from instructor_jax.server.documented import COHERE_ANSWER, EMBEDDING_ERRORS, errors
from instructor_jax.server.refusals import Refusal
from instructor_jax.server.requests import CohereRequest
from instructor_jax.server.routes.asked import (
    asked_for,
    embedded,
    items_of,
    options_of,
    refuse_unknown,
    service_of,
)

router = APIRouter(tags=["Cohere"])


@router.post("/v2/embed", summary="Embed texts", responses={200: COHERE_ANSWER, **errors("cohere", EMBEDDING_ERRORS)})
async def embed(request: Request, body: CohereRequest) -> Response:
    """Embeds texts in one or several kinds of numbers."""
    service = service_of(request)
    refuse_unknown(service, body)
    if body.truncate == "START":
        raise Refusal(
            400, "truncate=START would cut the instruction off; texts are cut at their END.", param="truncate"
        )
    asked = asked_for(service, body.model)
    model = asked.model
    if body.max_tokens is not None and body.max_tokens < model.max_length:
        raise Refusal(
            400,
            f"max_tokens={body.max_tokens} is less than the model's {model.max_length}, the one length at which "
            "texts are cut; leave it out, or start the server with --max-length.",
            param="max_tokens",
        )
    kinds = list(dict.fromkeys(body.embedding_types or ["float"]))
    options = {
        kind: options_of(
            model, truncate_dim=body.output_dimension, precision="float32" if kind in ("float", "base64") else kind
        )
        for kind in kinds
    }
    texts = _texts(body)
    items = items_of(service, asked, texts, body, "texts")
    result = await embedded(request, model, items, truncate=body.truncate != "NONE")
    vectors = {kind: options[kind].shrink(result.result, model.folder) for kind in kinds}

    def answer() -> dict[str, Any]:
        return {
            "id": str(uuid.uuid4()),
            "embeddings": {kind: _shown(kind, vectors[kind]) for kind in kinds},
            "texts": texts,
            "meta": {
                "api_version": {"version": "2"},
                "billed_units": {"input_tokens": int(result.texts.offsets[-1])},
                "tokens": {"input_tokens": int(result.texts.offsets[-1])},
            },
            "response_type": "embeddings_by_type",
        }

    return await json_response(answer, sum(array.size for array in vectors.values()))


def _shown(kind: str, vectors: np.ndarray) -> list[Any]:
    return [base64_of(vector) for vector in vectors] if kind == "base64" else rows(vectors)


def _texts(body: CohereRequest) -> list[str]:
    if body.texts is not None and body.inputs is None:
        return body.texts
    if body.inputs and body.texts is None:
        return [_text_of(value, index) for index, value in enumerate(body.inputs)]
    raise Refusal(400, "send either texts, or inputs that hold texts.", param="texts")


def _text_of(value: dict[str, Any], index: int) -> str:
    """Returns the text of one of Cohere's mixed inputs: a list of parts, each of type text."""
    parts = value.get("content")
    if not isinstance(parts, list) or not all(
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str) for part in parts
    ):
        raise Refusal(400, f"inputs[{index}] must have content made of parts of type text; pictures are not read.")
    return "\n".join(part["text"] for part in parts)
