"""Vectors as bytes of an answer: JSON numbers by orjson, or base64 of little-endian float32."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from fastapi import Response

_INLINE_NUMBERS = 65_536  # more take over a millisecond to write, which the event loop should not stand still for


async def json_response(build: Callable[[], Any], numbers: int, headers: dict[str, str] | None = None) -> Response:
    """Returns an answer; a large one is written in another thread.

    Args:
        build: Makes the value; NumPy arrays may lie in it.
        numbers: About how many numbers it holds.
        headers: Headers of the answer.
    """

    def written() -> bytes:
        return orjson.dumps(build(), option=orjson.OPT_SERIALIZE_NUMPY)

    content = written() if numbers < _INLINE_NUMBERS else await asyncio.to_thread(written)
    return Response(content, media_type="application/json", headers=headers)


def base64_of(vector: np.ndarray) -> str:
    """Returns a vector as OpenAI's clients decode it: base64 of its little-endian numbers."""
    return base64.b64encode(np.ascontiguousarray(vector, vector.dtype.newbyteorder("<")).tobytes()).decode("ascii")


def rows(vectors: np.ndarray) -> list[np.ndarray]:
    """Returns the vectors one by one, each contiguous, as orjson wants them."""
    return list(np.ascontiguousarray(vectors))
