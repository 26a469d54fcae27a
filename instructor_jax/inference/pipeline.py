"""The stages of `encode` overlapped: chunks are tokenised and packed in a thread while the device computes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from instructor_jax.inference.culprits import culprits
from instructor_jax.inference.finite import NotFinite
from instructor_jax.inference.stages import Finished, Prepared, finish, run_calls
from instructor_jax.text.batches import TokenBatch

_CHUNKS_AHEAD = 2

Chunk = TypeVar("Chunk")


def pipeline(
    chunks: Iterable[Chunk],
    prepare_chunk: Callable[[Chunk], Prepared],
    run: Callable[[TokenBatch], Any],
    normalized: bool,
) -> Iterator[Finished]:
    """Runs chunk after chunk: the next ones are prepared in a thread while the device computes.

    Args:
        chunks: what `prepare_chunk` takes; read a few ahead.
        prepare_chunk: stage one.
        run: stage two; may return before the result is there (JAX dispatches asynchronously).
        normalized: whether the model's vectors have unit length.

    Yields:
        The finished chunks in order.
    """
    source = iter(chunks)
    with ThreadPoolExecutor(1, thread_name_prefix="instructor-jax-prepare") as pool:
        waiting: deque[Future[Prepared]] = deque()

        def read_ahead() -> None:
            while len(waiting) < _CHUNKS_AHEAD and (chunk := next(source, None)) is not None:
                waiting.append(pool.submit(prepare_chunk, chunk))

        try:
            read_ahead()
            while waiting:
                prepared = waiting.popleft().result()
                read_ahead()
                yield completed(prepared, run, normalized)
        finally:
            for future in waiting:
                future.cancel()


def completed(prepared: Prepared, run: Callable[[TokenBatch], Any], normalized: bool) -> Finished:
    """Returns what the second and third stage make of a chunk.

    Args:
        prepared: the chunk.
        run: computes the vectors of a batch.
        normalized: whether the model's vectors have unit length.

    Raises:
        NotFinite: a vector has a NaN or an infinity; the message names the text that has it by itself.
        MemoryError: the device's memory is too small.
    """
    try:
        return finish(prepared, run_calls(prepared, run), normalized)
    except NotFinite as error:
        raise culprits(prepared, run, error) from None
