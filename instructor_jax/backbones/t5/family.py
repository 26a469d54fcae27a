"""The record of the T5 family: T5 1.0 and 1.1, Flan-T5, mT5, umT5, ByT5."""

from typing import Any

from instructor_jax.backbones.registry import Backbone, EncoderModule
from instructor_jax.backbones.t5.config import T5Config
from instructor_jax.backbones.t5.config_file import read_config, write_config
from instructor_jax.backbones.t5.names import NAMES
from instructor_jax.backbones.t5.sizes import published
from instructor_jax.backbones.t5.tokenizer import HABITS


def _build(config: T5Config, compute: Any, rngs: Any) -> EncoderModule:
    from instructor_jax.backbones.t5.encoder import Encoder  # JAX and flax, which reading a folder does without

    return Encoder(config, compute, rngs)


BACKBONE = Backbone(
    title="T5",
    config=T5Config,
    build=_build,
    read_config=read_config,
    write_config=write_config,
    weights=NAMES,
    tokenizer=HABITS,
    pools_instruction=False,  # published INSTRUCTOR models say nothing
    residual_outputs=(("attention", "out"), ("mlp", "wo")),
    published=published(),
)
