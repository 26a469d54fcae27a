"""A mixture of three small tasks of words, and settings of a run on it that takes seconds."""

import random
from pathlib import Path

from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.storage.staging import Staging
from instructor_jax.train.medi.storage.store_writer import write_store
from instructor_jax.train.objective import LossConfig
from instructor_jax.train.optimizer import OptimizerConfig
from instructor_jax.train.run.preemption import StopRequest
from instructor_jax.train.settings.run_config import RunConfig
from instructor_jax.train.settings.sections import BatchConfig, CheckpointConfig, HeldOutConfig, LogConfig

WORDS = [
    first + second for first in ("ba", "de", "fi", "go", "lu", "mo", "ne", "ra") for second in ("l", "m", "n", "r")
]


def write_mixture(folder: Path, rows: int = 60, seed: int = 0) -> Path:
    """Three tasks; a positive has its query's words in another order, its hard negative all but one of them."""
    chance = random.Random(seed)
    staging = Staging(folder.with_name(f"{folder.name}.partial"))
    for task, count in (("animals", rows), ("plants", rows // 2), ("stones", rows // 3)):
        examples = []
        for row in range(count):
            words = chance.sample(WORDS, chance.randint(4, 8))
            other = [*words[1:], chance.choice(WORDS)]
            sides = [Side(f"the {task}: ", " ".join(chance.sample(text, len(text)))) for text in (words, words, other)]
            examples.append(Example(sides[0], sides[1], (sides[2],), task, f"row {row}"))
        staging.write(task, examples)
    write_store(folder, staging)
    return folder


def small_run(data: Path, output: Path, **changes: object) -> RunConfig:
    """Eight groups a step, a vocabulary of 90 pieces, a line of metrics for every step."""
    encoder = EncoderConfig(vocab=90, embed=16, layers=2, heads=2, head_dim=8, ffn=32)
    settings = {
        "data": str(data),
        "output": str(output),
        "model": ModelConfig(encoder, projection=8, max_length=32),
        "batch": BatchConfig(groups=8, rows=8, length=64, negatives=1),
        "steps": 8,
        "loss": LossConfig("in_batch", temperature=0.1),
        "optimizer": OptimizerConfig(learning_rate=1e-3, warmup_steps=2, schedule_steps=0),
        "checkpoints": CheckpointConfig(every=4),
        "log": LogConfig(every=1, tensorboard=False),
        "held_out": HeldOutConfig(rows=4, every=4),
    }
    return RunConfig(**{**settings, **changes})  # type: ignore[arg-type]


class StopAfter(StopRequest):
    """Asks to stop after a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.at = step

    def requested(self, step: int) -> bool:
        return step == self.at
