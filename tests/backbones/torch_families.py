"""Small random encoders of each family beside T5, made by transformers, with weights spread enough to matter."""

import re
from typing import Any

import numpy as np
import pytest

from instructor_jax.config import ModelConfig
from instructor_jax.io.settings.family import read_encoder_config
from instructor_jax.text.batches import TokenBatch

_BERT = {
    "vocab_size": 97, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": 64,
}  # fmt: skip

# family -> variant -> what it changes; the first entry of a family is the class's name and what all of them have
FAMILIES: dict[str, tuple[str, dict[str, Any], dict[str, dict[str, Any]]]] = {
    "bert": (
        "Bert",
        _BERT,
        {
            "plain": {},
            "two-heads": {"num_attention_heads": 2},
            "one-layer": {"num_hidden_layers": 1, "type_vocab_size": 3},
            "relu": {"hidden_act": "relu", "layer_norm_eps": 1e-3},
            "tanh-gelu": {"hidden_act": "gelu_new", "vocab_size": 211},
            "wide": {"intermediate_size": 1024, "num_hidden_layers": 2},
            "many-heads": {"hidden_size": 48, "num_attention_heads": 12},
        },
    ),
    "mpnet": (
        "MPNet",
        {**_BERT, "max_position_embeddings": 70},
        {
            "plain": {},
            "two-heads": {"num_attention_heads": 2},
            "one-layer": {"num_hidden_layers": 1},
            "relu": {"hidden_act": "relu", "layer_norm_eps": 1e-3},
            "tanh-gelu": {"hidden_act": "gelu_new", "vocab_size": 211},
            "wide": {"intermediate_size": 1024, "num_hidden_layers": 2, "max_position_embeddings": 66},
        },
    ),
    "qwen3": (
        "Qwen3",
        {
            "vocab_size": 97,
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "intermediate_size": 48,
            "max_position_embeddings": 64,
        },
        {
            "plain": {},
            "one-key-head": {"num_key_value_heads": 1, "rope_theta": 500.0},
            "one-layer": {"num_hidden_layers": 1, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
            "wide-heads": {"head_dim": 24, "rms_norm_eps": 1e-3},
            "biases": {"attention_bias": True, "num_key_value_heads": 4},
            "gelu": {"hidden_act": "gelu_pytorch_tanh", "vocab_size": 211, "intermediate_size": 1024},
        },
    ),
    "gemma": (
        "Gemma3Text",
        {
            "vocab_size": 97,
            "hidden_size": 32,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "head_dim": 8,
            "intermediate_size": 48,
            "sliding_window": 8,
            "sliding_window_pattern": 3,
            "query_pre_attn_scalar": 8,
            "use_bidirectional_attention": True,
            "max_position_embeddings": 64,
        },
        {
            "plain": {},
            "causal": {"use_bidirectional_attention": False, "num_key_value_heads": 2},
            "one-layer": {"num_hidden_layers": 1, "sliding_window": 5, "rms_norm_eps": 1e-3},
            "wide-heads": {"head_dim": 24, "query_pre_attn_scalar": 30},
            "biases": {"attention_bias": True, "sliding_window_pattern": 2, "num_key_value_heads": 4},
            "silu": {"hidden_activation": "silu", "vocab_size": 211, "intermediate_size": 1024},
            "bases": {
                "rope_parameters": {
                    "full_attention": {"rope_type": "default", "rope_theta": 500.0},
                    "sliding_attention": {"rope_type": "default", "rope_theta": 70.0},
                }
            },
        },
    ),
    "t5gemma": (
        "T5Gemma",
        {
            "vocab_size": 97,
            "hidden_size": 32,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "intermediate_size": 48,
            "sliding_window": 5,
            "query_pre_attn_scalar": 8,
            "attn_logit_softcapping": 2.0,
            "max_position_embeddings": 64,
        },
        {
            "plain": {},
            "no-bound": {"attn_logit_softcapping": None, "num_key_value_heads": 1},
            "one-layer": {"num_hidden_layers": 1, "sliding_window": 3, "rms_norm_eps": 1e-3},
            "wide-heads": {"head_dim": 24, "query_pre_attn_scalar": 30},
            "biases": {"attention_bias": True, "num_key_value_heads": 4, "rope_theta": 500.0},
            "full": {"layer_types": ["full_attention"] * 4, "vocab_size": 211, "hidden_activation": "silu"},
        },
    ),
    "embedding_gemma2": (
        "EmbeddingGemma2Text",
        {
            "vocab_size": 97,
            "hidden_size": 32,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "global_head_dim": 16,
            "intermediate_size": 48,
            "hidden_size_per_layer_input": 12,
            "embedding_dim": 40,
            "sliding_window": 4,
            "sliding_window_pattern": 3,
            "max_position_embeddings": 64,
        },
        {
            "plain": {},
            "one-layer": {"num_hidden_layers": 1, "sliding_window_pattern": 1, "rms_norm_eps": 1e-3},
            "same-heads": {"global_head_dim": 8, "num_global_key_value_heads": 2, "num_hidden_layers": 3},
            "biases": {"attention_bias": True, "num_key_value_heads": 4, "sliding_window_pattern": 2},
            "silu": {
                "hidden_activation": "silu",
                "vocab_size": 211,
                "intermediate_size": 1024,
                "embedding_dim": 32,
                "num_hidden_layers": 3,
            },
            "bases": {
                "rope_parameters": {
                    "full_attention": {"rope_type": "default", "rope_theta": 500.0},
                    "sliding_attention": {"rope_type": "default", "rope_theta": 70.0},
                }
            },
        },
    ),
    "modernbert": (
        "ModernBert",
        {
            "vocab_size": 97,
            "hidden_size": 32,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "local_attention": 8,
            "pad_token_id": 0,
            "eos_token_id": 2,
            "bos_token_id": 1,
            "cls_token_id": 1,
            "sep_token_id": 2,
        },
        {
            "plain": {},
            "biases": {"attention_bias": True, "mlp_bias": True, "norm_bias": True},
            "one-layer": {"num_hidden_layers": 1, "norm_eps": 1e-3},
            "every-second": {"global_attn_every_n_layers": 2, "local_attention": 5, "num_attention_heads": 2},
            "full": {"global_attn_every_n_layers": 1, "vocab_size": 211},
            "relu": {"hidden_activation": "relu", "intermediate_size": 1024, "num_hidden_layers": 2},
            "bases": {
                "rope_parameters": {
                    "full_attention": {"rope_type": "default", "rope_theta": 500.0},
                    "sliding_attention": {"rope_type": "default", "rope_theta": 70.0},
                }
            },
        },
    ),
}
VARIANTS = [(family, variant) for family, (_, _, variants) in FAMILIES.items() for variant in variants]
# The same, each of which is compiled; most of them among the slow tests.
COMPILED = [
    pytest.param(family, variant, marks=[pytest.mark.slow] if index > 1 else [])
    for family, (_, _, variants) in FAMILIES.items()
    for index, variant in enumerate(variants)
]
# One of each family for what takes a longer compilation of its own.
PLAIN = [(family, "plain") for family in FAMILIES]


def _model(family: str, name: str, settings: dict[str, Any]) -> Any:
    """A model of transformers, with the weights that it draws."""
    import transformers

    configuration = getattr(transformers, f"{name}Config")
    if family == "t5gemma":  # the settings of an encoder are a part of those of the whole model
        whole = configuration(encoder=settings, decoder=settings, is_encoder_decoder=False)
        return transformers.T5GemmaEncoderModel(whole)
    kind = getattr(transformers, f"{name}Model")
    config = configuration(**settings)
    return kind(config, add_pooling_layer=False) if family in ("bert", "mpnet") else kind(config)


def random_encoder(family: str, variant: str, seed: int = 0) -> Any:
    """An encoder in evaluation mode."""
    import torch

    name, common, variants = FAMILIES[family]
    torch.manual_seed(seed)
    model = _model(family, name, {**common, **variants[variant]}).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:  # scales and biases
                parameter.add_(0.2 * torch.randn_like(parameter))
            else:
                spread = 0.5 if re.search("embed(dings|_tokens)|relative", name) else 1.2 * parameter.shape[-1] ** -0.5
                parameter.normal_(0.0, spread)
        for name, buffer in model.named_buffers():
            if name.endswith("layer_scalar"):  # of EmbeddingGemma 2
                buffer.uniform_(0.5, 1.5)
    return model


def plain(model: Any) -> tuple[ModelConfig, dict[str, np.ndarray]]:
    """What the model's config.json means, and its weights by their PyTorch names."""
    encoder = read_encoder_config(model.config.to_dict())
    limit = encoder.positions or 64
    config = ModelConfig(encoder, normalize=False, max_length=min(64, limit))
    return config, {name: value.numpy() for name, value in model.state_dict().items()}


def random_texts(vocab: int, lengths: list[int], seed: int) -> list[np.ndarray]:
    """Token ids that are no special ones."""
    random = np.random.default_rng(seed)
    return [random.integers(5, vocab, length).astype(np.int32) for length in lengths]


def rows(texts: list[np.ndarray], places: list[list[int]], length: int) -> TokenBatch:
    """A batch whose rows hold these texts, one after another."""
    shape = (1, len(places), length)
    tokens, segments = np.zeros(shape, np.int32), np.full(shape, -1, np.int32)
    for row, held in enumerate(places):
        start = 0
        for segment, text in enumerate(held):
            end = start + len(texts[text])
            tokens[0, row, start:end], segments[0, row, start:end] = texts[text], segment
            start = end
    return TokenBatch(tokens, segments, segments >= 0, np.zeros((1, 1), np.int32), 8)
