"""The record of the BERT family: BERT itself, MiniLM, BGE, E5, GTE, arctic-embed."""

import dataclasses
from typing import Any

from instructor_jax.backbones.bert.config import BertConfig, read_config, write_config
from instructor_jax.backbones.bert.names import NAMES
from instructor_jax.backbones.registry import Backbone, EncoderModule
from instructor_jax.backbones.tokenizer_habits import TokenizerClass, TokenizerHabits, begin_and_end
from instructor_jax.config import ModelConfig


def _build(config: BertConfig, compute: Any, rngs: Any) -> EncoderModule:
    from instructor_jax.backbones.bert.encoder import Encoder  # JAX and flax, which reading a folder does without

    return Encoder(config, compute, rngs)


_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_NAMED = {
    "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]",
}  # fmt: skip


def finish(tokenizer: Any) -> None:
    """Gives a `tokenizers.Tokenizer` that begins with BERT's special tokens the beginning and end of a text."""
    from tokenizers import decoders

    tokenizer.decoder = decoders.WordPiece(prefix="##")
    begin_and_end(tokenizer, _SPECIAL, "[CLS]", "[SEP]")


HABITS = TokenizerHabits(
    classes={
        "BertTokenizer": TokenizerClass(named=_NAMED),
        "PreTrainedTokenizer": TokenizerClass(),
        "TokenizersBackend": TokenizerClass(),
    },
    default=lambda name, model_type: name or "BertTokenizer",
    from_sentencepiece=None,
    special=_SPECIAL,
    finish=finish,
    new_settings={"tokenizer_class": "BertTokenizer", "model_max_length": 512, **_NAMED},
    ends_with_eos=False,  # texts end with [SEP]
    normalizer_keys={
        "do_lower_case": "lowercase",
        "strip_accents": "strip_accents",
        "tokenize_chinese_chars": "handle_chinese_chars",
    },
    only={"do_basic_tokenize": (True,), "never_split": ([],), "add_prefix_space": (False, True)},
)

_SMALL = BertConfig(embed=384, heads=12, head_dim=32, ffn=1536)
_SIZES = {
    "xs": dataclasses.replace(_SMALL, layers=6),
    "small": _SMALL,
    "base": BertConfig(),
    "large": BertConfig(embed=1024, layers=24, heads=16, ffn=4096),
}


def _embedder(size: str, **other: Any) -> ModelConfig:
    return ModelConfig(_SIZES[size], **{"pool_instruction": True, **other})


def _published() -> dict[str, ModelConfig]:
    models = {f"bert-{size}-uncased": _embedder(size, normalize=False) for size in ("base", "large")}
    models["all-MiniLM-L6-v2"] = _embedder("xs", max_length=256)
    models["all-MiniLM-L12-v2"] = _embedder("small", max_length=128)
    for size in ("small", "base", "large"):
        models[f"bge-{size}-en-v1.5"] = _embedder(size, pooling="cls")
        models[f"e5-{size}-v2"] = _embedder(size)
        models[f"gte-{size}"] = _embedder(size)
    for size, ours in (("xs", "xs"), ("s", "small"), ("m", "base"), ("l", "large")):
        models[f"snowflake-arctic-embed-{size}"] = _embedder(ours, pooling="cls")
    return models


BACKBONE = Backbone(
    title="BERT",
    config=BertConfig,
    build=_build,
    read_config=read_config,
    write_config=write_config,
    weights=NAMES,
    tokenizer=HABITS,
    pools_instruction=True,
    residual_outputs=(("attention", "out"), ("mlp", "wo")),
    published=_published(),
)
