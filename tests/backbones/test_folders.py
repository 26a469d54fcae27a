"""Folders of every family in sentence-transformers: the same vectors, by every pooling, with dense layers, prompts."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.backbones.bert.config import BertConfig
from instructor_jax.backbones.configuration import stack_depth
from instructor_jax.backbones.embedding_gemma2.config import EmbeddingGemma2Config
from instructor_jax.backbones.gemma.config import GemmaConfig
from instructor_jax.backbones.modernbert.config import ModernBertConfig
from instructor_jax.backbones.mpnet.config import MPNetConfig
from instructor_jax.backbones.qwen3.config import Qwen3Config
from instructor_jax.backbones.t5gemma.config import T5GemmaConfig
from instructor_jax.config import DenseShape, ModelConfig
from instructor_jax.convert.sources import read_source
from instructor_jax.convert.verify import verify
from instructor_jax.io.folder_writer import write_own, write_sentence_transformers
from instructor_jax.io.folders import read_folder, read_params
from instructor_jax.io.other_libraries import sentence_transformer

from ..small_models import assert_identical
from .family_folders import PROMPT, TEXTS, family_folder

_SHAPE: dict[str, Any] = {"vocab": 400, "embed": 16, "layers": 2, "heads": 2, "head_dim": 8, "ffn": 24}
_LAYERS = (DenseShape(20, bias=True, activation="tanh"), DenseShape(24, bias=False))

# family -> kind of its tokenizer, and a model: together they have every kind of pooling and of dense layers
MODELS = {
    "bert": ("wordpiece", ModelConfig(BertConfig(**_SHAPE, positions=64), max_length=64, pooling="cls")),
    "mpnet": (
        "wordpiece",
        ModelConfig(
            MPNetConfig(**_SHAPE, position_vectors=66), max_length=64, dense=_LAYERS, projection=12,
            pool_instruction=True,
        ),
    ),
    "gemma": (
        "sentencepiece",
        ModelConfig(
            GemmaConfig(**_SHAPE, kv_heads=1, window=8, full_every=2, score_width=8), max_length=64,
            dense=(DenseShape(24, bias=False), DenseShape(20, bias=True, activation="gelu")), projection=12,
            pool_instruction=True,
        ),
    ),
    "t5gemma": (
        "sentencepiece",
        ModelConfig(
            T5GemmaConfig(**_SHAPE, kv_heads=1, window=5, score_width=8, softcap=2.0), max_length=64,
            pool_instruction=True,
        ),
    ),
    "embedding_gemma2": (
        "sentencepiece",
        ModelConfig(
            EmbeddingGemma2Config(
                **{**_SHAPE, "layers": 4}, kv_heads=1, full_head_dim=16, ple_dim=12, output=20, window=5, full_every=2,
            ),
            max_length=64, pool_instruction=True,
        ),
    ),
    "modernbert": (
        "bytes",
        ModelConfig(ModernBertConfig(**_SHAPE, window=8, pad_id=3, eos_id=2), max_length=64, pooling="cls"),
    ),
    "qwen3": (
        "words",
        ModelConfig(
            Qwen3Config(**_SHAPE, kv_heads=1), max_length=64, pooling="lasttoken", dense=_LAYERS[:1],
            pool_instruction=True,
        ),
    ),
}  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize(
    "family",
    [pytest.param(name, marks=[] if name in ("bert", "gemma") else [pytest.mark.slow]) for name in MODELS],
)
def test_a_written_folder_is_read_converted_and_equal_in_sentence_transformers(family: str, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers", reason="needs the extra `torch`")
    kind, config = MODELS[family]
    path = family_folder(tmp_path / "model", kind, config, prompts={"query": PROMPT}, default_prompt_name=None)
    folder = read_folder(path)
    assert folder.config == config
    assert folder.prompts == {"query": PROMPT}
    params = read_params(folder)
    for name, write in (("again", write_sentence_transformers), ("own", write_own)):
        write(tmp_path / name, folder, params)
        source = read_source(tmp_path / name)
        assert source.folder.config == config
        assert_identical(source.params, params)
    for name in ("model.safetensors", "modules.json", "config.json", "1_Pooling/config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (path / name).read_bytes()
    theirs = sentence_transformer(path, local=True)
    ours = Instructor(path)
    for include in (config.pool_instruction, not config.pool_instruction):
        ours.set_pooling_include_prompt(include)
        theirs.set_pooling_include_prompt(include)
        # sentence-transformers takes the blank at a prompt's end for a token of its own where a tokenizer has such; the
        # text's first token then is left out of its mean, and not of ours
        for prompt in (None, PROMPT if kind == "wordpiece" else PROMPT.strip()):
            expected = theirs.encode(list(TEXTS), prompt=prompt, batch_size=2)
            found = ours.encode(list(TEXTS), prompt=prompt)
            assert np.abs(found - expected).max() <= 1e-5  # float32 on both sides, sums in another order
    assert np.abs(ours.encode([TEXTS[0]]) - ours.encode([TEXTS[1]])).max() > 1e-2


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.parametrize("family", MODELS)
def test_convert_verify_finds_a_folder_equal_to_pytorch(family: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="needs the extra `torch`")
    kind, config = MODELS[family]
    source = read_source(family_folder(tmp_path / "model", kind, config))
    rows = verify(source)
    assert [row.name for row in rows if not row.passed] == []
    assert len(rows) == stack_depth(config.encoder) + 2
    wrong = {**source.params, "encoder": {**source.params["encoder"]}}
    table = source.params["encoder"]["embed"]["embedding"]
    noise = 0.01 * np.random.default_rng(0).standard_normal(table.shape)  # a constant would go with a norm's mean
    wrong["encoder"]["embed"] = {"embedding": (table + noise).astype(np.float32)}
    assert not all(row.passed for row in verify(dataclasses.replace(source, params=wrong)))
