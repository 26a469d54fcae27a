"""The config.json of encoders beside T5 as the published models have them, and what is refused in them by name."""

from typing import Any

import pytest

from instructor_jax.backbones.published import PUBLISHED
from instructor_jax.backbones.registry import backbone_of
from instructor_jax.io.settings.family import read_encoder_config

MINILM: dict[str, Any] = {
    "_name_or_path": "nreimers/MiniLM-L6-H384-uncased", "architectures": ["BertModel"],
    "attention_probs_dropout_prob": 0.1, "gradient_checkpointing": False, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1, "hidden_size": 384, "initializer_range": 0.02, "intermediate_size": 1536,
    "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "model_type": "bert", "num_attention_heads": 12,
    "num_hidden_layers": 6, "pad_token_id": 0, "position_embedding_type": "absolute",
    "transformers_version": "4.8.2", "type_vocab_size": 2, "use_cache": True, "vocab_size": 30522,
}  # fmt: skip
MPNET: dict[str, Any] = {
    "architectures": ["MPNetForMaskedLM"], "attention_probs_dropout_prob": 0.1, "bos_token_id": 0, "eos_token_id": 2,
    "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 768, "initializer_range": 0.02,
    "intermediate_size": 3072, "layer_norm_eps": 1e-05, "max_position_embeddings": 514, "model_type": "mpnet",
    "num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 1, "relative_attention_num_buckets": 32,
    "transformers_version": "4.8.2", "vocab_size": 30527,
}  # fmt: skip
QWEN3: dict[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"], "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 151643,
    "eos_token_id": 151643, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024, "initializer_range": 0.02,
    "intermediate_size": 3072, "max_position_embeddings": 32768, "max_window_layers": 28, "model_type": "qwen3",
    "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06,
    "rope_scaling": None, "rope_theta": 1000000, "sliding_window": None, "tie_word_embeddings": True,
    "torch_dtype": "bfloat16", "transformers_version": "4.51.3", "use_cache": True, "use_sliding_window": False,
    "vocab_size": 151669,
}  # fmt: skip
MODERNBERT: dict[str, Any] = {
    "architectures": ["ModernBertForMaskedLM"], "attention_bias": False, "attention_dropout": 0.0,
    "bos_token_id": 50281, "classifier_activation": "gelu", "classifier_bias": False, "classifier_dropout": 0.0,
    "classifier_pooling": "mean", "cls_token_id": 50281, "decoder_bias": True, "deterministic_flash_attn": False,
    "embedding_dropout": 0.0, "eos_token_id": 50282, "global_attn_every_n_layers": 3, "global_rope_theta": 160000.0,
    "gradient_checkpointing": False, "hidden_activation": "gelu", "hidden_size": 768,
    "initializer_cutoff_factor": 2.0, "initializer_range": 0.02, "intermediate_size": 1152, "layer_norm_eps": 1e-05,
    "local_attention": 128, "local_rope_theta": 10000.0, "max_position_embeddings": 8192, "mlp_bias": False,
    "mlp_dropout": 0.0, "model_type": "modernbert", "norm_bias": False, "norm_eps": 1e-05,
    "num_attention_heads": 12, "num_hidden_layers": 22, "pad_token_id": 50283, "position_embedding_type": "absolute",
    "reference_compile": None, "repad_logits_with_grad": False, "sep_token_id": 50282, "sparse_pred_ignore_index": -100,
    "sparse_prediction": False, "torch_dtype": "float32", "vocab_size": 50368,
}  # fmt: skip
GEMMA: dict[str, Any] = {
    "_sliding_window_pattern": 6, "architectures": ["Gemma3TextModel"], "attention_bias": False,
    "attention_dropout": 0.0, "attn_logit_softcapping": None, "bos_token_id": 2, "dtype": "float32", "eos_token_id": 1,
    "final_logit_softcapping": None, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 768,
    "initializer_range": 0.02, "intermediate_size": 1152,
    "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 4, "max_position_embeddings": 2048,
    "model_type": "gemma3_text", "num_attention_heads": 3, "num_hidden_layers": 24, "num_key_value_heads": 1,
    "pad_token_id": 0, "query_pre_attn_scalar": 256, "rms_norm_eps": 1e-06, "rope_local_base_freq": 10000.0,
    "rope_scaling": None, "rope_theta": 1000000.0, "sliding_window": 512, "use_bidirectional_attention": True,
    "use_cache": True, "vocab_size": 262144,
}  # fmt: skip
# as transformers 4.53 writes an encoder with a decoder, whose settings are not read
T5GEMMA: dict[str, Any] = {
    "architectures": ["T5GemmaForConditionalGeneration"], "attention_dropout": 0.0, "classifier_dropout_rate": 0.0,
    "decoder": {"model_type": "t5_gemma_module", "num_hidden_layers": 26}, "dropout_rate": 0.0,
    "encoder": {
        "attention_bias": False, "attention_dropout": 0.0, "attn_logit_softcapping": 50.0, "bos_token_id": 2,
        "dropout_rate": 0.0, "eos_token_id": 1, "final_logit_softcapping": 30.0, "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 2304, "initializer_range": 0.02,
        "intermediate_size": 9216, "layer_types": ["sliding_attention", "full_attention"] * 13,
        "max_position_embeddings": 8192, "model_type": "t5_gemma_module", "num_attention_heads": 8,
        "num_hidden_layers": 26, "num_key_value_heads": 4, "pad_token_id": 0, "query_pre_attn_scalar": 256,
        "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "sliding_window": 4096, "torch_dtype": "bfloat16",
        "use_cache": True, "vocab_size": 256000,
    },
    "eos_token_id": [1, 107], "initializer_range": 0.02, "is_encoder_decoder": True, "model_type": "t5gemma",
    "pad_token_id": 0, "torch_dtype": "bfloat16", "transformers_version": "4.53.0.dev0", "use_cache": True,
    "vocab_size": 256000,
}  # fmt: skip
# as google/embeddinggemma-2 has it, shorter where other modalities are meant
EMBEDDING_GEMMA2: dict[str, Any] = {
    "architectures": ["EmbeddingGemma2Model"], "audio_token_id": 258881, "boa_token_id": 256000,
    "boi_token_id": 255999, "dtype": "bfloat16", "eoa_token_index": 258883, "eoi_token_id": 258882,
    "image_token_id": 258880, "initializer_range": 0.02, "model_type": "embedding_gemma2",
    "text_config": {
        "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 2, "dtype": "bfloat16",
        "embedding_dim": 768, "eos_token_id": 1, "head_dim": 256, "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 512, "hidden_size_per_layer_input": 512, "initializer_range": 0.02, "intermediate_size": 2048,
        "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 4, "max_position_embeddings": 262144,
        "model_type": "embedding_gemma2_text", "num_attention_heads": 4, "num_hidden_layers": 24,
        "num_key_value_heads": 2, "pad_token_id": 0,
        "per_layer_config": {key: {"head_dim": 512, "num_key_value_heads": 1} for key in ("05", "11", "17", "23")},
        "rms_norm_eps": 1e-06,
        "rope_parameters": {
            "full_attention": {"rope_theta": 1000000.0, "rope_type": "default"},
            "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"},
        },
        "sliding_window": 512, "vocab_size": 262144,
    },
    "transformers_version": "5.23.0", "video_token_id": 258884, "vision_config": {"model_type": "gemma4_vision"},
}  # fmt: skip
FILES = {
    "all-MiniLM-L6-v2": MINILM,
    "all-mpnet-base-v2": MPNET,
    "Qwen3-Embedding-0.6B": QWEN3,
    "ModernBERT-base": MODERNBERT,
    "embeddinggemma-300m": GEMMA,
    "t5gemma-2b-2b-ul2": T5GEMMA,
    "embeddinggemma-2": EMBEDDING_GEMMA2,
}


def changed(content: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """The content with other values, also of the settings inside it."""
    inner = {key: {**content[key], **value} for key, value in change.items() if key in ("encoder", "text_config")}
    return {**content, **change, **inner}


# What transformers 5 writes in place of older keys.
BASES = {"full_attention": {"rope_theta": 160000.0, "rope_type": "default"}, "sliding_attention": {"rope_theta": 10000}}


@pytest.mark.parametrize("name", FILES)
def test_published_files_are_read_and_written_again(name: str) -> None:
    config = read_encoder_config(FILES[name])
    assert config == PUBLISHED[name].encoder
    assert read_encoder_config(backbone_of(config).write_config(config)) == config


def test_newer_spellings_mean_the_same() -> None:
    newer = {key: value for key, value in MODERNBERT.items() if not key.endswith("rope_theta")}
    kinds = ["full_attention" if layer % 3 == 0 else "sliding_attention" for layer in range(22)]
    del newer["global_attn_every_n_layers"]
    newer |= {"rope_parameters": BASES, "layer_types": kinds}
    assert read_encoder_config(newer) == read_encoder_config(MODERNBERT)
    flat = {key: value for key, value in QWEN3.items() if key not in ("rope_theta", "rope_scaling")}
    flat["rope_parameters"] = {"rope_theta": 1000000, "rope_type": "default"}
    assert read_encoder_config(flat) == read_encoder_config(QWEN3)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (MINILM, {"position_embedding_type": "relative_key"}, "position_embedding_type='relative_key', which is an"),
        (MINILM, {"num_attention_heads": 5}, "hidden_size=384, which num_attention_heads=5 cannot share"),
        (MINILM, {"hidden_act": "quick_gelu"}, "hidden_act='quick_gelu'; supported are relu"),
        (MINILM, {"is_decoder": True}, "is_decoder=true"),
        (MINILM, {"architectures": ["BertLMHeadForCausalLM"]}, "a decoder"),
        (MINILM, {"rope_theta": 10000}, "rope_theta=10000, which this version does not know"),
        (MPNET, {"relative_attention_num_buckets": 64}, "relative_attention_num_buckets=64, which transformers"),
        (MPNET, {"max_position_embeddings": 2}, "position_vectors=2 must be more than 2"),
        (QWEN3, {"use_sliding_window": True}, "use_sliding_window=true, which limits what tokens see"),
        (QWEN3, {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_scaling=.*which scales positions"),
        (QWEN3, {"rope_theta": 0.5}, "rope_theta=0.5"),
        (QWEN3, {"rope_theta": 1000.5}, "rope_theta=1000.5; it must be a whole number"),
        (QWEN3, {"num_key_value_heads": 3}, "heads=16 must be a multiple of kv_heads=3"),
        (QWEN3, {"layer_types": ["sliding_attention"] * 28}, "layer_types=a list of 28, of which some see a window"),
        (MODERNBERT, {"rope_parameters": BASES, "global_rope_theta": 5.0}, "global_rope_theta=5, but rope_parameters"),
        (MODERNBERT, {"layer_types": ["full_attention"] * 22}, "global_attn_every_n_layers=3, but layer_types"),
        (GEMMA, {"layer_types": ["full_attention"] * 23 + ["sliding_attention"]}, "at equal distances"),
        (GEMMA, {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping=50.0, which bounds the scores"),
        (GEMMA, {"rope_parameters": {"full_attention": {"rope_type": "linear"}}}, "rope_type='linear', which scales"),
        (T5GEMMA, {"encoder": {"attn_logit_softcapping": -1.0}}, "attn_logit_softcapping=-1.0; it must be a number"),
        (T5GEMMA, {"encoder": {"model_type": "bert"}}, "model_type='bert', which is not an encoder of this family"),
        (T5GEMMA, {"encoder": {"use_bidirectional_attention": False}}, "encoder has use_bidirectional_attention=false"),
        (T5GEMMA, {"dropout_rate": 1.0}, "dropout=1.0 must be in"),
        (T5GEMMA, {"is_decoder": True}, "is_decoder=true"),
        (EMBEDDING_GEMMA2, {"text_config": {"num_hidden_layers": 23}}, "layer_types=a list of 24"),
        (EMBEDDING_GEMMA2, {"text_config": {"layer_types": ["sliding_attention"] * 24}}, "per_layer_config=an object"),
        (EMBEDDING_GEMMA2, {"text_config": {"per_layer_config": {"4": {"head_dim": 8}}}}, "per_layer_config=an object"),
        (EMBEDDING_GEMMA2, {"text_config": {"per_layer_config": {"5": {"head_dim": 8}}}}, "with 2 shapes"),
        (EMBEDDING_GEMMA2, {"text_config": {"per_layer_config": {"05": {"hidden_size": 8}}}}, "hidden_size=8, which"),
        (EMBEDDING_GEMMA2, {"text_config": {"per_layer_config": [1]}}, "per_layer_config=a list of 1"),
        (EMBEDDING_GEMMA2, {"text_config": {"hidden_size_per_layer_input": 0}}, "hidden_size_per_layer_input=0; it"),
        (EMBEDDING_GEMMA2, {"text_config": {"model_type": "bert"}}, "model_type='bert'; it must be"),
        (EMBEDDING_GEMMA2, {"quantization": {"bits": 4}}, "quantization=an object of 1 key"),
        (GEMMA, {"auto_map": {"AutoModel": "x.Model"}}, "auto_map=.*code of a folder is never run"),
    ],
)
def test_what_is_not_computed_is_refused_by_name(file: dict[str, Any], change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_encoder_config(changed(file, change))
