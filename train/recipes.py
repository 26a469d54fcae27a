"""Recipes: named settings of whole training runs. `key=value` on the command line changes single ones.

The published setup of INSTRUCTOR is put together from its training code of December 2022 and January 2023
(xlang-ai/instructor-embedding, `train.py`), its README and its issue threads; where they and the paper contradict each
other, the comment at the number says so. No score is promised that nobody measured: "not measured" it is.
"""

import dataclasses
from collections.abc import Callable

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.sharding import MeshShape

from .objective import LossConfig
from .optimizer import OptimizerConfig
from .packaged_recipes import SAME_TEXTS as SAME_TEXTS
from .packaged_recipes import default, small
from .settings.mixture_config import MixtureConfig
from .settings.run_config import RunConfig
from .settings.sections import BatchConfig, CheckpointConfig, HeldOutConfig, LogConfig

_PUBLISHED_ROWS = 1_435_000  # of the published medi-data.json


def tiny() -> RunConfig:
    """Sets up a model of 5 million weights from scratch, with its own vocabulary: for laptops, tests and tutorials.

    Data: any mixture. Hardware: two CPU cores. Score: not measured; it is for trying out.

      instructor-jax train tiny data=data/mine output=runs/tiny
    """
    encoder = EncoderConfig(vocab=16_000, embed=256, layers=2, heads=4, head_dim=64, ffn=512, dropout=0.0)
    return RunConfig(
        model=ModelConfig(encoder, projection=256, max_length=256),
        batch=BatchConfig(groups=2, rows=8, negatives=1),
        steps=1600,
        mixture=MixtureConfig(max_examples=20_000, temperature=1.5),
        loss=LossConfig("in_batch", temperature=0.05),
        # relative: with plain AdamW the steps that move the embeddings break the layers, and nothing is learnt
        optimizer=OptimizerConfig(
            learning_rate=4e-3, relative=True, warmup_steps=50, schedule="cosine", schedule_steps=0
        ),
        checkpoints=CheckpointConfig(every=200),
        held_out=HeldOutConfig(rows=16, every=400),
        seed=0,
    )


def instructor_base() -> RunConfig:
    """Sets up INSTRUCTOR-base as published: from GTR-base, triples of one task, batch 4, 40,000 steps.

    Data: the published mixture (`instructor-jax medi import medi-data.json --to data/medi`). Hardware: one GPU or TPU
    core with 16 GB; about 6 hours on the authors' (issue 14 of their repository). Score: not measured here; the
    published model has 55.9 on average over the paper's nine kinds of tasks (their README), 59.5 over MTEB's 56.

      instructor-jax train instructor_base data=data/medi output=runs/base
    """
    return dataclasses.replace(
        _published(), init_from="sentence-transformers/gtr-t5-base", steps=40_000
    )  # 40 K: issue 14; the paper and issues 32 and 66 say 20 K, without naming the size


def instructor_large() -> RunConfig:
    """Sets up INSTRUCTOR-large as published: from GTR-large, triples of one task, batch 4, 20,000 steps.

    Data: as instructor_base. Hardware: one device with 40 GB (the paper's A100), about 12 hours on theirs (issue 14).
    Score: not measured here; the published model has 58.4 on average over the paper's nine kinds of tasks (their
    README), 61.6 over MTEB's 56.

      instructor-jax train instructor_large data=data/medi output=runs/large
    """
    return dataclasses.replace(_published(), init_from="sentence-transformers/gtr-t5-large", steps=20_000)


def instructor_xl() -> RunConfig:
    """Sets up INSTRUCTOR-xl as published: from GTR-xl (encoder of T5-3b), triples of one task, batch 4.

    Data: as instructor_base. Hardware: weights and AdamW's state take 20 GB; `mesh.fsdp=4` splits them over four
    devices with `batch.groups=4 batch.rows=3 mixture.rows_per_group=1`. About 30 hours on the authors' machine (issue
    14), who do not say how many steps; 20,000 is large's. Score: not measured here; published 58.8 over the paper's
    nine kinds of tasks (their README), 61.8 over MTEB's 56.

      instructor-jax train instructor_xl data=data/medi output=runs/xl
    """
    return dataclasses.replace(_published(), init_from="sentence-transformers/gtr-t5-xl", steps=20_000, remat="dots")


def modern_base() -> RunConfig:
    """Sets up a base model with what came after: in-batch negatives, false ones masked, nested dimensions, bfloat16.

    Data: any mixture with instructions. Hardware: made for one GPU with 80 GB or 8 TPU cores;
    `gradient_cache_chunks` trades memory for time. Score: not measured.

      instructor-jax train modern_base data=data/medi output=runs/modern
    """
    return RunConfig(
        init_from="sentence-transformers/gtr-t5-base",
        max_length=512,
        batch=BatchConfig(groups=8, rows=64, length=512, negatives=1),
        steps=10_000,
        mixture=MixtureConfig(max_examples=200_000, temperature=1.5),
        loss=LossConfig("in_batch", temperature=0.02, dims=(768, 512, 256, 128, 64)),
        optimizer=OptimizerConfig(
            learning_rate=5e-5, warmup_steps=500, schedule="cosine", schedule_steps=0, weight_decay=0.01
        ),
        dtype="bfloat16",
        remat="dots",
        workers=4,
        checkpoints=CheckpointConfig(every=500),
        held_out=HeldOutConfig(rows=64, every=500),
        mesh=MeshShape(),
    )


def modern_bert_base() -> RunConfig:
    """Sets up an instruction-tuned ModernBERT-base: the settings of modern_base, the mean over the text alone.

    Data: any mixture with instructions. Hardware: made for one GPU with 80 GB or 8 TPU cores. Score: not measured.

      instructor-jax train modern_bert_base data=data/medi output=runs/modern-bert
    """
    return dataclasses.replace(
        modern_base(),
        init_from="answerdotai/ModernBERT-base",
        pool_instruction=False,
        # a starting point, not tuned: of the order that encoders of this size are fine-tuned with
        optimizer=OptimizerConfig(
            learning_rate=8e-5, warmup_steps=500, schedule="cosine", schedule_steps=0, weight_decay=0.01
        ),
    )


def modern_gemma_300m() -> RunConfig:
    """Sets up further training of EmbeddingGemma 300M with instructions that are left out of the mean.

    Data: any mixture with instructions. Hardware: made for 16 TPU cores with 16 GB or 8 GPUs. Score: not measured.

      instructor-jax train modern_gemma_300m data=data/medi output=runs/modern-gemma
    """
    return dataclasses.replace(
        modern_base(),
        init_from="google/embeddinggemma-300m",
        pool_instruction=False,
        batch=BatchConfig(groups=16, rows=32, length=512, negatives=1),
        optimizer=OptimizerConfig(
            learning_rate=2e-5, warmup_steps=500, schedule="cosine", schedule_steps=0, weight_decay=0.01
        ),
    )


def modern_qwen3_600m() -> RunConfig:
    """Sets up further training of Qwen3-Embedding 0.6B with instructions; the vector is the last token's state.

    Data: any mixture with instructions. Hardware: made for 16 TPU cores with 16 GB or 8 GPUs; weights and AdamW's state
    take 7 GB, which `mesh.fsdp` splits. Score: not measured.

      instructor-jax train modern_qwen3_600m data=data/medi output=runs/modern-qwen3
    """
    return dataclasses.replace(
        modern_base(),
        init_from="Qwen/Qwen3-Embedding-0.6B",
        batch=BatchConfig(groups=16, rows=16, length=512, negatives=1),
        loss=LossConfig("in_batch", temperature=0.02, dims=(1024, 512, 256, 128, 64)),
        optimizer=OptimizerConfig(
            learning_rate=1e-5, warmup_steps=500, schedule="cosine", schedule_steps=0, weight_decay=0.01
        ),
        remat="full",
        mesh=MeshShape(fsdp=4),
    )


def _published() -> RunConfig:
    steps_an_epoch = _PUBLISHED_ROWS // 4
    return RunConfig(
        max_length=512,
        # batch 4, hard-coded in the code of December 2022; its README sets none (Trainer's default is 8 a device), the
        # paper says "the maximum that fits". A row holds one text, padded to 512, there; the shape here is as large.
        batch=BatchConfig(groups=1, rows=12, length=512, negatives=1),
        # consecutive rows of one task, all slices of all tasks shuffled once: tasks weigh by their rows
        mixture=MixtureConfig(rows_per_group=4, shuffle=False),
        # 0.01: paper and README until 2023-09-15; the README says 0.1 since
        loss=LossConfig("original", temperature=0.01),
        # README: 2e-5, warm-up ratio 0.1 of ten nominal epochs. Training stopped long before, so the rate never left
        # the warm-up: at step 20,000 it is 1.1e-6.
        optimizer=OptimizerConfig(
            learning_rate=2e-5,
            schedule="linear",
            warmup_steps=steps_an_epoch,
            schedule_steps=10 * steps_an_epoch,
        ),
        dropout=True,  # T5's 0.1; the model trained in PyTorch's train mode
        dtype="float32",  # no half precision in the command
        seed=42,  # Trainer's default
        log=LogConfig(every=50),
        checkpoints=CheckpointConfig(every=500, keep=3),  # README: every 500 steps
        # the original measured nothing while training, and trained on every row
        held_out=HeldOutConfig(rows=0, every=1000),
    )


RECIPES: dict[str, Callable[[], RunConfig]] = {
    function.__name__: function
    for function in (
        tiny, small, default, instructor_base, instructor_large, instructor_xl, modern_base,
        modern_bert_base, modern_gemma_300m, modern_qwen3_600m,
    )
}  # fmt: skip


def recipe(name: str) -> RunConfig:
    """Returns a recipe by its name.

    Raises:
        ValueError: There is none of this name.
    """
    if name not in RECIPES:
        raise ValueError(f"no recipe is called {name!r}; there are {', '.join(RECIPES)}.")
    return RECIPES[name]()
