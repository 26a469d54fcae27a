"""What OpenAI's clients call: `/v1/embeddings` and `/v1/models`, also without `/v1`."""

from typing import Any

from fastapi import APIRouter, Request, Response

from instructor_jax.server.answers import base64_of, json_response, rows
from instructor_jax.server.documented import EMBEDDING_ERRORS, OPENAI_ANSWER, errors
from instructor_jax.server.refusals import Refusal
from instructor_jax.server.requests import OpenAIRequest
from instructor_jax.server.routes.asked import (
    asked_for,
    embedded,
    items_of,
    options_of,
    refuse_unknown,
    service_of,
    told_of,
)
from instructor_jax.server.service import Service
from instructor_jax.text.tokenization import shown_text

router = APIRouter(tags=["OpenAI"])


@router.post(
    "/v1/embeddings", summary="Embed texts", responses={200: OPENAI_ANSWER, **errors("openai", EMBEDDING_ERRORS)}
)
@router.post("/embeddings", include_in_schema=False)
async def embeddings(request: Request, body: OpenAIRequest) -> Response:
    """Embeds texts, each under its instruction."""
    service = service_of(request)
    refuse_unknown(service, body)
    asked = asked_for(service, body.model)
    model = asked.model
    options = options_of(model, truncate_dim=body.dimensions)
    items = items_of(service, asked, body.input, body, "input")
    result = await embedded(request, model, items, truncate=body.truncate)
    vectors = options.shrink(result.result, model.folder)
    tokens = int(result.texts.offsets[-1])

    def answer() -> dict[str, Any]:
        numbers = map(base64_of, vectors) if body.encoding_format == "base64" else rows(vectors)
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(numbers)
            ],
            "model": body.model or model.name,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            **(told_of(items, result, model.max_length) if body.return_info else {}),
        }

    return await json_response(answer, vectors.size)


@router.get("/v1/models", summary="List the models", responses=errors("openai", (401, 500)))
@router.get("/models", include_in_schema=False)
async def models(request: Request) -> dict[str, Any]:
    """Lists the models and their aliases."""
    return {"object": "list", "data": _models(service_of(request))}


@router.get("/v1/models/{name:path}", summary="Describe a model", responses=errors("openai", (401, 404, 500)))
@router.get("/models/{name:path}", include_in_schema=False)
async def one_model(request: Request, name: str) -> dict[str, Any]:
    """Describes one model."""
    for model in _models(service_of(request)):
        if model["id"] == name:
            return model
    raise Refusal(404, f"no model {shown_text(name)} is served.", param="model", code="model_not_found")


def _models(service: Service) -> list[dict[str, Any]]:
    return [
        {"id": name, "object": "model", "created": model.created, "owned_by": "instructor-jax"}
        for model in service.models
        for name in model.names
    ]
