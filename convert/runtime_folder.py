"""Folders for other runtimes: a graph from padded token ids to vectors, its manifest, and the tokenizer's files.

A graph takes three arrays and nothing of ours. Pooling, the mask of the instruction, dense layers, projection and
normalisation are inside.
"""

import json
from pathlib import Path
from typing import Any

from instructor_jax.io.folder_writer import copy_tokenizer
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.version import __version__

MANIFEST = "manifest.json"
FORMAT_VERSION = 1


def check_tokenizer(folder: ModelFolder) -> None:
    """Refuses a model whose tokenizer other runtimes cannot open.

    Raises:
        ValueError: there is no tokenizer.json.
    """
    if not (folder.path / "tokenizer.json").is_file():
        raise ValueError(
            f"{folder.path} has no tokenizer.json, without which no other runtime can make token ids; write one with "
            "the tokenizers library, or name a folder that has one with --tokenizer."
        )


def write_manifest(draft: Path, folder: ModelFolder, graph: dict[str, Any], *, integers: str = "int32") -> None:
    """Writes the manifest beside a graph, and copies the tokenizer's files.

    Args:
        draft: the folder.
        folder: configuration and prompts; its `path` is where the tokenizer's files are copied from.
        graph: what is special to this kind: its file and what belongs to it.
        integers: type of the three inputs.
    """
    config = folder.config
    content = {
        "format_version": FORMAT_VERSION,
        "written_by": f"instructor-jax {__version__}",
        **graph,
        "inputs": [
            {"name": "input_ids", "shape": ["batch", "len"], "dtype": integers, "meaning": "token ids; any in padding"},
            {"name": "attention_mask", "shape": ["batch", "len"], "dtype": integers, "meaning": "1 token, 0 padding"},
            {
                "name": "instruction_tokens",
                "shape": ["batch"],
                "dtype": integers,
                "meaning": "leading tokens that are read, but not pooled",
            },
        ],
        "outputs": [
            {"name": "sentence_embedding", "shape": ["batch", config.embedding_dim], "dtype": "float32"},
        ],
        "max_length": config.max_length,
        "padding_side": "right",
        "pool_instruction": config.pool_instruction,
        "normalized": config.normalize,
        "tokenizer": "tokenizer.json",
        "prompts": folder.prompts,
        "default_prompt_name": folder.default_prompt_name,
    }
    (draft / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    copy_tokenizer(folder.path, draft)
