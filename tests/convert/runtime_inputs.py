"""What a program of another runtime is given: made of what its folder holds, and of nothing of ours."""

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

INSTRUCTION = "Represent the sentence: "
LONG = "a text of more words than the others have, again and again " * 3


def inputs(folder: Path, texts: list[str], instruction: str) -> list[np.ndarray]:
    """Token ids, mask and instruction lengths of texts that all have one instruction."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(folder / manifest["tokenizer"]))
    tokenizer.no_padding()
    tokenizer.enable_truncation(manifest["max_length"])
    rows = [encoding.ids for encoding in tokenizer.encode_batch([instruction + text for text in texts])]
    head = len(tokenizer.encode(instruction.strip()).ids) - 1
    head = 0 if manifest["pool_instruction"] or head <= 1 else head
    dtype = manifest["inputs"][0]["dtype"]
    ids = np.zeros((len(rows), max(map(len, rows))), dtype)
    mask = np.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)], mask[index, : len(row)] = row, 1
    return [ids, mask, np.full(len(rows), head, dtype)]
