import dataclasses

import jax
import numpy as np
import pytest

from instructor_jax.text.tokenization import Pair
from instructor_jax.train.data.batch_builder import BatchBuilder
from instructor_jax.train.data.examples import Example
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.data.mixture import MixturePlan
from instructor_jax.train.data.token_cache_writer import label_hash, text_hash

SHAPE = GroupShape(rows=8, length=64, examples=24, negatives=2, segments=16)
GROUPS = 4


@pytest.fixture
def tasks(random_examples):
    """A large task, one with labels and scores and up to three negatives, and a tiny one without negatives."""
    second = [
        dataclasses.replace(example, negatives=example.negatives[: i % 4], label=f"class {i % 3}", score=i / 100)
        for i, example in enumerate(random_examples("b", 60, (3, 12), negatives=3))
    ]
    return {"a": random_examples("a", 200, (3, 30)), "b": second, "c": random_examples("c", 9, (3, 9), negatives=0)}


@pytest.fixture
def builder(make_cache, tasks):
    cache = make_cache(tasks)
    return BatchBuilder(MixturePlan(cache.rows, cache.tasks, [2.0, 1.0, 1.0], SHAPE, GROUPS), cache)


def read_slot(texts, group: int, slot: int) -> tuple[list[int], list[bool]]:
    """Tokens and pooling mask of the text in a slot, from nothing but what the model sees."""
    row, segment = divmod(int(texts.slots[group, slot]), texts.segments_per_row)
    mine = texts.segments[group, row] == segment
    return texts.tokens[group, row][mine].tolist(), texts.pooled[group, row][mine].tolist()


def rows_of(builder: BatchBuilder, tasks: dict[str, list[Example]], step: int) -> list[list[tuple[Example, int]]]:
    """The planned examples of each group, with their passes."""
    everything = [example for rows in tasks.values() for example in rows]
    _, numbers, slices = builder.plan(step)
    planned = [builder.plan.rows(int(t), int(c)) if t >= 0 else ([], []) for t, c in zip(numbers, slices, strict=True)]
    return [[(everything[row], int(p)) for row, p in zip(*one, strict=True)] for one in planned]


@pytest.mark.parametrize("step", [0, 1, 2, 3, 40])
def test_slots_hold_the_planned_examples(builder, tasks, tokenizer, step):
    made = builder(step)
    batch, names = made.batch, list(tasks)
    n, k = SHAPE.examples, SHAPE.negatives
    for group, planned in enumerate(rows_of(builder, tasks, step)):
        assert batch.valid[group].tolist() == [i < len(planned) for i in range(n)]
        for i, (example, number) in enumerate(planned):
            count = len(example.negatives)
            negatives = [example.negatives[(number * k + j) % count] for j in range(min(k, count))]
            slots = {i: example.query, n + i: example.positive}
            slots |= {2 * n + i * k + j: side for j, side in enumerate(negatives)}
            for slot, side in slots.items():
                expected = tokenizer([Pair(*side)])
                tokens, pooled = read_slot(batch.texts, group, slot)
                assert tokens == expected.tokens.tolist()
                assert pooled == [j >= expected.unpooled[0] for j in range(len(tokens))]
            assert tuple(batch.query_id[group, i]) == text_hash(example.query)
            assert tuple(batch.positive_id[group, i]) == text_hash(example.positive)
            assert [tuple(x) for x in batch.negative_id[group, i, : len(negatives)]] == [*map(text_hash, negatives)]
            assert batch.negative_valid[group, i].tolist() == [j < len(negatives) for j in range(k)]
            assert names[batch.task[group, i]] == example.task
            assert batch.label[group, i] == label_hash(example.label)
            assert (
                np.isnan(batch.score[group, i])
                if example.score is None
                else batch.score[group, i] == np.float32(example.score)
            )
        assert (batch.task[group, len(planned) :] == -1).all()
        assert not batch.negative_valid[group, len(planned) :].any()
        texts = sum(2 + min(k, len(example.negatives)) for example, _ in planned)
        assert (batch.texts.slots[group] >= 0).sum() == texts
    assert made.examples == batch.valid.sum()
    assert made.tokens == (batch.texts.segments >= 0).sum()
    assert made.cut_tokens == 0


@pytest.mark.parametrize("hosts", [[[0, 1, 2, 3]], [[0, 1], [2, 3]], [[0, 2], [1, 3]], [[0], [1], [2], [3]]])
def test_hosts_build_parts_of_the_same_batch(builder, hosts):
    order = np.argsort(np.concatenate(hosts))
    for step in (0, 1, 2, 17):
        whole = builder(step)
        parts = [BatchBuilder(builder.plan, builder.cache, groups)(step) for groups in hosts]
        joined = jax.tree.map(lambda *arrays: np.concatenate(arrays)[order], *(part.batch for part in parts))
        for mine, expected in zip(jax.tree.leaves(joined), jax.tree.leaves(whole.batch), strict=True):
            np.testing.assert_array_equal(mine, expected)
        assert sum(part.tokens for part in parts) == whole.tokens
        assert sum(part.examples for part in parts) == whole.examples


def test_only_what_rows_say_is_there(make_cache, random_examples):
    cache = make_cache({"a": random_examples("a", 60, (3, 9), negatives=0)})
    plan = MixturePlan(cache.rows, cache.tasks, [1.0], GroupShape(4, 64, 12, 0), 2)
    batch = BatchBuilder(plan, cache)(0).batch
    assert (batch.score, batch.weight, batch.label, batch.negative_id, batch.negative_valid) == (None,) * 5
    assert batch.texts.slots.shape == (2, 24)


def test_embeddings_are_split_as_they_were_packed(builder):
    batch = builder(0).batch
    n, k = SHAPE.examples, SHAPE.negatives
    numbers = np.arange(GROUPS * n * (2 + k), dtype=np.float32).reshape(GROUPS, n * (2 + k), 1)
    query, positive, negatives = batch.split(jax.numpy.asarray(numbers))
    assert query[1, 3, 0] == numbers[1, 3, 0]
    assert positive[1, 3, 0] == numbers[1, n + 3, 0]
    assert negatives is not None
    assert negatives[1, 3, 1, 0] == numbers[1, 2 * n + 3 * k + 1, 0]
