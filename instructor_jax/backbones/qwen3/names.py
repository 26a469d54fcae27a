"""The names of Qwen3's weights in the files of transformers and of adapters."""

from instructor_jax.backbones.qwen3 import grouped_heads
from instructor_jax.backbones.qwen3.config import Qwen3Config
from instructor_jax.backbones.weight_names import Entry

_NORMS = (("attention_norm", "input_layernorm"), ("mlp_norm", "post_attention_layernorm"))


def table(config: Qwen3Config) -> list[Entry]:
    """Returns the entries of all parameters of a model with this configuration."""
    return grouped_heads.table(config, _NORMS)


NAMES = grouped_heads.names(table)
