"""Reading model folders: every layout that must load, and every folder that would be computed wrongly refused."""

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from instructor_jax.backbones.t5.config_file import write_config
from instructor_jax.config import ModelConfig
from instructor_jax.io.folder_writer import write_own
from instructor_jax.io.folders import read_folder, read_params
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.own_folder import FORMAT_VERSION, OWN_CONFIG, OWN_PARAMS, RANGES
from instructor_jax.io.weights.safetensors_files import write_safetensors
from instructor_jax.io.weights.tensor_files import read_tensors

from ..small_models import (
    SMALL,
    UMT5,
    UMT5_ENCODER,
    assert_identical,
    model_folder,
    random_arrays,
    random_params,
    tokenizer_folder,
)


def edit(path: Path, **changes: Any) -> None:
    """Changes keys of a JSON object; None removes one."""
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


# --- What loads ----------------------------------------------------------------------------------------------------


def test_the_published_layout(tmp_path: Path) -> None:
    folder = read_folder(model_folder(tmp_path / "m", prompts={"query": "Q: "}, default_prompt_name="query"))
    assert folder.config == SMALL
    assert (folder.prompts, folder.default_prompt_name, folder.int8_ranges) == ({"query": "Q: "}, "query", {})
    assert_identical(read_params(folder), random_params(SMALL))


def test_the_layout_of_sentence_transformers_6(tmp_path: Path) -> None:
    """Classes moved, pooling's keys were renamed, the limit lies in the tokenizer's settings."""
    path = model_folder(tmp_path / "m")
    modules = json.loads((path / "modules.json").read_text())
    homes = {
        "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
        "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
        "Dense": "sentence_transformers.base.modules.dense.Dense",
        "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
    }
    for module in modules:
        module["type"] = homes[module["type"].rpartition(".")[2]]
    (path / "modules.json").write_text(json.dumps(modules))
    pooling = {"embedding_dimension": 16, "pooling_mode": "mean", "include_prompt": False}
    (path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (path / "sentence_bert_config.json").write_text('{"transformer_task": "feature-extraction"}')
    edit(path / "tokenizer_config.json", model_max_length=77)
    edit(path / "2_Dense" / "config.json", module_input_name="sentence_embedding")
    folder = read_folder(path)
    assert folder.config == dataclasses.replace(SMALL, max_length=77)
    assert_identical(read_params(folder), random_params(SMALL))


@pytest.mark.torch
def test_a_folder_saved_by_sentence_transformers_6(tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    path = model_folder(tmp_path / "m")
    model = sentence_transformers.SentenceTransformer(str(path), device="cpu", local_files_only=True)
    model.save_pretrained(str(tmp_path / "saved"))
    folder = read_folder(tmp_path / "saved")
    assert folder.config == SMALL
    assert_identical(read_params(folder), random_params(SMALL))


@pytest.mark.parametrize("kept", [["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]])
def test_modules_may_be_absent(tmp_path: Path, kept: list[str]) -> None:
    path = model_folder(tmp_path / "m")
    modules = json.loads((path / "modules.json").read_text())
    modules = [module for module in modules if module["type"].rpartition(".")[2] in kept]
    (path / "modules.json").write_text(json.dumps(modules))
    assert read_folder(path).config == dataclasses.replace(SMALL, projection=None, normalize="Normalize" in kept)


def test_a_plain_t5_folder_gives_mean_pooling(tmp_path: Path) -> None:
    path = tokenizer_folder(tmp_path)
    (path / "config.json").write_text(json.dumps(write_config(UMT5_ENCODER)))
    write_safetensors(path / "model.safetensors", random_arrays(UMT5))
    folder = read_folder(path)
    assert folder.config == ModelConfig(UMT5.encoder, projection=None, normalize=False, max_length=512)
    assert_identical(read_params(folder), random_params(UMT5))


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
@pytest.mark.parametrize("config", [SMALL, UMT5], ids=["t5", "umt5"])
def test_our_own_folder(tmp_path: Path, config: ModelConfig, dtype: Any) -> None:
    ranges = {12: np.arange(24, dtype=np.float32).reshape(2, 12)}
    tokenizer = tokenizer_folder(tmp_path / "tokenizer")
    written = ModelFolder(tokenizer, config, {"document": "D: "}, "document", ranges)
    write_own(tmp_path / "m", written, random_params(config, dtype))
    folder = read_folder(tmp_path / "m")
    assert (folder.config, folder.prompts, folder.default_prompt_name) == (config, {"document": "D: "}, "document")
    np.testing.assert_array_equal(folder.int8_ranges[12], ranges[12])
    assert_identical(read_params(folder), random_params(config, dtype))


@pytest.mark.parametrize(
    ("settings", "tokenizer", "limit"),
    [
        ({"max_seq_length": 256}, {"model_max_length": 512}, 256),
        ({}, {"model_max_length": 100}, 100),
        ({"max_seq_length": None}, {"model_max_length": 10**30}, 512),  # transformers' "no limit"
        ({}, {"model_max_length": 1e30}, 512),
        (None, None, 512),
    ],
)
def test_the_length_limit(tmp_path: Path, settings: dict | None, tokenizer: dict | None, limit: int) -> None:
    path = model_folder(tmp_path / "m")
    for name, content in (("sentence_bert_config.json", settings), ("tokenizer_config.json", tokenizer)):
        (path / name).unlink()
        if content is not None:
            (path / name).write_text(json.dumps(content))
    assert read_folder(path).config.max_length == limit


def test_only_a_folder_that_says_so_pools_the_instruction(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = model_folder(tmp_path / "m")
    edit(path / "1_Pooling" / "config.json", include_prompt=None)  # the published folders say nothing
    assert not read_folder(path).config.pool_instruction
    edit(path / "1_Pooling" / "config.json", include_prompt=True)
    assert read_folder(path).config.pool_instruction
    assert "instructions are pooled like text" in caplog.text


# --- What is refused -----------------------------------------------------------------------------------------------


def modules(*kinds: str, first: str = "") -> Callable[[Path], None]:
    def change(path: Path) -> None:
        listed = [
            {"type": f"sentence_transformers.models.{kind}", "name": str(i), "path": f"{i}_{kind}" if i else first}
            for i, kind in enumerate(kinds)
        ]
        (path / "modules.json").write_text(json.dumps(listed))

    return change


def write(name: str, content: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        (path / name).write_text(content)

    return change


def edited(name: str, **changes: Any) -> Callable[[Path], None]:
    return lambda path: edit(path / name, **changes)


REFUSED = {
    "another kind": (modules("Transformer", "CLIPModel"), "CLIPModel', which is not supported"),
    "another order": (modules("Transformer", "Pooling", "Normalize", "Dense"), "lists .*in this order"),
    "no pooling": (modules("Transformer"), "lists Transformer; supported is"),
    "a kind of its own": (
        write("modules.json", '[{"path": "", "name": "0", "type": "my_code.Transformer"}]'),
        "type='my_code.Transformer', which is not supported",
    ),
    "no list": (write("modules.json", '{"a": 1}'), "modules.json is not a list"),
    "a module without type": (write("modules.json", '[{"path": ""}]'), "entry 0 lacks 'type'"),
    "broken modules": (write("modules.json", "["), "modules.json is not valid JSON"),
    "broken config": (write("config.json", "{"), "config.json is not valid JSON"),
    "another model": (edited("config.json", model_type="longformer"), "model_type='longformer'"),
    "weighted pooling": (
        edited("1_Pooling/config.json", pooling_mode_weightedmean_tokens=True, pooling_mode_mean_tokens=False),
        "pools by 'weightedmean' .pooling_mode.; supported is one of mean, cls, lasttoken alone",
    ),
    "two poolings": (edited("1_Pooling/config.json", pooling_mode_max_tokens=True), "pools by .*'max'"),
    "pooling of version 6": (edited("1_Pooling/config.json", pooling_mode="max"), "pools by 'max'"),
    "a bias that is a number": (edited("2_Dense/config.json", bias=1), "bias=1; it must be true or false"),
    "an activation": (
        edited("2_Dense/config.json", activation_function="torch.nn.Softmax"),
        "activation_function='torch.nn.Softmax'; supported are torch.nn.modules.linear.Identity",
    ),
    "an activation that is not torch's": (
        edited("2_Dense/config.json", activation_function="mine.torch.nn.Tanh"),
        "activation_function='mine.torch.nn.Tanh'",
    ),
    "another width": (
        edited("2_Dense/config.json", in_features=17),
        "in_features=17, but the module before it gives 16",
    ),
    "no output width": (edited("2_Dense/config.json", out_features=None), "out_features"),
    "lower case": (edited("sentence_bert_config.json", do_lower_case=True), "lower-cases texts"),
    "default prompt": (
        edited("config_sentence_transformers.json", default_prompt_name="query"),
        "default_prompt_name='query' .*prompts",
    ),
    "prompts": (edited("config_sentence_transformers.json", prompts=["a"]), "prompts"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_configurations(tmp_path: Path, name: str) -> None:
    change, message = REFUSED[name]
    path = model_folder(tmp_path / "m")
    change(path)
    with pytest.raises(ValueError, match=message):
        read_folder(path)


def test_folders_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not a model folder: it has none of instructor_jax.json, modules.json"):
        read_folder(tmp_path)
    path = model_folder(tmp_path / "m")
    (path / "1_Pooling" / "config.json").unlink()
    with pytest.raises(OSError, match="1_Pooling/config.json"):
        read_folder(path)


def test_weights_that_are_absent_or_do_not_fit(tmp_path: Path) -> None:
    path = model_folder(tmp_path / "m")
    folder = read_folder(path)
    dense = path / "2_Dense" / "model.safetensors"
    weight = read_tensors(dense.parent)["linear.weight"].copy()
    write_safetensors(dense, {"linear.weight": weight, "linear.bias": weight[:, 0]})
    with pytest.raises(ValueError, match=r"2_Dense must hold exactly linear.weight; it holds linear.bias"):
        read_params(folder)
    write_safetensors(dense, {"linear.weight": weight.T})
    with pytest.raises(ValueError, match=r"projection.weight has shape \(16, 12\)"):
        read_params(folder)
    dense.unlink()
    with pytest.raises(ValueError, match="2_Dense holds no PyTorch weights"):
        read_params(folder)
    (path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"has no weights: model.safetensors or pytorch_model.bin"):
        read_params(folder)


def test_without_orbax_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ModelFolder(tokenizer_folder(tmp_path / "t"), SMALL)
    write_own(tmp_path / "m", folder, random_params(SMALL))
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    with pytest.raises(ImportError, match=r"pip install 'instructor-jax\[train\]'"):
        read_params(read_folder(tmp_path / "m"))
    with pytest.raises(ImportError, match=r"pip install 'instructor-jax\[train\]'"):
        write_own(tmp_path / "n", folder, random_params(SMALL))


def test_our_folder_of_another_format_or_broken(tmp_path: Path) -> None:
    write_own(tmp_path / "m", ModelFolder(tokenizer_folder(tmp_path / "t"), SMALL), random_params(SMALL))
    config = tmp_path / "m" / OWN_CONFIG
    whole = config.read_text()
    for version, shown in ((FORMAT_VERSION + 1, FORMAT_VERSION + 1), (None, "null"), (True, "true"), ("1", "'1'")):
        edit(config, format_version=version)
        with pytest.raises(ValueError, match=f"format version {shown}; this library reads {FORMAT_VERSION}"):
            read_folder(tmp_path / "m")
    config.write_text(whole)
    edit(config, model={**json.loads(whole)["model"], "shape": "cls"})
    with pytest.raises(ValueError, match=r"model has shape='cls', which this version does not know"):
        read_folder(tmp_path / "m")
    edit(config, model={**json.loads(whole)["model"], "pooling": "max"})
    with pytest.raises(ValueError, match=r"model has pooling='max'; it must be one of mean, cls, lasttoken"):
        read_folder(tmp_path / "m")
    edit(config, model={**json.loads(whole)["model"], "projection": 13})
    with pytest.raises(ValueError, match=r"parameter projection has shape \(16, 12\); expected is \(16, 13\)"):
        read_params(read_folder(tmp_path / "m"))
    config.write_text(whole)
    shutil.rmtree(tmp_path / "m" / OWN_PARAMS)
    with pytest.raises(ValueError, match="params is not a readable Orbax checkpoint"):
        read_params(read_folder(tmp_path / "m"))


@pytest.mark.parametrize("content", ['{"a": 1}', '{"12": [[1], 2]}', '{"12": [[0, 1]]}', "[]"])
def test_broken_ranges_are_refused(tmp_path: Path, content: str) -> None:
    path = model_folder(tmp_path / "m")
    (path / RANGES).write_text(content)
    with pytest.raises(ValueError, match=RANGES):
        read_folder(path)
