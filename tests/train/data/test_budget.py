import numpy as np
import pytest

from instructor_jax.train.data.budget import examples_needed, token_stream
from instructor_jax.train.data.example_index import ExampleIndex
from instructor_jax.train.data.group_packing import GroupShape, fill_rows


def mixture(rows: int, query: float, document: float, spread: float = 0.5, seed: int = 0) -> ExampleIndex:
    """Log-normal lengths about these medians, as texts have them; a row is a query, a positive and a negative."""
    rng = np.random.default_rng(seed)
    median = np.repeat([query, document, document], rows).reshape(3, rows).T.ravel()
    lengths = np.clip(median * rng.lognormal(0, spread, 3 * rows), 3, 128).astype(np.int32)
    texts = np.arange(0, 3 * rows, 3)
    return ExampleIndex(lengths, texts, texts + 1, texts + 2, np.arange(1, rows + 1))


def packed_rows(texts: ExampleIndex, rows: np.ndarray, shape: GroupShape) -> tuple[int, int]:
    lengths = texts.lengths[texts.of(rows, np.zeros_like(rows), shape.negatives)].ravel()
    return fill_rows(lengths, shape.length, shape.segments_per_row).rows, int(lengths.sum())


@pytest.mark.parametrize(("query", "document"), [(8, 8), (10, 60), (60, 10), (45, 45)])
def test_cells_fill_groups_and_fit(query, document):
    shape = GroupShape(rows=32, length=128, examples=300, negatives=1, segments=32)
    texts = mixture(3000, query, document)
    rows = np.arange(3000)
    stream = token_stream(texts, rows, shape, groups=2, key=0)
    taken, tokens = zip(*(packed_rows(texts, rows[stream.slice(i)[0]], shape) for i in range(100, 180)), strict=True)
    assert np.mean(tokens) >= 0.95 * shape.tokens
    assert (
        np.mean(np.array(taken) > shape.rows) <= 0.05
    )  # three standard deviations, estimated from four to eight slices


@pytest.mark.parametrize("bounds", [(24, 31), (10, 14), (20, 60), (50, 64), (64, 65)])
def test_small_groups_are_not_left_empty(bounds):
    """Groups of some handfuls of texts, as a laptop's: every one has an example, and few have one too many."""
    shape = GroupShape(rows=4, length=64, examples=16, negatives=0)
    lengths = np.random.default_rng(0).integers(bounds[0], bounds[1], 2 * 600).astype(np.int32)
    texts = ExampleIndex(lengths, np.arange(600), np.arange(600, 1200), np.zeros(0, np.int64), np.zeros(600, np.int64))
    stream = token_stream(texts, np.arange(600), shape, groups=2, key=0)
    slices = [stream.slice(i)[0] for i in range(300)]
    taken = np.array([packed_rows(texts, rows, shape)[0] for rows in slices])
    assert np.mean([len(rows) == 0 for rows in slices]) <= 0.02
    assert np.mean(taken > shape.rows) <= 0.1  # of such a cell a text is cut; one of 20, estimated from 64 slices
    whole = int(4 * 64 / (2 * lengths.mean()))  # examples that fit if the packing is perfect
    assert np.mean(list(map(len, slices))) >= 0.6 * whole


def test_cells_have_no_more_examples_than_the_shape():
    shape = GroupShape(rows=16, length=128, examples=40, negatives=1)
    texts = mixture(2000, 6, 6)
    stream = token_stream(texts, np.arange(2000), shape, groups=4, key=0)
    sizes = [len(stream.slice(i)[0]) for i in range(200)]
    assert max(sizes) <= 40
    assert np.mean(sizes) > 38


def test_a_small_task_is_one_cell():
    shape = GroupShape(rows=16, length=128, examples=40, negatives=1)
    stream = token_stream(mixture(20, 20, 20), np.arange(20), shape, groups=4, key=0)
    assert stream.slices_at_once == 1
    assert [sorted(stream.slice(i)[0]) for i in range(3)] == [list(range(20))] * 3


def test_examples_needed_lose_no_more_tokens_than_allowed():
    short, long = mixture(1000, 14, 14), mixture(1000, 40, 40, seed=1)
    texts = ExampleIndex(
        np.concatenate([short.lengths, long.lengths]),
        *(np.concatenate([a, a + 3000]) for a in (short.query, short.positive, short.negative)),
        np.arange(1, 2001),
    )
    tasks, weights = {"short": range(1000), "long": range(1000, 2000)}, [0.5, 0.5]
    needed = examples_needed(texts, tasks, weights, 4096, negatives=1, lost=0.01)
    fills = {}
    for examples in (needed, needed - 8):
        shape = GroupShape(rows=32, length=128, examples=examples, negatives=1, segments=64)
        fills[examples] = [
            texts.costs(1, 1, np.array(rows)).sum() / stream.total * stream.budget / shape.tokens
            for rows in tasks.values()
            for stream in [token_stream(texts, np.array(rows), shape, 1, 0)]
        ]
    assert np.mean(fills[needed]) >= 0.965  # a hundredth to the limit, the rest to packing
    assert np.mean(fills[needed - 8]) < np.mean(fills[needed])
    assert examples_needed(texts, tasks, [0.0, 1.0], 4096, negatives=1) < needed / 2
    with pytest.raises(ValueError, match="lost=1.0 must be between 0 and 1"):
        examples_needed(texts, tasks, weights, 4096, 1, lost=1.0)
