"""Complete model folders of any family: a tokenizer of the family's kind made here, and random weights."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from instructor_jax.backbones.registry import backbone_of
from instructor_jax.config import ModelConfig
from instructor_jax.io.folder_writer import write_sentence_transformers
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.weights.names import params_from_torch, torch_shapes
from instructor_jax.text.new_tokenizer import write_tokenizer

TEXTS = (
    "A man, a plan: 42 canals!",
    "Zürich straße naïve CAFÉ",
    "it's   two  blanks and don't",
    "x",
    "words that are longer than those before, and a few more of them to fill a row",
)
PROMPT = "Represent the text: "
_WORDS = ("the", "text", "represent", "man", "plan", "and", "word", "that", "are")


def new_tokenizer(kind: str, special: tuple[str, ...]) -> Any:
    """A `tokenizers.Tokenizer` of one of the kinds, whose vocabulary begins with the special tokens."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    if kind == "wordpiece":
        letters = [chr(code) for code in range(33, 127)]
        pieces = [*special, *letters, *(f"##{letter}" for letter in letters), *_WORDS]
        vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
        tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return tokenizer
    if kind == "sentencepiece":
        pieces = [*special, "▁", *(f"<0x{byte:02X}>" for byte in range(256)), *(chr(code) for code in range(33, 127))]
        merges = [("▁", "t"), ("h", "e"), ("▁t", "he"), ("a", "n")]
        vocabulary = {piece: index for index, piece in enumerate([*pieces, *(a + b for a, b in merges)])}
        tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        return tokenizer
    pieces = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("a", "n")]
    vocabulary = {piece: index for index, piece in enumerate([*pieces, *(a + b for a, b in merges)])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.normalizer = normalizers.NFC()
    if kind == "bytes":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:  # Qwen's words
        from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

        split = pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), "isolated")
        by_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, by_bytes])
    return tokenizer


def family_folder(path: Path, kind: str, config: ModelConfig, **about: Any) -> Path:
    """A folder of sentence-transformers at `path`, with random weights and a tokenizer of the family's kind.

    Args:
        path: where.
        kind: of tokenizer; see `new_tokenizer`.
        config: of the model; its vocabulary must hold some 300 pieces.
        about: `prompts` and the like of `ModelFolder`.
    """
    beside = path.parent / f"{path.name}-tokenizer"
    beside.mkdir(parents=True)
    habits = backbone_of(config.encoder).tokenizer
    tokenizer = new_tokenizer(kind, habits.special)
    habits.finish(tokenizer)
    write_tokenizer(tokenizer.to_str(pretty=True), habits, beside)
    # transformers looks up the tokenizer's class by it
    (beside / "config.json").write_text(json.dumps({"model_type": config.encoder.model_type}))
    write_sentence_transformers(path, ModelFolder(beside, config, **about), random_params(config))
    return path


def random_params(config: ModelConfig, seed: int = 0) -> dict[str, Any]:
    """Weights whose states stay of order 1 and differ from token to token."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, shape in torch_shapes(config).items():
        spread = 0.3 if len(shape) == 1 or "embed" in name or "relative" in name else shape[-1] ** -0.5
        arrays[name] = (random.standard_normal(shape) * spread).astype(np.float32)
        if len(shape) == 1 and name.endswith(("weight", "scalar")):
            arrays[name] += 1.0
        if "q_norm" in name:  # scores that no softmax turns into a choice of one token, where rounding would decide
            arrays[name] *= 0.3
    return params_from_torch(config, arrays)
