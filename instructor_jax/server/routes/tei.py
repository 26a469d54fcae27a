"""What clients of Text Embeddings Inference call: `/embed`, `POST /`, `/embed_all`, `/tokenize` and more.

`InferenceClient` of huggingface_hub posts to the bare address, so that `POST /` must embed.
"""

import time
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from instructor_jax.inference.quantization import unit_length
from instructor_jax.server.answers import json_response, rows
from instructor_jax.server.device.item import Item
from instructor_jax.server.documented import (
    EMBEDDING_ERRORS,
    NUMBERS_ANSWER,
    TEXTS_ANSWER,
    TOKEN_VECTORS_ANSWER,
    TOKENS_ANSWER,
    VECTORS_ANSWER,
    errors,
)
from instructor_jax.server.refusals import Refusal
from instructor_jax.server.requests import TEIDecodeRequest, TEIRequest, TEISimilarityRequest, TEITokenizeRequest
from instructor_jax.server.routes.asked import asked_for, embedded, items_of, options_of, refuse_unknown, service_of
from instructor_jax.server.service import Embedded
from instructor_jax.version import __version__

router = APIRouter(tags=["Text Embeddings Inference"])
_ERRORS = errors("tei", EMBEDDING_ERRORS)


@router.post("/embed", summary="Embed texts", responses={200: VECTORS_ANSWER, **_ERRORS})
@router.post("/", include_in_schema=False)
async def embed(request: Request, body: TEIRequest) -> Response:
    """Embeds texts; always answers with a list of vectors."""
    began = time.monotonic()
    service = service_of(request)
    refuse_unknown(service, body)
    _refuse_left(body.truncation_direction)
    asked = asked_for(service, None)
    options = options_of(asked.model, truncate_dim=body.dimensions, normalize_embeddings=body.normalize)
    items = items_of(service, asked, body.inputs, body, "inputs")
    result = await embedded(request, asked.model, items, truncate=body.truncate)
    vectors = options.shrink(result.result, asked.model.folder)
    return await json_response(lambda: rows(vectors), vectors.size, _headers(items, result, began))


@router.post("/embed_all", summary="Embed every token", responses={200: TOKEN_VECTORS_ANSWER, **_ERRORS})
async def embed_all(request: Request, body: TEIRequest) -> Response:
    """Answers with the hidden states of each text's tokens, instruction included."""
    began = time.monotonic()
    service = service_of(request)
    refuse_unknown(service, body)
    _refuse_left(body.truncation_direction)
    asked = asked_for(service, None)
    items = items_of(service, asked, body.inputs, body, "inputs")
    result = await embedded(request, asked.model, items, truncate=body.truncate, whole=asked.model.token_states)
    size = sum(states.size for states in result.result)
    return await json_response(lambda: [rows(states) for states in result.result], size, _headers(items, result, began))


@router.post("/similarity", summary="Compare a text with others", responses={200: NUMBERS_ANSWER, **_ERRORS})
async def similarity(request: Request, body: TEISimilarityRequest) -> Response:
    """Answers with the cosine similarities of a text and others."""
    began = time.monotonic()
    service = service_of(request)
    refuse_unknown(service, body)
    parameters = body.parameters
    if parameters is not None:
        _refuse_left(parameters.truncation_direction)
    asked = asked_for(service, None)
    texts = [body.inputs.source_sentence, *body.inputs.sentences]
    items = items_of(service, asked, texts, parameters, "sentences")
    result = await embedded(request, asked.model, items, truncate=None if parameters is None else parameters.truncate)
    vectors = unit_length(result.result)
    scores = vectors[1:] @ vectors[0]
    return await json_response(lambda: np.ascontiguousarray(scores), scores.size, _headers(items, result, began))


@router.post(
    "/tokenize", summary="Cut texts into tokens", responses={200: TOKENS_ANSWER, **errors("tei", EMBEDDING_ERRORS)}
)
async def tokenize(request: Request, body: TEITokenizeRequest) -> Response:
    """Answers with the tokens of each text and the characters that they cover."""
    service = service_of(request)
    refuse_unknown(service, body)
    asked = asked_for(service, None)
    items = items_of(service, asked, body.inputs, body, "inputs")
    texts = [f"{item.instruction}{item.text}" for item in items if item.text is not None]
    if len(texts) < len(items):
        raise Refusal(422, "inputs must be texts; token ids are tokens already.")
    views = asked.model.views
    tokens = await service.in_thread(lambda: views.tokens(texts, special=body.add_special_tokens))
    return await json_response(lambda: tokens, sum(map(len, tokens)))


@router.post(
    "/decode", summary="Join tokens to texts", responses={200: TEXTS_ANSWER, **errors("tei", EMBEDDING_ERRORS)}
)
async def decode(request: Request, body: TEIDecodeRequest) -> Response:
    """Answers with the texts of token ids."""
    service = service_of(request)
    refuse_unknown(service, body)
    model = asked_for(service, None).model
    ids = body.ids if isinstance(body.ids, list) else None
    lists = [ids] if ids and all(type(one) is int for one in ids) else ids
    if not lists or not all(isinstance(one, list) and all(type(part) is int for part in one) for one in lists):
        raise Refusal(422, "ids must be a list of token ids, or a list of such lists.", param="ids")
    if len(lists) > service.limits.items:
        raise Refusal(413, f"ids has {len(lists):,} texts; at most {service.limits.items:,} are taken.", param="ids")
    wrong = next((part for one in lists for part in one if not 0 <= part < model.vocabulary), None)
    if wrong is not None:
        raise Refusal(422, f"ids holds {str(wrong)[:40]}; ids go from 0 to {model.vocabulary - 1}.", param="ids")
    texts = await service.in_thread(lambda: model.views.texts(lists, skip_special=body.skip_special_tokens))
    return await json_response(lambda: texts, 0)


@router.get("/info", summary="Describe the server", responses=errors("tei", (401, 500)))
async def info(request: Request) -> dict[str, Any]:
    """Describes the first model and the limits."""
    service = service_of(request)
    model, limits = service.models[0], service.limits
    packing = model.engine.packing
    return {
        "model_id": model.name,
        "model_sha": None,
        "model_dtype": model.dtype,
        "served_model_name": model.name,
        "model_type": {"embedding": {"pooling": "mean"}},
        "prompts": sorted(model.folder.prompts),
        "aliases": sorted(model.aliases),
        "embedding_dimension": model.dimensions,
        "max_concurrent_requests": limits.requests,
        "max_input_length": model.max_length,
        "max_batch_tokens": packing.tokens_per_call * packing.groups,
        "max_batch_requests": None,
        "max_client_batch_size": limits.items,
        "auto_truncate": True,
        "tokenization_workers": 2,
        "version": __version__,
        "sha": None,
        "docker_label": None,
    }


def _refuse_left(direction: str) -> None:
    if direction.lower() == "left":
        raise Refusal(422, "truncation_direction=left would cut the instruction off; texts are cut at their end.")


def _headers(items: list[Item], result: Embedded, began: float) -> dict[str, str]:
    """Returns TEI's headers; times are whole milliseconds."""

    def ms(seconds: float) -> str:
        return str(round(seconds * 1000))

    return {
        "x-compute-type": "instructor-jax",
        "x-compute-characters": str(sum(len(item.text or "") for item in items)),
        "x-compute-tokens": str(int(result.texts.offsets[-1])),
        "x-compute-time": ms(time.monotonic() - began),
        "x-total-time": ms(time.monotonic() - began),
        "x-tokenization-time": ms(result.tokenize_seconds),
        "x-queue-time": ms(result.queue_seconds),
        "x-inference-time": ms(result.device_seconds),
    }
