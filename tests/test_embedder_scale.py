"""Batching, streams, threads, devices and dtypes change how vectors are computed, never which."""

import gc
import itertools
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.monitoring
import ml_dtypes
import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.inference.stages import prepare
from instructor_jax.io.folders import read_folder, read_params
from instructor_jax.text.tokenization import as_pairs

SAME = 2e-6  # float32: the same sums over other padding; vectors have unit length
WORDS = [
    "the",
    "river",
    "of",
    "food",
    "and",
    "music",
    "in",
    "a",
    "small",
    "world",
    "was",
    "more",
    "than",
    "one",
    "model",
]


def random_texts(count: int, longest: int = 60, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(0, longest))) for _ in range(count)]


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    """Names of the compilations since the test began; a hit of the disk cache counts as one too."""
    found: list[str] = []

    def listen(event: str, duration: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)  # pyright: ignore[reportArgumentType]
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_nothing_compiles_after_warmup(embedder: Instructor, compilations: list[str]) -> None:
    """10,000 texts of random lengths, in every way to pass them."""
    buckets = embedder.warmup()
    assert len(compilations) <= buckets
    jax.jit(lambda x: x * 2 + len(compilations))(np.ones(3))
    assert compilations  # the event is still called so
    compilations.clear()
    random = np.random.default_rng(1)
    tail = [" ".join(random.choice(WORDS, size)) for size in random.integers(60, 700, 150)]
    texts = [*random_texts(9650), *tail]
    random.shuffle(texts)
    embedder.encode(texts[:5000], instruction="Represent the text: ", on_overflow="truncate")
    for _ in embedder.encode_stream(iter(texts[5000:9000]), 37, on_overflow="truncate"):
        pass
    for batch_size in (1, 3, 17, 999):
        embedder.encode(texts[9000 : 9000 + 10 * batch_size][:200], batch_size, on_overflow="mean_of_windows")
    for text in texts[9200:]:
        embedder.encode(text, on_overflow="truncate", precision="ubinary", truncate_dim=8)
    for size in range(12):
        embedder.encode(texts[:size], on_overflow="truncate")
    assert compilations == []


@pytest.mark.parametrize("batch_size", [1, 2, 7, 64, 1000])
def test_batch_size_changes_only_the_batching(embedder: Instructor, batch_size: int) -> None:
    texts = random_texts(100)
    vectors, info = embedder.encode(texts, batch_size, return_info=True)
    assert np.abs(vectors - embedder.encode(texts)).max() <= SAME
    assert info.calls >= len(texts) / batch_size
    prepared = prepare(embedder.tokenizer, as_pairs(texts, None), embedder.packing, max_texts=batch_size)
    assert max(len(group) for call in prepared.calls for group in call.texts) <= batch_size


# --- Streams -------------------------------------------------------------------------------------------------------


def test_a_stream_gives_the_vectors_of_encode_in_order(embedder: Instructor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instructor_jax.inference.encoding.CHUNK", 30)
    pairs = [[instruction, text] for text in random_texts(50) for instruction in ("Represent the title: ", "")]
    streamed = list(embedder.encode_stream(iter(pairs)))
    assert np.abs(np.stack(streamed) - embedder.encode(pairs)).max() <= SAME
    short = list(embedder.encode_stream(["x", "y"], instruction="Represent: ", truncate_dim=8, precision="ubinary"))
    expected = embedder.encode(["x", "y"], instruction="Represent: ", truncate_dim=8, precision="ubinary")
    np.testing.assert_array_equal(short, expected)
    assert list(embedder.encode_stream([])) == []
    with pytest.raises(ValueError, match=r"sentences\[99\] is None"):
        list(embedder.encode_stream([*["x"] * 99, None]))
    with pytest.raises(ValueError, match="not a single string"):
        embedder.encode_stream("a text")


def test_a_stream_is_lazy(embedder: Instructor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("instructor_jax.inference.encoding.CHUNK", 20)
    counter = itertools.count()
    stream = embedder.encode_stream(f"text {next(counter)}" for _ in itertools.count())  # without an end
    assert next(counter) == 0  # nothing is read before the first vector is asked for
    for _ in range(50):
        next(stream)
    assert next(counter) <= 120  # the chunk at hand and those being prepared
    stream.close()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.slow
def test_a_streams_memory_does_not_grow(embedder: Instructor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that kept its vectors would grow from each part to the next; what Python or JAX keep once grows one.

    Texts are equal, so that nothing is compiled on the way, and of each part the least reading counts, since how much
    is being prepared differs from one to the next.
    """
    monkeypatch.setattr("instructor_jax.inference.encoding.CHUNK", 100)
    stream = embedder.encode_stream("number 7" for _ in range(12_000))
    for _ in itertools.islice(stream, 1500):
        pass
    tracemalloc.start()
    held = []
    for _ in range(20):
        for _ in itertools.islice(stream, 500):
            pass
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    least = [min(held[start : start + 5]) for start in range(0, 20, 5)]
    # the 2,500 vectors of 48 floats between two parts alone would be 480 kB
    assert min(after - before for before, after in itertools.pairwise(least)) < 100_000, held


# --- Threads, devices, dtypes --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_several_threads_get_what_one_gets(embedder: Instructor) -> None:
    jobs = [(random_texts(40 + 20 * seed, seed=seed), f"Represent the {WORDS[seed]}: ") for seed in range(8)]
    serial = [embedder.encode(texts, instruction=instruction) for texts, instruction in jobs]
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(lambda job: embedder.encode(job[0], instruction=job[1]), jobs))
    for one, other in zip(serial, parallel, strict=True):
        np.testing.assert_array_equal(one, other)


def test_eight_devices_give_the_vectors_of_one(tiny_folder: Path, embedder: Instructor) -> None:
    assert jax.device_count() == 8
    many = Instructor.from_pretrained(tiny_folder, max_length=64, tokens_per_call=64)
    texts = random_texts(200, longest=25)
    vectors, info = many.encode(texts, instruction="Represent the text: ", on_overflow="error", return_info=True)
    assert np.abs(vectors - embedder.encode(texts, instruction="Represent the text: ")).max() <= SAME
    assert info.padding < 0.3
    assert np.abs(many.encode("x") - embedder.encode("x")).max() <= SAME
    assert len(many._ready()._params["projection"].sharding.device_set) == 8


def test_bfloat16_stays_close(tiny_folder: Path, embedder: Instructor) -> None:
    model = Instructor.from_pretrained(
        tiny_folder, dtype="bfloat16", devices=jax.devices()[:1], max_length=64, tokens_per_call=64
    )
    texts = random_texts(60, longest=20)
    rounded, exact = model.encode(texts), embedder.encode(texts)
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rounded, axis=1), 1, rtol=0, atol=1e-6)  # normalised in float32
    assert (rounded * exact).sum(axis=1).min() >= 0.999  # bfloat16 keeps 8 bits of each weight
    assert np.abs(rounded - exact).max() > 1e-5


@pytest.mark.usefixtures("unchecked")
def test_other_dtypes_are_refused(tiny_folder: Path) -> None:
    with pytest.raises(ValueError, match=r"dtype='float16' must be 'float32' or 'bfloat16'; .*overflow"):
        Instructor.from_pretrained(tiny_folder, dtype="float16")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_saved_and_loaded_again(tiny_folder: Path, tmp_path: Path, dtype) -> None:
    model = Instructor.from_pretrained(tiny_folder, dtype=dtype, max_length=48, devices=jax.devices()[:1])
    model.save_pretrained(tmp_path / "saved")
    kept = np.dtype(np.float32 if dtype == "float32" else ml_dtypes.bfloat16)
    original, saved = (read_params(read_folder(folder)) for folder in (tiny_folder, tmp_path / "saved"))
    for before, after in zip(jax.tree.leaves(original), jax.tree.leaves(saved), strict=True):
        assert after.dtype == kept
        assert after.tobytes() == before.astype(kept).tobytes()
    assert read_folder(tmp_path / "saved").config == model.config
    assert model.config.max_length == 48
    with pytest.raises(ValueError, match="exists and is not an empty folder"):
        model.save_pretrained(tmp_path / "saved")


def test_other_weights_share_the_programs(embedder: Instructor, compilations: list[str]) -> None:
    texts = [("Represent the title: ", text) for text in random_texts(5)]
    before = embedder.encode(texts)
    compilations.clear()
    halved = jax.tree.map(lambda array: array * 0.5, embedder.params)
    other = embedder.with_params(halved)
    after = other.encode(texts)
    assert not compilations
    assert np.abs(after - before).max() > 1e-3
    assert np.abs(embedder.encode(texts) - before).max() == 0  # the first keeps its own
    fresh = Instructor(embedder.folder, halved)
    assert np.abs(fresh.encode(texts) - after).max() <= SAME
