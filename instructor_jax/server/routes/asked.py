"""What all routes have in common: which model is asked for, its texts, and the wait for their vectors."""

import asyncio
import dataclasses
import time
from collections.abc import Callable
from typing import Any

from fastapi import Request

from instructor_jax.inference.encode_options import EncodeOptions, encode_options
from instructor_jax.server.device.item import Item
from instructor_jax.server.device.served_model import ServedModel
from instructor_jax.server.items import Wanted, read_items
from instructor_jax.server.refusals import Refusal
from instructor_jax.server.requests import Body
from instructor_jax.server.service import Embedded, Service
from instructor_jax.server.tracing import note_times
from instructor_jax.text.batches import TokenizedTexts
from instructor_jax.text.tokenization import shown_text


@dataclasses.dataclass(frozen=True)
class Asked:
    """A model, and the instruction of the alias under which it was asked for."""

    model: ServedModel
    alias: str | None = None


def service_of(request: Request) -> Service:
    """Returns the service that answers."""
    return request.app.state.service


def asked_for(service: Service, name: str | None) -> Asked:
    """Returns the model of that name, `NAME/ALIAS` or `ALIAS`; the first one where none is named.

    Raises:
        Refusal: 404, the message names what is served.
    """
    if name is None:
        return Asked(service.models[0])
    for model in service.models:
        if name == model.name:
            return Asked(model)
        for alias, instruction in model.aliases.items():
            if name in (alias, f"{model.name}/{alias}"):
                return Asked(model, instruction)
    names = ", ".join(names_of(service))
    raise Refusal(
        404, f"no model {shown_text(name)} is served; there are {names}.", param="model", code="model_not_found"
    )


def names_of(service: Service) -> list[str]:
    """Returns all names by which models can be asked for."""
    return [name for model in service.models for name in model.names]


def refuse_unknown(service: Service, body: Body) -> None:
    """Refuses fields that a request does not have, where the server is strict."""
    extra = body.model_extra
    if service.habits.strict and extra:
        raise Refusal(400, f"the request has no field {shown_text(next(iter(extra)))}.", param=next(iter(extra)))


def options_of(model: ServedModel, **options: Any) -> EncodeOptions:
    """Returns the checked options of a request.

    Raises:
        Refusal: 400 where one is impossible for this model.
    """
    try:
        return encode_options(model.folder, on_overflow="truncate", **options)
    except ValueError as error:
        raise Refusal(400, str(error)) from None


def items_of(service: Service, asked: Asked, inputs: Any, body: Any, field: str) -> list[Item]:
    """Returns the texts of a body that has fields for the instruction."""
    wanted = Wanted(
        instruction=getattr(body, "instruction", None),
        prompt_name=getattr(body, "prompt_name", None),
        input_type=getattr(body, "input_type", None),
        alias=asked.alias,
    )
    return read_items(asked.model, inputs, wanted, most=service.limits.items, field=field)


async def embedded(
    request: Request,
    model: ServedModel,
    items: list[Item],
    *,
    truncate: bool | None = None,
    whole: Callable[[TokenizedTexts], Any] | None = None,
) -> Embedded:
    """Awaits the vectors of the items; gives up where the client goes away."""
    service = service_of(request)
    if whole is None and service.habits.deterministic:
        whole = model.by_itself
    began = time.time_ns()
    result = await service.embed(model, items, truncate=truncate is not False, whole=whole, gone=lambda: _gone(request))
    note_times(request.scope, began, (result.tokenize_seconds, result.queue_seconds, result.device_seconds))
    request.scope["told"] = {
        "model": model.name,
        "texts": len(items),
        "tokens": int(result.texts.offsets[-1]),
        "queue_ms": round(result.queue_seconds * 1000, 2),
    }
    return result


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        await asyncio.sleep(0)


def told_of(items: list[Item], result: Embedded, most: int) -> dict[str, Any]:
    """Returns which instructions were used and which texts were cut, for requests that ask for it."""
    return {
        "instructions": [item.instruction for item in items],
        "truncated": [bool(length > most) for length in result.texts.full_lengths.tolist()],
        "tokens": result.texts.lengths.tolist(),
    }
