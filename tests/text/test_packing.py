"""Packing: every text once, every shape on the ladder, little padding, and no trace of the packing in the vectors."""

import dataclasses
from functools import lru_cache, partial

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.nn.model import embed, init_params
from instructor_jax.text.batches import TokenBatch, TokenizedTexts
from instructor_jax.text.buckets import Bucket, PackingConfig, bucket_ladder, row_lengths
from instructor_jax.text.packing import build_batch, pack_rows, plan_calls


def ragged(lengths: list[int], seed: int = 0) -> TokenizedTexts:
    """Texts of random tokens; each masks some of its first tokens."""
    random = np.random.default_rng(seed)
    sizes = np.asarray(lengths, np.int32)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    tokens = random.integers(1, 90, int(sizes.sum())).astype(np.int32)
    return TokenizedTexts(tokens, offsets, random.integers(0, np.maximum(sizes, 1)).astype(np.int32), sizes)


packings = st.builds(
    PackingConfig,
    max_length=st.sampled_from([40, 200, 512, 1500]),
    tokens_per_call=st.sampled_from([64, 512, 2048, 8192]),
    call_overhead=st.sampled_from([0, 256, 4096]),
    groups=st.integers(1, 8),
)


@st.composite
def texts_and_packing(draw: st.DrawFn) -> tuple[list[int], PackingConfig, int | None]:
    packing = draw(packings)
    sizes = st.one_of(st.integers(1, min(packing.max_length, 24)), st.integers(1, packing.max_length))
    return draw(st.lists(sizes, min_size=1, max_size=120)), packing, draw(st.none() | st.integers(1, 40))


# --- What a plan is ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(texts_and_packing())
def test_every_text_lies_in_exactly_one_place_and_every_shape_is_on_the_ladder(given_: tuple) -> None:
    lengths, packing, max_texts = given_
    texts, ladder = ragged(lengths), set(bucket_ladder(packing))
    seen: list[int] = []
    for bucket, groups in plan_calls(texts.lengths, packing, max_texts):
        assert bucket in ladder
        assert len(groups) == packing.groups
        members = [text for rows in groups for row in rows for text in row]
        seen += members
        assert len(members) <= (max_texts or len(lengths))
        for rows in groups:
            assert len(rows) <= bucket.rows
            for row in rows:
                assert sum(lengths[text] for text in row) <= bucket.length
                assert len(row) <= bucket.segments_per_row
        check_batch(texts, bucket, groups, build_batch(texts, bucket, groups))
    assert sorted(seen) == list(range(len(lengths)))


def check_batch(texts: TokenizedTexts, bucket: Bucket, groups: list, batch: TokenBatch) -> None:
    """Reads every text back from the place that `slots` names."""
    shape = (len(groups), bucket.rows, bucket.length)
    assert batch.tokens.shape == batch.segments.shape == batch.pooled.shape == shape
    used = np.zeros(shape, bool)
    for group, rows in enumerate(groups):
        members = [text for row in rows for text in row]
        assert (batch.slots[group, len(members) :] == -1).all()
        for text, slot in zip(members, batch.slots[group], strict=False):
            row, segment = divmod(int(slot), bucket.segments_per_row)
            (positions,) = np.nonzero(batch.segments[group, row] == segment)
            assert (np.diff(positions) == 1).all()  # contiguous
            np.testing.assert_array_equal(
                batch.tokens[group, row, positions], texts.tokens[texts.offsets[text] : texts.offsets[text + 1]]
            )
            np.testing.assert_array_equal(
                batch.pooled[group, row, positions], np.arange(len(positions)) >= texts.unpooled[text]
            )
            used[group, row, positions] = True
    np.testing.assert_array_equal(batch.segments >= 0, used)
    assert not batch.pooled[~used].any()


@settings(deadline=None, max_examples=30)
@given(texts_and_packing())
def test_the_same_texts_give_the_same_plan(given_: tuple) -> None:
    lengths, packing, max_texts = given_
    sizes = ragged(lengths).lengths
    assert list(plan_calls(sizes, packing, max_texts)) == list(plan_calls(sizes.copy(), packing, max_texts))


@pytest.mark.parametrize("groups", [1, 8])
@pytest.mark.parametrize(("tokens_per_call", "overhead"), [(2048, 256), (32768, 2048), (65536, 4096)])
def test_padding_of_a_realistic_mix_is_at_most_five_percent(tokens_per_call: int, overhead: int, groups: int) -> None:
    """Lengths as of web text: most under a hundred tokens, a long tail cut at the limit."""
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(3.9, 0.9, 8192), 3, 512).astype(np.int64)
    packing = PackingConfig(tokens_per_call=tokens_per_call, call_overhead=overhead, groups=groups)
    computed = sum(bucket.length * bucket.rows * groups for bucket, _ in plan_calls(lengths, packing))
    assert 0 <= 1 - lengths.sum() / computed <= 0.05


def of_four_kinds(random: np.random.Generator, count: int) -> np.ndarray:
    """Questions, sentences, paragraphs and documents, equally many."""
    kind = random.integers(0, 4, count)
    return random.integers(np.array([12, 25, 55, 180])[kind], np.array([25, 56, 181, 513])[kind])


DISTRIBUTIONS = {
    "questions": lambda random, count: random.integers(9, 41, count),
    "four kinds": of_four_kinds,
    "sentences and paragraphs": lambda random, count: random.integers(40, 200, count),
    "anything up to the limit": lambda random, count: random.integers(10, 513, count),
    "web text": lambda random, count: random.lognormal(4, 1, count),
    "passages": lambda random, count: random.normal(150, 40, count),
    "documents, most of them cut": lambda random, count: random.lognormal(6, 1, count),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_padding_on_a_cpu_is_at_most_five_percent_from_64_texts_on(name: str) -> None:
    """On average; of single draws of 64 texts some have more, since rows come in four lengths."""
    packing = PackingConfig(max_length=512, tokens_per_call=2048, call_overhead=32)  # those of the engine, on CPUs
    assert len(bucket_ladder(packing)) == 17
    for count in (64, 100, 300, 1000):
        shares = []
        for seed in range(8):
            lengths = np.clip(DISTRIBUTIONS[name](np.random.default_rng(seed), count), 8, 512).astype(np.int64)
            computed = sum(bucket.length * bucket.rows for bucket, _ in plan_calls(lengths, packing))
            shares.append(1 - lengths.sum() / computed)
        assert 0 <= np.mean(shares) <= 0.05, f"{count} texts: {shares}"


@pytest.mark.parametrize(("tokens_per_call", "groups"), [(2048, 1), (65536, 1), (32768, 8)])
@pytest.mark.parametrize("length", [512, 40])
def test_any_number_of_equal_texts_is_planned(length: int, tokens_per_call: int, groups: int) -> None:
    """Thousands of rows in small calls, and a few rows in calls of hundreds."""
    packing = PackingConfig(tokens_per_call=tokens_per_call, groups=groups)
    for count in (1, 5, 1500, 8192):
        calls = list(plan_calls(np.full(count, length), packing))
        assert sum(len(row) for _, rows_of in calls for rows in rows_of for row in rows) == count
        largest = max(bucket.rows for bucket in bucket_ladder(packing))
        assert all(bucket.rows <= largest for bucket, _ in calls)


def test_the_ladder_is_short() -> None:
    for tokens_per_call in (2048, 65536):
        assert len(bucket_ladder(PackingConfig(tokens_per_call=tokens_per_call))) <= 32
    one, eight = (bucket_ladder(PackingConfig(groups=groups)) for groups in (1, 8))
    assert set(eight) < set(one)  # rows for a single short query are for one device
    assert {bucket.length for bucket in one} - {bucket.length for bucket in eight} == {16, 24, 32, 40, 48, 64}


@pytest.mark.parametrize(
    ("max_length", "latency", "bulk"),
    [
        (512, (16, 24, 32, 40, 48, 64), (128, 256, 384, 512)),
        (256, (16, 24, 32, 40, 48, 64), (128, 256)),
        (100, (16, 24, 32, 40, 48, 64), (112,)),
        (9, (), (16,)),
        (2048, (16, 24, 32, 40, 48, 64), (128, 256, 384, 512, 1024, 2048)),
    ],
)
def test_row_lengths(max_length: int, latency: tuple, bulk: tuple) -> None:
    assert row_lengths(max_length) == (latency, bulk)


def test_what_cannot_be_packed_is_refused() -> None:
    for lengths, worst in (([3, 600], 600), ([3, 0], 0)):
        with pytest.raises(ValueError, match=f"a text of {worst} tokens cannot be packed; allowed are 1 to 512"):
            pack_rows(np.array(lengths), PackingConfig())
    for change in ({"max_length": 1}, {"tokens_per_call": 0}, {"call_overhead": -1}, {"groups": 0}):
        with pytest.raises(ValueError, match="must be positive"):
            PackingConfig(**change)


# --- What the model makes of it ------------------------------------------------------------------------------------

TINY = ModelConfig(EncoderConfig(vocab=90, embed=16, layers=1, heads=2, head_dim=8, ffn=32), projection=8)
SMALLEST = PackingConfig(max_length=48, tokens_per_call=96)  # four shapes: rows of 16, 32, 48, and two rows of 48
# float32: the same sums over other padding; vectors have unit length
TOLERANCE = 2e-6


@lru_cache
def model():
    params = init_params(TINY, seed=1)
    return partial(jax.jit(partial(embed, TINY)), params)


def tokenized(texts: list[list[int]]) -> TokenizedTexts:
    """Texts given as token ids, the first third of each being instruction."""
    blank = ragged([len(text) for text in texts])
    third = np.array([len(text) // 3 for text in texts], np.int32)
    return dataclasses.replace(blank, tokens=np.concatenate(texts).astype(np.int32), unpooled=third)


def encode(texts: list[list[int]], packing: PackingConfig, max_texts: int | None = None) -> np.ndarray:
    """Their vectors, through the plan for them all."""
    given_ = tokenized(texts)
    vectors = np.full((len(texts), TINY.embedding_dim), np.nan, np.float32)
    for bucket, groups in plan_calls(given_.lengths, packing, max_texts):
        found = np.asarray(model()(build_batch(given_, bucket, groups)))
        for group, rows in enumerate(groups):
            members = [text for row in rows for text in row]
            vectors[members] = found[group, : len(members)]
    return vectors


token_lists = st.lists(st.integers(1, 89), min_size=1, max_size=48)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(
    text=token_lists,
    before=st.lists(token_lists, max_size=6),
    after=st.lists(token_lists, max_size=6),
    max_texts=st.none() | st.integers(1, 5),
)
def test_a_text_has_one_vector_in_any_company(text: list, before: list, after: list, max_texts: int | None) -> None:
    """Alone, and anywhere in a batch: another row, position, bucket and other neighbours."""
    alone = encode([text], SMALLEST)[0]
    among = encode([*before, text, *after], SMALLEST, max_texts)[len(before)]
    assert np.abs(alone - among).max() <= TOLERANCE


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(st.lists(token_lists, min_size=2, max_size=4).filter(lambda texts: sum(map(len, texts)) <= 48))
def test_one_text_per_row_is_the_special_case(texts: list[list[int]]) -> None:
    together = encode(texts, SMALLEST)
    for index in range(len(texts)):
        batch = build_batch(tokenized(texts), Bucket(48, 1), [[[index]]])
        assert np.abs(np.asarray(model()(batch))[0, 0] - together[index]).max() <= TOLERANCE


def test_a_vector_depends_on_its_own_tokens() -> None:
    """The properties above would hold for a model that ignores its input."""
    one, other = encode([[5, 6, 7], [5, 6, 8]], SMALLEST)
    assert np.abs(one - other).max() > 0.01
