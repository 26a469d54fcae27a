"""A tiny model and packed batches of random texts for it: positives are their queries' words in another order."""

import numpy as np

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.text.batches import TokenBatch, TokenizedTexts
from instructor_jax.text.buckets import Bucket
from instructor_jax.text.packing import build_batch
from instructor_jax.train.config import TrainConfig
from instructor_jax.train.data.batches import PairBatch
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.objective import LossConfig
from instructor_jax.train.optimizer import OptimizerConfig

TINY = ModelConfig(
    EncoderConfig(vocab=64, embed=16, layers=2, heads=2, head_dim=8, ffn=32), projection=8, max_length=16
)


def tiny_config(**changes: object) -> TrainConfig:
    """Eight groups of two rows with a hard negative each, trained with the in-batch loss in float32."""
    return TrainConfig(
        **{
            "model": TINY,
            "group": GroupShape(rows=4, length=16, examples=2, negatives=1),
            "groups": 8,
            "steps": 100,
            "loss": LossConfig("in_batch", temperature=0.05),
            "tasks": ("first", "second", "third"),
            "optimizer": OptimizerConfig(learning_rate=1e-4, warmup_steps=10, schedule_steps=200),
        }
        | changes  # type: ignore[arg-type]
    )


def random_batch(config: TrainConfig, seed: int, **changes: object) -> PairBatch:
    """All rows real and of task 0 unless changed; every text has an instruction of one or two tokens."""
    rng = np.random.default_rng(seed)
    groups, n, k = config.groups, config.group.examples, config.group.negatives
    texts = []
    for _ in range(groups):
        queries = [rng.integers(2, config.model.encoder.vocab, rng.integers(3, 7)) for _ in range(n)]
        positives = [rng.permutation(query) for query in queries]
        negatives = [rng.integers(2, config.model.encoder.vocab, rng.integers(3, 7)) for _ in range(n * k)]
        texts += [np.append(ids, 1) for ids in (*queries, *positives, *negatives)]
    unpooled = rng.integers(1, 3, len(texts)).astype(np.int32)

    def hashes(*shape: int) -> np.ndarray:
        return rng.integers(0, 2**32, (*shape, 2), dtype=np.uint32)

    values = {
        "texts": pack(texts, unpooled, config),
        "task": np.zeros((groups, n), np.int32),
        "query_id": hashes(groups, n),
        "positive_id": hashes(groups, n),
        "negative_id": hashes(groups, n, k) if k else None,
        "valid": np.ones((groups, n), bool),
        "negative_valid": np.ones((groups, n, k), bool) if k else None,
    }
    return PairBatch(**{**values, **changes})  # type: ignore[arg-type]


def tokenized(texts: list[np.ndarray], unpooled: np.ndarray) -> TokenizedTexts:
    lengths = np.array([len(text) for text in texts])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return TokenizedTexts(np.concatenate(texts).astype(np.int32), offsets, unpooled, lengths.astype(np.int32))


def pack(texts: list[np.ndarray], unpooled: np.ndarray, config: TrainConfig) -> TokenBatch:
    """Each group's texts into its rows, the next row when one is full; slots in the order of the texts."""
    shape = config.group
    per_group = len(texts) // config.groups
    groups = []
    for group in range(config.groups):
        rows: list[list[int]] = [[]]
        for text in range(group * per_group, (group + 1) * per_group):
            full = sum(len(texts[i]) for i in rows[-1]) + len(texts[text]) > shape.length
            if full or len(rows[-1]) == shape.segments_per_row:
                rows.append([])
            rows[-1].append(text)
        assert len(rows) <= shape.rows
        groups.append(rows)
    bucket = Bucket(shape.length, shape.rows)
    assert bucket.segments_per_row == shape.segments_per_row
    batch = build_batch(tokenized(texts, unpooled), bucket, groups)
    # read row by row the texts come in their own order, so the first slots are theirs
    return TokenBatch(batch.tokens, batch.segments, batch.pooled, batch.slots[:, :per_group], bucket.segments_per_row)
