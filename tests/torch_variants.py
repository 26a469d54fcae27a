"""Small random PyTorch models of every variant that must load, made by transformers itself."""

from typing import Any

BASE: dict[str, Any] = {
    "vocab_size": 97, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_decoder_layers": 1, "num_heads": 4,
    "dropout_rate": 0.1, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0,
}  # fmt: skip

# name -> (class name, configuration)
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "t5-relu": ("T5", {}),
    "t5-v1.1-gated": ("T5", {"feed_forward_proj": "gated-gelu"}),
    "t5-gated-silu": ("T5", {"feed_forward_proj": "gated-silu"}),
    "t5-gelu": ("T5", {"feed_forward_proj": "gelu"}),
    "t5-wide-heads": ("T5", {"num_heads": 6, "d_kv": 16}),
    "t5-narrow-heads": ("T5", {"num_heads": 2, "d_kv": 4}),
    "t5-one-layer": ("T5", {"num_layers": 1}),
    "t5-few-buckets": ("T5", {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 20}),
    "t5-epsilon": ("T5", {"layer_norm_epsilon": 1e-3, "d_ff": 1024}),
    "mt5": ("MT5", {"feed_forward_proj": "gated-gelu", "vocab_size": 211}),
    "mt5-wide-heads": ("MT5", {"feed_forward_proj": "gated-gelu", "num_heads": 8, "d_kv": 12}),
    "umt5": ("UMT5", {"feed_forward_proj": "gated-gelu", "vocab_size": 211}),
    "umt5-wide-heads": ("UMT5", {"feed_forward_proj": "gated-gelu", "num_heads": 6, "d_kv": 16, "num_layers": 4}),
    "byt5": (
        "T5",
        {"feed_forward_proj": "gated-gelu", "vocab_size": 384, "d_ff": 80, "tokenizer_class": "ByT5Tokenizer"},
    ),
}


def random_model(variant: str, *, whole: bool = False, seed: int = 0) -> Any:
    """An encoder (or the whole encoder-decoder) in evaluation mode, with weights spread enough to matter."""
    import torch
    import transformers

    kind, changes = VARIANTS[variant]
    config = getattr(transformers, f"{kind}Config")(**{**BASE, **changes})
    torch.manual_seed(seed)
    suffix = "ForConditionalGeneration" if whole else "EncoderModel"
    model = getattr(transformers, kind + suffix)(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "layer_norm" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
            elif "relative_attention_bias" in name:
                parameter.normal_(0.0, 1.5)
    return model
