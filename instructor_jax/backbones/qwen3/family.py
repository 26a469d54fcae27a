"""The record of the Qwen3 family, as Qwen3-Embedding uses it: causal, the vector is the last token's state."""

from typing import Any

from instructor_jax.backbones.qwen3.config import Qwen3Config, read_config, write_config
from instructor_jax.backbones.qwen3.names import NAMES
from instructor_jax.backbones.registry import Backbone, EncoderModule
from instructor_jax.backbones.tokenizer_habits import TokenizerClass, TokenizerHabits
from instructor_jax.config import ModelConfig


def _build(config: Qwen3Config, compute: Any, rngs: Any) -> EncoderModule:
    from instructor_jax.backbones.qwen3.encoder import Encoder  # JAX and flax, which reading a folder does without

    return Encoder(config, compute, rngs)


_END = "<|endoftext|>"
_NAMED = {"eos_token": _END, "pad_token": _END}


def finish(tokenizer: Any) -> None:
    """Gives a `tokenizers.Tokenizer` of bytes that begins with `<|endoftext|>` that token as the end of a text."""
    from tokenizers import decoders, processors

    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {_END}", special_tokens=[(_END, 0)])
    tokenizer.add_special_tokens([_END])


HABITS = TokenizerHabits(
    classes={
        "Qwen2Tokenizer": TokenizerClass(named=_NAMED),
        "PreTrainedTokenizer": TokenizerClass(),
        "TokenizersBackend": TokenizerClass(),
    },
    default=lambda name, model_type: name or "Qwen2Tokenizer",
    from_sentencepiece=None,
    special=(_END,),
    finish=finish,
    # the class of Qwen makes its tokenizer anew from the vocabulary in transformers 5, without the end of a text
    new_settings={"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 32768, **_NAMED},
    ends_with_eos=False,  # Qwen3-Embedding names <|im_end|> and ends texts with <|endoftext|>
    only={"add_prefix_space": (False,)},
    harmless=("errors",),  # how bytes that are no text are shown
)

# Qwen3 Embedding (Zhang et al. 2025), table 1, and the config.json of each
_SIZES = {
    "0.6B": Qwen3Config(vocab=151669, embed=1024, layers=28, heads=16, ffn=3072),
    "4B": Qwen3Config(vocab=151665, embed=2560, layers=36, heads=32, ffn=9728, max_positions=40960),
    "8B": Qwen3Config(vocab=151665, embed=4096, layers=36, heads=32, ffn=12288, max_positions=40960),
}

BACKBONE = Backbone(
    title="Qwen3",
    config=Qwen3Config,
    build=_build,
    read_config=read_config,
    write_config=write_config,
    weights=NAMES,
    tokenizer=HABITS,
    pools_instruction=True,
    residual_outputs=(("attention", "out"), ("mlp", "wo")),
    published={
        f"Qwen3-Embedding-{size}": ModelConfig(
            config, max_length=config.max_positions, pool_instruction=True, pooling="lasttoken"
        )
        for size, config in _SIZES.items()
    },
)
