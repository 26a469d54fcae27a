"""Model folders with damaged settings or tokenizer files: opened, or refused with a sentence."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructor_jax.io.folders import read_folder, read_params
from instructor_jax.io.tokenizers.folders import load_token_ids, vocabulary_size

from ..small_models import model_folder
from .conftest import SEEDS, damaged, fuzz_settings, survives
from .mutations import byte_mutations, damaged_bytes, damaged_json, json_mutations

_SETTINGS = (
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    "2_Dense/config.json",
)
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
_TEXTS = ["", "a", "The river runs north.", "</s> ñ 漢字 \u0301", "x" * 300]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(
        tmp_path_factory.mktemp("fuzz") / "model",
        prompts={"query": "Represent the question: "},
        default_prompt_name=None,
    )


def try_settings(folder: Path, name: str, content: bytes) -> None:
    with damaged(folder / name, content):
        read = survives(lambda: read_folder(folder))
        if read is not None:
            survives(lambda: read_params(read))


def try_tokenizer(folder: Path, name: str, content: bytes) -> None:
    with damaged(folder / name, content):
        survives(lambda: vocabulary_size(folder))
        encode = survives(lambda: load_token_ids(folder))
        if encode is not None:
            ids = survives(lambda: encode(_TEXTS))
            assert ids is None or sum(map(len, ids)) < 100_000


@pytest.mark.parametrize("name", _SETTINGS)
@fuzz_settings
@given(json_mutations)
def test_settings_with_odd_values(folder: Path, name: str, mutations: list) -> None:
    document = json.loads((folder / name).read_text(encoding="utf-8"))
    try_settings(folder, name, damaged_json(document, mutations).encode())


@pytest.mark.parametrize("name", _SETTINGS)
@fuzz_settings
@given(byte_mutations)
def test_settings_with_damaged_bytes(folder: Path, name: str, mutations: list) -> None:
    try_settings(folder, name, damaged_bytes((folder / name).read_bytes(), mutations))


@pytest.mark.parametrize("name", _TOKENIZER)
@fuzz_settings
@given(json_mutations)
def test_tokenizers_with_odd_values(folder: Path, name: str, mutations: list) -> None:
    document = json.loads((folder / name).read_text(encoding="utf-8"))
    try_tokenizer(folder, name, damaged_json(document, mutations).encode())


@pytest.mark.parametrize("name", _TOKENIZER)
@fuzz_settings
@given(byte_mutations)
def test_tokenizers_with_damaged_bytes(folder: Path, name: str, mutations: list) -> None:
    try_tokenizer(folder, name, damaged_bytes((folder / name).read_bytes(), mutations))


@fuzz_settings
@given(st.sampled_from(["spiece.model"]), st.binary(max_size=200))
def test_sentencepiece_files_of_any_bytes(folder: Path, name: str, content: bytes) -> None:
    alone = folder.parent / "spiece"
    shutil.rmtree(alone, ignore_errors=True)
    alone.mkdir()
    shutil.copy(folder / "config.json", alone)
    (alone / name).write_bytes(content)
    encode = survives(lambda: load_token_ids(alone))
    if encode is not None:
        survives(lambda: encode(_TEXTS))


@pytest.mark.parametrize("seed", SEEDS.get("folders", []), ids=str)
def test_seeds(folder: Path, seed: list) -> None:
    name, kind, mutations = seed
    content = (folder / name).read_bytes()
    changed = (
        damaged_json(json.loads(content), mutations).encode() if kind == "json" else damaged_bytes(content, mutations)
    )
    (try_tokenizer if name in _TOKENIZER else try_settings)(folder, name, changed)
