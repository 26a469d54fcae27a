"""What loading costs: no second copy of the weights, and nothing left to compile or to wait for after `warmup`."""

import sys
import time
from pathlib import Path

import jax
import jax.monitoring
import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.io.folders import open_params, read_folder, read_params
from instructor_jax.io.weights.aligned_arrays import aligned_copy
from instructor_jax.io.weights.stored_arrays import StoredArray

COMPILED = "/jax/core/compile/backend_compile_duration"


def test_opened_weights_are_those_that_are_read(tiny_folder: Path) -> None:
    folder = read_folder(tiny_folder)
    opened, read = open_params(folder), read_params(folder)
    stored = jax.tree.leaves(opened)
    assert {type(leaf) for leaf in stored} == {StoredArray}
    for leaf, array in zip(stored, jax.tree.leaves(read), strict=True):
        assert (leaf.shape, leaf.dtype) == (array.shape, array.dtype)
        leaf.release()  # what was given back is read again
        np.testing.assert_array_equal(leaf, array)
        np.testing.assert_array_equal(leaf[1:, ...][..., :1], array[1:, ...][..., :1])
        assert leaf[1:].shape == array[1:].shape
    layers = jax.tree.leaves(opened["encoder"]["layers"])
    for leaf, array in zip(layers, jax.tree.leaves(read["encoder"]["layers"]), strict=True):
        np.testing.assert_array_equal(leaf[1], array[1])


@pytest.mark.parametrize(("rounded", "dtype"), [("float32", "float32"), ("bfloat16", "float32"), ("bfloat16",) * 2])
def test_jax_takes_over_an_aligned_copy(rounded: str, dtype: str) -> None:
    source = np.random.default_rng(0).normal(size=(48, 40)).astype(np.float32).T
    kinds = [jax.numpy.dtype(name) for name in (rounded, dtype)]
    copy = aligned_copy(source, *kinds)
    np.testing.assert_array_equal(copy, source.astype(kinds[0]).astype(kinds[1]))
    placed = jax.device_put(copy, jax.devices()[0])
    assert placed.unsafe_buffer_pointer() == copy.ctypes.data, "JAX made a copy of its own"


@pytest.fixture(scope="module")
def few_shapes(tiny_folder: Path) -> Instructor:
    return Instructor.from_pretrained(tiny_folder, devices=jax.devices()[:1], max_length=16, tokens_per_call=64)


def test_after_warmup_a_query_compiles_nothing_and_waits_for_nothing(few_shapes: Instructor) -> None:
    events: list[str] = []
    jax.monitoring.register_event_duration_secs_listener(lambda event, duration_secs, **_: events.append(event))
    assert few_shapes.warmup() > 1
    events.clear()
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        few_shapes.encode("a query", instruction="Represent: ", on_overflow="truncate")
        seconds.append(time.perf_counter() - began)
    assert COMPILED not in events
    # programs that still run would make the first query wait for all of them: hundreds of milliseconds here
    assert seconds[0] < max(10 * float(np.median(seconds[1:])), 0.05)


def test_warmup_waits_for_its_programs(few_shapes: Instructor, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[object] = []
    monkeypatch.setattr(jax, "block_until_ready", waited.append)
    programs = few_shapes.warmup()
    assert len(waited) == programs


@pytest.mark.slow  # writes and loads 440 MB
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_loading_holds_the_weights_once(monkeypatch: pytest.MonkeyPatch, repository: Path, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    import loading  # pyright: ignore[reportMissingImports]

    monkeypatch.setenv("XLA_FLAGS", "")
    model = loading.random_model("instructor-base", tmp_path)
    memory = loading.fresh(model, tmp_path / "cache", "memory")
    assert memory["weights"] > 4e8
    # 1 for the weights themselves; the rest is a layer on its way, and what JAX and the tokenizer take
    assert memory["peak"] - memory["before"] < 1.3 * memory["weights"]
