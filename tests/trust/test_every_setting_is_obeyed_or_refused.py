"""Each value of each settings file of a model folder is obeyed, known to be harmless, or refused by name in one line.

No weights are read here: whether what is obeyed gives the right vectors is tested against sentence-transformers in
`test_folders_open_as_in_sentence_transformers.py`.
"""

import json
import os
import shutil
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from instructor_jax.backbones.t5.config_file import HARMLESS as T5_HARMLESS
from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.io.bounds import LAYERS, SIZE
from instructor_jax.io.folders import read_folder
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.own_folder import OWN_CONFIG, RANGES
from instructor_jax.io.settings.encoder import GENERATION, HARMLESS

from ..small_models import SMALL, model_folder

CONFIG, MODULES, BERT, TOKENIZER = "config.json", "modules.json", "sentence_bert_config.json", "tokenizer_config.json"
POOLING, DENSE, NORMALIZE = "1_Pooling/config.json", "2_Dense/config.json", "3_Normalize/config.json"
ABOUT = "config_sentence_transformers.json"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder's settings, without its weights and tokenizer."""
    folder = model_folder(tmp_path_factory.mktemp("settings") / "m")
    (folder / "model.safetensors").unlink()
    (folder / "tokenizer.json").unlink()
    (folder / NORMALIZE).write_text("{}")
    return folder


@pytest.fixture
def folder(settings: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(settings, tmp_path / "m"))


def edit(path: Path, **changes: Any) -> None:
    """Sets keys of a JSON object; a value of `...` removes one."""
    content = {**(json.loads(path.read_text()) if path.is_file() else {}), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


def refusal(folder: Path) -> str:
    """The message with which a folder is refused: one line that a terminal can be sent."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - what it says is looked at below
        read_folder(folder)
    message = str(caught.value)
    assert message.isprintable(), message
    assert len(message) <= 1000
    return message


# --- Values of a wrong type or range, and keys that ask for something else ------------------------------------------

NOT_WHOLE: list[Any] = ["8", 8.0, 8.5, True, [8], {"a": 8}, -1, SIZE + 1, 10**30]
NO_NUMBER: list[Any] = ["0.1", "1e-6", True, [0.1], {}, -0.1, 1.5, 10**30]
NO_FLAG: list[Any] = ["true", "false", 1, 0, 0.0, [], {"a": True}]
NO_TEXT: list[Any] = [3, True, ["a"], {"a": 1}, 1.5]


def each(file: str, key: str, values: list[Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    return ((file, {key: value}, key) for value in values)


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    # config.json
    *(
        case
        for key in ("vocab_size", "d_model", "num_heads", "d_kv", "d_ff")
        for case in each(CONFIG, key, [*NOT_WHOLE, 0, ...])
    ),
    *each(CONFIG, "num_layers", [*NOT_WHOLE, 0, ..., LAYERS + 1, 10**9, SIZE]),
    *each(CONFIG, "relative_attention_num_buckets", [*NOT_WHOLE, "32", 0, 2]),
    (CONFIG, {"relative_attention_num_buckets": 31}, "relative_buckets=31 must be even"),
    *each(CONFIG, "relative_attention_max_distance", [*NOT_WHOLE, "128", 0, 1]),
    (CONFIG, {"relative_attention_max_distance": 2}, "relative_max_distance=2 must exceed"),
    *each(CONFIG, "layer_norm_epsilon", NO_NUMBER),
    *each(CONFIG, "dropout_rate", NO_NUMBER),
    (CONFIG, {"dropout_rate": 1}, "dropout=1.0"),
    *each(CONFIG, "pad_token_id", ["0", -1, 0.0, True, [0], 10**30]),
    *each(CONFIG, "eos_token_id", ["1", -1, 1.0, True, [], ["1"], [-1], [[1]], [True], {}]),
    *each(CONFIG, "model_type", [..., None, *NO_TEXT, "longformer", "T5", "t5 ", "", "longt5", "t5\x1b[31m"]),
    *each(CONFIG, "is_decoder", [True, 1, 0, "false", {}]),
    *each(CONFIG, "add_cross_attention", [True, "no"]),
    *each(CONFIG, "pruned_heads", [{"0": [1]}, [1], "0"]),
    *each(CONFIG, "quantization_config", [{"quant_method": "gptq", "bits": 4}, {"load_in_8bit": True}, {}, "int8"]),
    *each(CONFIG, "compression_config", [{"format": "int"}]),
    *each(CONFIG, "per_layer_config", [{"0": {"d_ff": 3}}]),
    *each(CONFIG, "auto_map", [{"AutoModel": "evil.Model"}, "evil"]),
    *each(CONFIG, "custom_pipelines", [{"x": {"impl": "evil.P"}}]),
    *each(CONFIG, "dtype", ["int8", "float8_e4m3fn", 32, ["float32"], "torch.float32"]),
    *each(CONFIG, "torch_dtype", ["int8", 16]),
    *each(CONFIG, "feed_forward_proj", [*NO_TEXT, "", "gated-", "gated-gated-gelu", "GELU", "tanh", "gelu-gated"]),
    *each(CONFIG, "dense_act_fn", [*NO_TEXT, "tanh", "gelu", "gelu_new", "silu"]),
    *each(CONFIG, "is_gated_act", [*NO_FLAG, True]),
    *each(CONFIG, "architectures", ["T5EncoderModel", [3], {"a": 1}, ["T5ForCausalLM"], ["X", "MyForCausalLM"]]),
    *each(CONFIG, "hidden_size", [17, "16", 16.0]),
    *each(CONFIG, "num_hidden_layers", [3, "2", LAYERS + 1]),
    *each(CONFIG, "num_attention_heads", [3]),
    *each(CONFIG, "head_dim", [9]),
    *((CONFIG, {key: value}, key) for key, value in {
        "use_residual": True, "num_experts": 4, "layer_types": ["full_attention"], "rope_scaling": {"factor": 2},
        "encoder_layerdrop": 0.5, "layer_norm_eps": 1e-3, "hidden_act": "gelu", "scale_embedding": True,
        "use_scaled_attention": True, "vocab_size_": 3, "D_MODEL": 16, "processor_class": "X", "extra": "y" * 5000,
    }.items()),
    (CONFIG, {"key\x1b[31m\n\u202e" + "k" * 500: 1}, "which this version does not know"),
    (CONFIG, {f"unknown{index}": index for index in range(1000)}, "and 995 more"),
    # modules
    *each(POOLING, "pooling_mode", [
        "max", "last", "weightedmean", "mean_sqrt_len_tokens", "mean_tokens", "Mean", "", 3, True, [],
        ["mean", "mean"], ["mean", "max"], ["mean", "cls"], [["mean"]], [3], {"mean": True},
    ]),
    *((POOLING, {f"pooling_mode_{mode}": True}, "pools by") for mode in
      ("cls_token", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")),
    (POOLING, {"pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}, "pools by 'max'"),
    *((POOLING, {"pooling_mode_mean_tokens": value}, "pooling_mode_mean_tokens") for value in NO_FLAG),
    *each(POOLING, "include_prompt", NO_FLAG),
    *each(POOLING, "word_embedding_dimension", [17, "16", 16.0, True, 0, -16, SIZE + 1]),
    (POOLING, {"word_embedding_dimension": ...}, "lacks 'embedding_dimension'"),
    (POOLING, {"embedding_dimension": 17}, "embedding_dimension=17"),
    *((POOLING, {key: 1}, key) for key in ("pooling_mode_median", "layer", "pooling_power", "Pooling_mode")),
    *each(DENSE, "bias", NO_FLAG),
    *each(DENSE, "activation_function", [
        *NO_TEXT, "", "Identity", "evil.Identity", "torch.nn.Identity()", "torch.nn.Softmax", "Tanh",
        "torch.nn.functional.tanh", "torch.nn.modules.linear.Tanh", "evil.torch.nn.modules.activation.ReLU",
        "sentence_transformers.util.Identity", "os.system",
    ]),
    *each(DENSE, "in_features", [17, *NOT_WHOLE, 0, ...]),
    *each(DENSE, "out_features", [*NOT_WHOLE, 0, ...]),
    *each(DENSE, "use_residual", [True, "false", 1, 0]),
    *each(DENSE, "module_input_name", ["token_embeddings", "", 3]),
    *each(DENSE, "module_output_name", ["token_embeddings", "other"]),
    *((DENSE, {key: 1}, key) for key in ("init_weight", "residual", "scale", "dropout")),
    *each(NORMALIZE, "module_input_name", ["token_embeddings", 3]),
    *each(NORMALIZE, "module_output_name", ["other"]),
    *each(NORMALIZE, "p", [1]),
    # the encoder's texts
    *each(BERT, "max_seq_length", ["8", "512", 8.0, 512.5, True, False, [512], {"a": 1}, 0, 1, -1, 10**9, 1e30]),
    *each(BERT, "do_lower_case", [True, "false", "no", 1, 0]),
    *((BERT, {key: {"a": 1}}, key) for key in
      ("model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args", "config_kwargs")),
    *each(BERT, "tokenizer_args", [{"model_max_length": 9}, {"do_lower_case": True}, "x", [1]]),
    *each(BERT, "model_args", [{"trust_remote_code": True, "a": 1}, {"torch_dtype": "float16"}]),
    *each(BERT, "transformer_task", ["text-generation", "fill-mask", "sequence-classification", "retrieval", 3, ""]),
    *each(BERT, "modality_config", [
        {}, {"message": {"method": "forward", "method_output_name": "last_hidden_state", "format": "auto"}},
        {"text": {"method": "get_text_features", "method_output_name": "pooler_output"}}, "text",
        {"text": {"method": "forward", "method_output_name": "last_hidden_state"}, "message": {"format": "flat"}},
    ]),
    *each(BERT, "module_output_name", ["sentence_embedding", 3]),
    *each(BERT, "processing_kwargs", [{"text": {"max_length": 4}}, {"text": {"padding": "max_length"}}, [1]]),
    *each(BERT, "query_length", [8, 0]),
    *each(BERT, "document_length", [8]),
    *each(BERT, "query_expansion", [{"length": 32}, True]),
    *each(BERT, "tokenizer_name_or_path", ["t5-base", ""]),
    *((BERT, {key: 1}, key) for key in ("max_length", "maximum", "backend", "model_name_or_path", "prompt")),
    *each(TOKENIZER, "model_max_length", ["512", 512.0, 512.5, True, [512], 0, 1, -1, -1e30]),
    *each(TOKENIZER, "do_lower_case", [True, "no", 1]),
    # the model
    *each(ABOUT, "model_type", ["SparseEncoder", "CrossEncoder", "MultiVectorEncoder", "", 3, ["SentenceTransformer"]]),
    *each(ABOUT, "truncate_dim", [5, 1, 0, -1, "12", 12.0, True, [12]]),
    *each(ABOUT, "prompts", [["a"], "a", 3, True]),
    (ABOUT, {"prompts": {"query": 3}}, "prompt 'query'"),
    (ABOUT, {"prompts": {"a\x1b[31m\n": {}}}, "prompt "),
    *each(ABOUT, "default_prompt_name", ["query", "", *NO_TEXT]),
    *each(ABOUT, "similarity_fn_name", ["maxsim", "Cosine", "", *NO_TEXT]),
    *((ABOUT, {key: 1}, key) for key in ("truncate", "normalize", "prompt")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "changes", "named"),
    REFUSED,
    ids=[
        f"{index}-{file}-{str(next(iter(changes.items())))[:40]!a}" for index, (file, changes, _) in enumerate(REFUSED)
    ],
)
def test_refused_by_name(folder: Path, file: str, changes: dict[str, Any], named: str) -> None:
    edit(folder / file, **changes)
    message = refusal(folder)
    assert named in message
    if "EncoderConfig" not in message:
        assert file in message


# --- modules.json ---------------------------------------------------------------------------------------------------

HOME = "sentence_transformers.models"
KINDS_REFUSED = [
    "CLIPModel", "WeightedLayerPooling", "LayerNorm", "Router", "Asym", "LSTM", "CNN", "BoW", "WordEmbeddings",
    "WordWeights", "StaticEmbedding", "T5", "MT5", "BERT", "SpladePooling", "transformer", "pooling", "Module", "",
]  # fmt: skip
TYPES_REFUSED: list[Any] = [
    *(f"{HOME}.{kind}" for kind in KINDS_REFUSED), ..., None, *NO_TEXT, "Transformer", "os.system", "evil.Transformer",
    f"x.{HOME}.Transformer", f"{HOME}..Transformer", f"{HOME}.Transformer.", f"{HOME}.evil.Transformer", "Transformer.",
    "sentence_transformers.sparse_encoder.models.Transformer", "sentence_transformers.Transformer",
    f"{HOME}.Transformer\n",
    "InstructorEmbedding", "InstructorEmbedding.Transformer", "InstructorEmbedding.instructor.Dense",
    f"{HOME}.Pooling.Transformer",
    "a" * 5000,
]  # fmt: skip
PATHS_REFUSED: list[Any] = [
    "..", "../m", "a/../../b", "/", "/etc", "//host/x", "C:\\x", "C:x", "..\\x", "a\\..\\..\\b", "\\\\host\\share", ...,
    None, 3, True, ["a"], {"a": 1}, "a\nb", "a\x1bb", "a\x00b", "\u202ea",
]  # fmt: skip


def module_edit(folder: Path, index: int, **changes: Any) -> None:
    listed = json.loads((folder / MODULES).read_text())
    listed[index] = {key: value for key, value in {**listed[index], **changes}.items() if value is not ...}
    (folder / MODULES).write_text(json.dumps(listed))


@pytest.mark.parametrize("kind", TYPES_REFUSED, ids=lambda kind: f"{str(kind)[:60]!a}")
def test_only_known_classes_of_modules(folder: Path, kind: Any) -> None:
    module_edit(folder, 0, type=kind)
    message = refusal(folder)
    assert "type" in message
    assert MODULES in message


@pytest.mark.parametrize("path", PATHS_REFUSED, ids=lambda path: f"{path!a}")
@pytest.mark.parametrize("index", [0, 2])
def test_modules_lie_inside_the_folder(folder: Path, index: int, path: Any) -> None:
    module_edit(folder, index, path=path)
    message = refusal(folder)
    assert f"entry {index}" in message
    assert "path" in message


ENTRIES: list[tuple[int, dict[str, Any], str]] = [
    *((1, {"idx": value}, "idx") for value in ("1", 1.0, True, -1, [1], 0, 5, SIZE + 1)),
    *((1, {"name": value}, "name") for value in (..., None, 1, True, "0")),
    (1, {"path": ""}, "path"),
    (2, {"path": "1_Pooling"}, "path"),
    (2, {"path": "1_Pooling/"}, "path"),
    (1, {"kwargs": ["task"]}, "kwargs"),
    (1, {"kwargs": {"task": "query"}}, "kwargs"),
    (1, {"extra": 1}, "extra=1"),
    (2, {"type": "InstructorEmbedding.instructor"}, "type"),
]


@pytest.mark.parametrize(("index", "changes", "named"), ENTRIES)
def test_entries_of_modules_are_checked(folder: Path, index: int, changes: dict[str, Any], named: str) -> None:
    module_edit(folder, index, **changes)
    assert named in refusal(folder)


def module(kind: str, index: int, **more: Any) -> dict[str, Any]:
    path = "" if index == 0 else f"{index}_{kind}"
    return {"idx": index, "name": str(index), "path": path, "type": f"{HOME}.{kind}", **more}


LISTS: dict[str, Any] = {
    "an object": {"0": module("Transformer", 0)},
    "a number": 3,
    "a string": "Transformer",
    "empty": [],
    "a list of lists": [[module("Transformer", 0)]],
    "names alone": ["Transformer", "Pooling"],
    "a hundred thousand": [module("Pooling", index) for index in range(100_000)],
    "seventeen": [module("Dropout", index) for index in range(17)],
    "pooling first": [module("Pooling", 0), module("Transformer", 1)],
    "dropout first": [module("Dropout", 0), module("Transformer", 1), module("Pooling", 2)],
    "two encoders": [module("Transformer", 0), module("Transformer", 1), module("Pooling", 2)],
    "two poolings": [module("Transformer", 0), module("Pooling", 1), module("Pooling", 2)],
    "projection last": [module("Transformer", 0), module("Pooling", 1), module("Normalize", 2), module("Dense", 3)],
    "projection first": [module("Transformer", 0), module("Dense", 1), module("Pooling", 2)],
    "normalize too early": [module("Transformer", 0), module("Normalize", 1), module("Pooling", 2)],
    "no pooling": [module("Transformer", 0), module("Normalize", 1)],
    "no encoder": [module("Pooling", 0)],
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_modules_that_cannot_be_computed(folder: Path, name: str) -> None:
    (folder / MODULES).write_text(json.dumps(LISTS[name]))
    assert MODULES in refusal(folder)


# --- Files that are damaged ------------------------------------------------------------------------------------------

JSON_FILES = (CONFIG, MODULES, BERT, TOKENIZER, POOLING, DENSE, NORMALIZE, ABOUT, RANGES, OWN_CONFIG)
DAMAGED: dict[str, bytes] = {
    "empty": b"",
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "a little deep": b'{"a":' * 80 + b"1" + b"}" * 80,
    "cut": b'{"a": 1, "b',
    "NaN": b'{"dropout_rate": NaN}',
    "infinity": b'{"layer_norm_epsilon": 1e400}',
    "a number of 5000 digits": b'{"d_model": ' + b"9" * 5000 + b"}",
    "half a surrogate pair": b'{"model_type": "\\ud800"}',
    "Latin-1": b'{"a": "\xe4"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "zeros": b"\0" * 4096,
    "two values": b"{} {}",
    "a number": b"3",
    "null": b"null",
    "a string": b'"a"',
    "pickle": b"\x80\x04cos\nsystem\n.",
    "endless blanks": b" " * (17 << 20),
}


@pytest.mark.parametrize("file", JSON_FILES)
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused_by_name(folder: Path, file: str, name: str) -> None:
    (folder / file).write_bytes(DAMAGED[name])
    assert file in refusal(folder)


@pytest.mark.parametrize("file", [CONFIG, POOLING, DENSE])
@pytest.mark.parametrize("how", ["absent", "a folder", "a loop of links", "a dangling link"])
def test_files_that_cannot_be_read(folder: Path, file: str, how: str) -> None:
    (folder / file).unlink()
    if how == "a folder":
        (folder / file).mkdir()
    elif how == "a loop of links":
        os.symlink((folder / file).name, folder / file)
    elif how == "a dangling link":
        os.symlink("nowhere", folder / file)
    with pytest.raises((OSError, ValueError), match=file):
        read_folder(folder)


def test_a_loop_of_links_as_the_folder_of_a_module(folder: Path) -> None:
    os.symlink("loop", folder / "loop")
    module_edit(folder, 2, path="loop")
    with pytest.raises(OSError, match="loop"):
        read_folder(folder)


@pytest.mark.parametrize(
    "name", ["processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json"]
)
def test_files_that_change_how_texts_are_read(folder: Path, name: str) -> None:
    (folder / name).write_text("{}")
    assert name in refusal(folder)


@pytest.mark.parametrize(
    "name", ["chat_template.jinja", "chat_template.json", "additional_chat_templates", BERT, ABOUT]
)
def test_a_plain_encoder_with_files_of_something_else(settings: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(settings / CONFIG, tmp_path / CONFIG)
    assert read_folder(tmp_path).config == ModelConfig(SMALL.encoder, projection=None, normalize=False)
    (tmp_path / name).write_text("{}")
    assert name in refusal(tmp_path)


# --- Our own folder --------------------------------------------------------------------------------------------------

OWN = {
    "format_version": 1,
    "model": {
        "encoder": {
            "vocab": 600,
            "embed": 16,
            "layers": 2,
            "heads": 2,
            "head_dim": 8,
            "ffn": 24,
            "relative_buckets": 8,
        },
        "projection": 12,
    },
}
OWN_REFUSED: list[tuple[str, str, Any]] = [
    *(
        ("encoder", key, value)
        for key in ("vocab", "embed", "heads", "head_dim", "ffn")
        for value in [*NOT_WHOLE, 0, ...]
    ),
    *(("encoder", "layers", value) for value in [*NOT_WHOLE, 0, ..., 10**9, LAYERS + 1]),
    *(("encoder", "gated", value) for value in NO_FLAG),
    *(("encoder", "shared_relative_bias", value) for value in NO_FLAG),
    *(("encoder", "norm_epsilon", value) for value in NO_NUMBER),
    *(("encoder", "dropout", value) for value in [*NO_NUMBER, 1]),
    *(("encoder", "activation", value) for value in [*NO_TEXT, "tanh", ""]),
    *(("encoder", "model_type", value) for value in [*NO_TEXT, "longformer"]),
    *(("encoder", "pad_id", value) for value in NOT_WHOLE),
    *(("encoder", "extra", value) for value in [1]),
    *(("model", "projection", value) for value in [*NOT_WHOLE, 0]),
    *(("model", "normalize", value) for value in NO_FLAG),
    *(("model", "pool_instruction", value) for value in NO_FLAG),
    *(("model", "max_length", value) for value in [*NOT_WHOLE, 0, 1]),
    *(("model", "pooling", value) for value in [*NO_TEXT, "max", ""]),
    *(("model", "dense", value) for value in [3, "x", {"size": 8}, [3], [{"size": 8}] * 17]),
    *(("model", "dense", [{"bias": True, "activation": "tanh", **layer}]) for layer in
      ({"size": 0}, {"size": "8"}, {"size": 8, "bias": 1}, {"size": 8, "activation": "softmax"}, {"size": 8, "x": 1})),
    *(("model", "encoder", value) for value in [..., None, 3, [], "x", {}]),
    *(("", "model", value) for value in [..., None, 3, [], "x", {}]),
    *(("", "format_version", value) for value in [..., None, 2, 0, "1", True, 1.0, [1]]),
    *(("", "extra", value) for value in [1]),
]  # fmt: skip


@pytest.mark.parametrize(("part", "key", "value"), OWN_REFUSED)
def test_our_own_settings_are_checked(tmp_path: Path, part: str, key: str, value: Any) -> None:
    content = json.loads(json.dumps(OWN))
    (tmp_path / OWN_CONFIG).write_text(json.dumps(content))
    assert read_folder(tmp_path).config == SMALL
    place = {"encoder": content["model"]["encoder"], "model": content["model"], "": content}[part]
    place[key] = value
    if value is ...:
        del place[key]
    (tmp_path / OWN_CONFIG).write_text(json.dumps(content))
    refusal(tmp_path)


RANGES_REFUSED = [
    '{"a": 1}', '{"12": [[1], 2]}', '{"12": [[0, 1]]}', "[]", '{"2": [["0", "1"], [1, 2]]}',
    '{"2": [[true, 1], [1, 2]]}',
    '{"2": [[0, 1e39], [1, 2]]}', '{"2": [[0, 1], [1, null]]}', '{"-2": [[0, 1], [1, 2]]}', '{"2.0": [[0, 1], [1, 2]]}',
    '{"0": [[], []]}', '{"\\u0662": [[0, 1], [1, 2]]}', '{"99999999999": [[], []]}', '{" 2": [[0, 1], [1, 2]]}',
    '{"2": [[0, [1]], [1, 2]]}', '{"1": [[1], [' + "9" * 400 + "]]}",
]  # fmt: skip


@pytest.mark.parametrize("content", RANGES_REFUSED)
def test_ranges_that_are_none(folder: Path, content: str) -> None:
    (folder / RANGES).write_text(content)
    assert RANGES in refusal(folder)


# --- What is obeyed or harmless --------------------------------------------------------------------------------------

OBEYED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (CONFIG, {"num_layers": LAYERS}, {"layers": LAYERS}),
    (CONFIG, {"pad_token_id": 3, "eos_token_id": [4, 5]}, {"pad_id": 3, "eos_id": 4}),
    (CONFIG, {"pad_token_id": None, "eos_token_id": None}, {}),
    (CONFIG, {"layer_norm_epsilon": 0, "dropout_rate": 0}, {"norm_epsilon": 0.0, "dropout": 0.0}),
    (CONFIG, {"dtype": "bfloat16", "torch_dtype": "float16"}, {}),
    (CONFIG, {"is_decoder": False, "pruned_heads": {}, "auto_map": {}, "per_layer_config": {}}, {}),
    (CONFIG, {"architectures": None}, {}),
    (CONFIG, {"hidden_size": 16, "num_hidden_layers": 2, "head_dim": 8, "num_attention_heads": 2}, {}),
    (CONFIG, {"unknown": None}, {}),
    (BERT, {"max_seq_length": 1_000_000}, {"max_length": 1_000_000}),
    (BERT, {"max_seq_length": 2}, {"max_length": 2}),
    (BERT, {"max_seq_length": None}, {}),
    (BERT, {"unpad_inputs": True, "model_args": {"trust_remote_code": True}, "query_length": None}, {}),
    (POOLING, {"embedding_dimension": 16}, {}),
    (POOLING, {"include_prompt": True}, {"pool_instruction": True}),
    (DENSE, {"module_input_name": "sentence_embedding", "module_output_name": None, "use_residual": False}, {}),
    (ABOUT, {"model_type": "SentenceTransformer", "requirements": {"torch": ">=9"}, "truncate_dim": None}, {}),
    (ABOUT, {"truncate_dim": 12}, {}),
]


@pytest.mark.parametrize(("file", "changes", "expected"), OBEYED)
def test_obeyed(folder: Path, file: str, changes: dict[str, Any], expected: dict[str, Any]) -> None:
    edit(folder / file, **changes)
    read = read_folder(folder)
    encoder = {key: value for key, value in expected.items() if key in EncoderConfig.__dataclass_fields__}
    model = {key: value for key, value in expected.items() if key not in encoder}
    wanted = ModelConfig(**{**vars(SMALL), **model, "encoder": EncoderConfig(**{**vars(SMALL.encoder), **encoder})})
    assert read.config == wanted


def test_what_is_harmless_changes_nothing(folder: Path) -> None:
    odd: list[Any] = [True, "text", 3, [1, 2], {"a": {"b": 1}}, -1.5]
    keys = [*HARMLESS, *T5_HARMLESS, *GENERATION]
    edit(folder / CONFIG, **{key: odd[index % len(odd)] for index, key in enumerate(keys)})
    assert read_folder(folder).config == SMALL


@pytest.mark.parametrize("name", ["cosine", "dot", "euclidean", "manhattan", None])
def test_how_vectors_are_compared_is_kept(folder: Path, name: str | None) -> None:
    edit(folder / ABOUT, similarity_fn_name=name)
    assert read_folder(folder).similarity_fn_name == name


def test_prompts_are_kept(folder: Path) -> None:
    edit(folder / ABOUT, prompts={"query": "Q: ", "document": None, "": "x"}, default_prompt_name="query")
    read = read_folder(folder)
    assert (read.prompts, read.default_prompt_name) == ({"query": "Q: ", "document": "", "": "x"}, "query")


@pytest.mark.parametrize("value", [10**20, 10**30, 1e30, 1_000_001])
def test_a_tokenizer_without_a_limit(folder: Path, value: float) -> None:
    edit(folder / TOKENIZER, model_max_length=value)
    edit(folder / BERT, max_seq_length=...)
    assert read_folder(folder).config.max_length == 512


def test_an_encoder_in_a_folder_of_its_own(folder: Path) -> None:
    home = folder / "0_Transformer"
    home.mkdir()
    for name in (CONFIG, BERT, TOKENIZER):
        (folder / name).rename(home / name)
    module_edit(folder, 0, path="0_Transformer")
    read = read_folder(folder)
    assert read == ModelFolder(home, SMALL, root=folder, dense=(folder / "2_Dense",), similarity_fn_name="cosine")
    assert read.whole == folder


def test_absurd_sizes_take_neither_memory_nor_time(folder: Path) -> None:
    edit(folder / CONFIG, num_layers=10**9)
    tracemalloc.start()
    begin = time.perf_counter()
    refusal(folder)
    edit(folder / CONFIG, num_layers=LAYERS, d_model=SIZE, d_ff=SIZE, vocab_size=SIZE)
    refusal(folder)
    assert time.perf_counter() - begin < 5
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


# --- The command -----------------------------------------------------------------------------------------------------

COMMAND: list[tuple[str, dict[str, Any]]] = [
    (CONFIG, {"num_layers": 10**9}),
    (CONFIG, {"is_decoder": True}),
    (CONFIG, {"model_type": ...}),
    (CONFIG, {"unknown\x1b[31m\nkey": "value\x07"}),
    (DENSE, {"use_residual": True}),
    (POOLING, {"pooling_mode": "weightedmean"}),
    (BERT, {"max_seq_length": 8.0}),
    (BERT, {"max_seq_length": "8"}),
    (ABOUT, {"model_type": "SparseEncoder"}),
]


@pytest.mark.parametrize(("file", "changes"), COMMAND)
def test_the_command_says_it_in_one_line(
    folder: Path, file: str, changes: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    from instructor_jax.cli import main

    edit(folder / file, **changes)
    with pytest.raises(SystemExit) as caught:
        main(["similarity", "a", "b", "-m", str(folder)])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("instructor-jax: error: ")
    assert error.count("\n") == 1
    assert error.strip().isprintable()
