"""What every tokenizer made here has in common with T5's: the pieces' space mark, the end of sequence, the settings."""

import json
from pathlib import Path
from typing import Any

# what transformers needs to load tokenizer.json as it is
_SETTINGS = {
    "tokenizer_class": "T5Tokenizer",
    "extra_ids": 0,
    "model_max_length": 512,
    "eos_token": "</s>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
}


def end_like_t5(tokenizer: Any) -> None:
    """Gives a `tokenizers.Tokenizer` with the pieces `<pad> </s> <unk>` in front T5's decoder and end of sequence."""
    from tokenizers import decoders, processors

    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])


def write_tokenizer(content: str, folder: Path) -> None:
    """Writes the content of a `tokenizer.json` and the settings beside it."""
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(_SETTINGS, indent=2) + "\n", encoding="utf-8")
