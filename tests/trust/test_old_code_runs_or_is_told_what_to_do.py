"""What InstructorEmbedding and sentence-transformers offer in daily use: it works, or answers in one sentence."""

import copy
import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from instructor_jax import INSTRUCTOR, Instructor
from instructor_jax.inference.encode_info import TruncationWarning

from ..small_models import SMALL, model_folder

PAIRS = [["Represent the title: ", "A river in the north."], ["", "x"], ["Represent the question: ", "Food?"]]
SAME = 2e-6  # float32 under other padding


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prompts = {"query": "Represent the question: ", "title": "Represent the title: "}
    return model_folder(tmp_path_factory.mktemp("old") / "model", SMALL, prompts=prompts)


@pytest.fixture(scope="module")
def loaded(folder: Path) -> INSTRUCTOR:
    return INSTRUCTOR(str(folder), devices=jax.devices()[:1], tokens_per_call=512)


@pytest.fixture
def model(loaded: INSTRUCTOR) -> INSTRUCTOR:
    """A copy to change: settings of its own over shared programs."""
    return copy.copy(loaded)


def close(first: Any, second: Any) -> bool:
    return bool(np.abs(np.asarray(first) - np.asarray(second)).max() <= SAME)


# --- the constructor -----------------------------------------------------------------------------------------------


def test_the_constructors_signature_is_the_originals() -> None:
    parameters = list(inspect.signature(INSTRUCTOR).parameters.values())
    assert [one.name for one in parameters[:5]] == [
        "model_name_or_path", "modules", "device", "cache_folder", "use_auth_token",
    ]  # fmt: skip
    assert all(one.kind is one.POSITIONAL_OR_KEYWORD for one in parameters[:5])
    assert all(one.kind is one.KEYWORD_ONLY for one in parameters[5:])
    assert {"token", "revision", "trust_remote_code", "local_files_only", "model_kwargs", "tokenizer_kwargs"} <= {
        one.name for one in parameters
    }
    assert not any(one.kind is one.VAR_KEYWORD for one in inspect.signature(Instructor).parameters.values())
    assert next(iter(inspect.signature(Instructor).parameters)) == "folder"


def test_a_model_is_an_instance_of_both_names(loaded: INSTRUCTOR, embedder: Instructor) -> None:
    assert isinstance(loaded, INSTRUCTOR)
    assert isinstance(loaded, Instructor)
    assert isinstance(loaded, INSTRUCTOR | str)
    assert type(embedder) is Instructor
    assert repr(loaded).startswith("INSTRUCTOR('")


@pytest.mark.parametrize(
    "options",
    [
        {"device": "cpu"},
        {"device": "cpu:0"},
        {"device": None, "modules": None},
        {"cache_folder": "unused"},
        {"cache_folder": Path("unused")},
        {"use_auth_token": None},
        {"use_auth_token": True},
        {"use_auth_token": "hf_x"},
        {"token": False},
        {"trust_remote_code": True},
        {"trust_remote_code": False},
        {"local_files_only": True},
        {"backend": "torch"},
        {"model_kwargs": {}},
        {"model_kwargs": {"attn_implementation": "eager", "device_map": "auto"}},
        {"tokenizer_kwargs": {"use_fast": True}},
        {"config_kwargs": {}},
        {"similarity_fn_name": "dot"},
        {"truncate_dim": 8},
        {"default_prompt_name": "title"},
        {"prompts": {"a": "b"}},
    ],
)
def test_options_of_the_constructor_that_are_taken(folder: Path, loaded: INSTRUCTOR, options: dict[str, Any]) -> None:
    built = INSTRUCTOR(str(folder), **options, **({} if "device" in options else {"devices": loaded._ready().devices}))
    assert built.get_sentence_embedding_dimension() == options.get("truncate_dim", 12)
    assert built.similarity_fn_name == options.get("similarity_fn_name", "cosine")
    assert built.prompts == options.get("prompts", loaded.prompts)
    assert built.default_prompt_name == options.get("default_prompt_name")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda"}, r"device='cuda': JAX sees no GPU here; .*pip install 'instructor-jax\[cuda13\]'"),
        ({"device": "cuda:3"}, r"device='cuda:3': JAX sees no GPU here; .*instructor-jax\[cuda13\]"),
        ({"device": 0}, r"device='cuda:0': JAX sees no GPU here"),
        ({"device": "tpu"}, r"device='tpu': JAX sees no TPU here; .*instructor-jax\[tpu\]"),
        ({"device": "mps"}, "device='mps': .*Apple's GPUs.*device='cpu'"),
        ({"device": "xpu"}, "device='xpu' is no device; the names are cpu, cuda and tpu"),
        ({"device": "cuda:x"}, "device='cuda:x' is no device"),
        ({"device": "cpu:99"}, "device='cpu:99', but there are only"),
        ({"device": ""}, "device='' is no device"),
        ({"device": b"cpu"}, "device=b'cpu' must be the name of a device"),
        ({"device": 1.5}, "device=1.5 must be the name of a device"),
        ({"device": "cpu", "devices": "cpu"}, "device='cpu' and devices='cpu' are given; give one"),
        ({"modules": []}, "modules=.*PyTorch modules cannot be computed with"),
        ({"token": "a", "use_auth_token": "b"}, "give one of them"),
        ({"backend": "onnx"}, "backend='onnx' is not offered"),
        ({"config_kwargs": {"num_layers": 1}}, "config_kwargs=.*config.json"),
        ({"model_kwargs": {"load_in_8bit": True}}, "model_kwargs has 'load_in_8bit', which cannot be obeyed"),
        ({"model_kwargs": {"dtype": "float16"}}, "dtype='float16' must be .*overflow"),
        ({"model_kwargs": "fast"}, "model_kwargs='fast' must be a dictionary"),
        ({"tokenizer_kwargs": {"truncation_side": "left"}}, "'truncation_side', which cannot be obeyed"),
        ({"similarity_fn_name": "maxsim"}, "similarity_fn_name='maxsim' must be one of cosine"),
        ({"truncate_dim": 13}, "truncate_dim=13 must be at most 12"),
        ({"default_prompt_name": "answer"}, "default_prompt_name='answer' is not in the model's prompts"),
        ({"prompts": ["query"]}, "prompts=.*must be a dictionary of strings"),
        ({"trust_remote_code": "no"}, "trust_remote_code='no' must be True or False"),
        ({"local_files_only": "False"}, "local_files_only='False' must be True or False"),
        ({"revision": "main"}, "revision='main' is for models on the hub"),
        ({"revision": 3}, "revision=3 must be a string"),
        ({"cache_folder": 3}, "cache_folder=3 must be a string or a path"),
        ({"dtype": "float16"}, "dtype='float16' must be .*overflow"),
    ],
)
def test_options_of_the_constructor_that_are_refused(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        INSTRUCTOR(str(folder), **options)


def test_settings_for_transformers_that_are_obeyed(folder: Path, loaded: INSTRUCTOR) -> None:
    devices = loaded._ready().devices
    settings = {"model_kwargs": {"torch_dtype": "bfloat16"}, "tokenizer_kwargs": {"model_max_length": 40}}
    built = INSTRUCTOR(str(folder), devices=devices, **settings)
    assert (built.dtype, built.max_seq_length) == ("bfloat16", 40)


@pytest.mark.parametrize("name", ["model_name_or_path", "positional", "path"])
def test_the_name_by_position_by_keyword_and_as_a_path(folder: Path, loaded: INSTRUCTOR, name: str) -> None:
    devices = loaded._ready().devices
    if name == "model_name_or_path":
        built = INSTRUCTOR(model_name_or_path=str(folder), devices=devices)
    else:
        built = INSTRUCTOR(str(folder) if name == "positional" else folder, devices=devices)
    assert close(built.encode(PAIRS), loaded.encode(PAIRS))
    assert close(Instructor(folder, devices=devices).encode(PAIRS), loaded.encode(PAIRS))


# --- length, prompts, sizes ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_limit_may_be_raised_as_the_authors_advise(model: INSTRUCTOR, loaded: INSTRUCTOR, folder: Path) -> None:
    long = "the river and the water of the world " * 90  # about 700 tokens
    with pytest.warns(TruncationWarning):
        cut = model.encode([["Represent: ", long]])
    model.max_seq_length = 1024
    assert model.max_seq_length == model.get_max_seq_length() == model.tokenizer.max_length == 1024
    whole, info = model.encode([["Represent: ", long]], return_info=True)
    assert not info.truncated.any()
    assert not close(whole, cut)
    fresh = INSTRUCTOR(str(folder), max_length=1024, devices=loaded._ready().devices, tokens_per_call=512)
    assert close(whole, fresh.encode([["Represent: ", long]]))
    assert close(model.encode(PAIRS), loaded.encode(PAIRS))
    assert loaded.max_seq_length == 512


def test_the_limit_may_be_lowered(model: INSTRUCTOR) -> None:
    model.max_seq_length = np.int64(8)
    assert model.tokenize([["", "the river and the water of the world"]])["input_ids"].shape == (1, 8)


@pytest.mark.parametrize("value", [0, 1, -5, 1.5, 512.0, "512", None, True, 10**30, [512]])
def test_a_wrong_limit_is_told(model: INSTRUCTOR, value: object) -> None:
    with pytest.raises(ValueError, match=r"max_seq_length=.* must be"):
        model.max_seq_length = value
    assert model.max_seq_length == 512


def test_prompts_may_be_set_and_changed(model: INSTRUCTOR, loaded: INSTRUCTOR) -> None:
    model.prompts["new"] = "Represent the title: "
    assert "new" not in loaded.prompts
    expected = model.encode("x", instruction="Represent the title: ")
    assert close(model.encode("x", prompt_name="new"), expected)
    model.default_prompt_name = "new"
    assert close(model.encode(["x"])[0], expected)
    model.default_prompt_name = None
    model.prompts = {"query": "Represent the title: "}
    assert close(model.encode_query(["x"])[0], expected)
    for wrong in ("query", None, {"a": 3}, {3: "a"}):
        with pytest.raises(ValueError, match="prompts="):
            model.prompts = wrong


def test_pooling_over_the_prompt_can_be_switched(model: INSTRUCTOR, loaded: INSTRUCTOR) -> None:
    model.set_pooling_include_prompt(include_prompt=False)
    assert close(model.encode(PAIRS), loaded.encode(PAIRS))
    model.set_pooling_include_prompt(True)
    assert not close(model.encode(PAIRS[:1]), loaded.encode(PAIRS[:1]))
    assert close(model.encode(PAIRS[1:2]), loaded.encode(PAIRS[1:2]))  # no instruction


def test_truncated_dimensions_as_an_attribute_and_a_context(model: INSTRUCTOR) -> None:
    expected = model.encode(PAIRS, truncate_dim=4)
    for context in (model.truncate_sentence_embeddings, model.truncate_embeddings):
        with context(4):
            assert close(model.encode(PAIRS), expected)
            assert model.get_sentence_embedding_dimension() == 4
        assert model.truncate_dim is None
    model.truncate_dim = 4
    assert close(next(iter(model.encode_stream(PAIRS))), expected[0])
    assert model.encode(PAIRS, truncate_dim=6).shape == (3, 6)
    for wrong in (0, 13, "4", 2.5, True):
        with pytest.raises(ValueError, match="truncate_dim="):
            model.truncate_dim = wrong


# --- modes, devices, types -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda model: model.eval(),
        lambda model: model.train(),
        lambda model: model.train(False),
        lambda model: model.to("cpu"),
        lambda model: model.to(device="cpu"),
        lambda model: model.to("cpu", "float32"),
        lambda model: model.cpu(),
        lambda model: model.float(),
        lambda model: model.to(model.device),
        lambda model: model.eval().to("cpu").float(),
    ],
)
def test_modes_and_moves_return_the_model(model: INSTRUCTOR, loaded: INSTRUCTOR, call: Any) -> None:
    assert call(model) is model
    assert close(model.encode(PAIRS), loaded.encode(PAIRS))
    assert model.training is False
    assert model.compile() is None


def test_the_device_has_the_name_that_pytorch_gives_it(model: INSTRUCTOR) -> None:
    assert model.device == "cpu"
    assert (model.device.type, model.device.index) == ("cpu", None)


@pytest.mark.torch
def test_devices_and_types_of_torch(model: INSTRUCTOR) -> None:
    torch = pytest.importorskip("torch")
    assert torch.zeros(1).to(model.device).device == torch.device("cpu")
    assert model.to(torch.device("cpu")) is model
    assert model.to(torch.bfloat16).dtype == "bfloat16"
    assert model.to(dtype=torch.float32).dtype == "float32"
    for call in (lambda: model.to(torch.float16), lambda: model.to(torch.float64)):
        with pytest.raises(ValueError, match="dtype=torch.float.*must be 'float32' or 'bfloat16'"):
            call()


def test_computing_in_bfloat16_and_back(model: INSTRUCTOR, loaded: INSTRUCTOR) -> None:
    assert model.bfloat16().dtype == "bfloat16"
    rounded = model.encode(PAIRS)
    assert (rounded * loaded.encode(PAIRS)).sum(axis=1).min() > 0.999
    assert model.float().dtype == "float32"
    assert loaded.dtype == "float32"
    assert close(model.encode(PAIRS), rounded) or (model.encode(PAIRS) * rounded).sum(axis=1).min() > 0.999


@pytest.mark.slow
def test_moving_to_other_devices(model: INSTRUCTOR, loaded: INSTRUCTOR) -> None:
    model.to(jax.devices()[3])
    assert model._ready().devices == [jax.devices()[3]]
    assert close(model.encode(PAIRS), loaded.encode(PAIRS))
    model.to(["cpu:1", "cpu:2"])
    assert model._ready().devices == jax.devices()[1:3]
    assert close(model.encode(PAIRS), loaded.encode(PAIRS))
    assert close(model.encode(PAIRS, device="cpu:5"), loaded.encode(PAIRS))
    assert model._ready().devices == [jax.devices()[5]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.half(), "dtype='float16' must be .*overflow"),
        (lambda model: model.double(), "dtype='float64' must be"),
        (lambda model: model.cuda(), r"device='cuda': .*cuda13"),
        (lambda model: model.cuda(1), r"device='cuda:1': .*cuda13"),
        (lambda model: model.to("cuda"), r"device='cuda': .*cuda13"),
        (lambda model: model.to("mps"), "device='mps': "),
        (lambda model: model.to("float64"), "dtype='float64' must be"),
        (lambda model: model.encode("x", device="cuda"), r"device='cuda': .*cuda13"),
        (lambda model: model.start_multi_process_pool(["cuda:0", "cuda:1"]), r"device='cuda:0': .*cuda13"),
    ],
)
def test_what_cannot_be_had_here(model: INSTRUCTOR, call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(model)


# --- tokens, pools, saving -----------------------------------------------------------------------------------------


def test_tokenize_gives_ids_and_masks(model: INSTRUCTOR) -> None:
    features = model.tokenize(PAIRS)
    assert set(features) == {"input_ids", "attention_mask", "context_masks"}
    for row, (instruction, text) in enumerate(PAIRS):
        alone = model.tokenize([[instruction, text]])
        length = alone["attention_mask"].sum()
        np.testing.assert_array_equal(features["input_ids"][row, :length], alone["input_ids"][0])
        assert features["attention_mask"][row].sum() == length
    assert features["context_masks"].tolist()[1] == 0
    assert features["context_masks"][0] == model.tokenizer.instruction_length("Represent the title: ") - 1
    strings = model.tokenize(["A river in the north.", "x"])
    assert strings["input_ids"].dtype == np.int64
    assert model.tokenize("x")["input_ids"].shape[0] == 1
    assert model.tokenize([])["input_ids"].shape == (0, 0)


def test_pools_of_processes_compute_the_same(model: INSTRUCTOR, loaded: INSTRUCTOR) -> None:
    pool = model.start_multi_process_pool(["cpu", "cpu"])
    expected = loaded.encode(PAIRS)
    assert close(model.encode_multi_process(PAIRS, pool), expected)
    assert close(model.encode_multi_process(PAIRS, pool, 2, 100), expected)
    assert close(model.encode(PAIRS, pool=pool, chunk_size=1), expected)
    assert close(model.encode(inputs=PAIRS, task="query"), expected)
    assert INSTRUCTOR.stop_multi_process_pool(pool) is None
    assert close(model.encode(PAIRS, device=["cpu", "cpu"]), expected)


def test_saving_under_both_names(model: INSTRUCTOR, loaded: INSTRUCTOR, tmp_path: Path) -> None:
    model.max_seq_length = 100
    model.prompts["new"] = "N: "
    model.similarity_fn_name = "dot"
    model.save(str(tmp_path / "one"), "a name", create_model_card=False, train_datasets=["x"])
    model.save_pretrained(tmp_path / "other", safe_serialization=True)
    for name in ("one", "other"):
        again = INSTRUCTOR(str(tmp_path / name), devices=loaded._ready().devices, tokens_per_call=512)
        np.testing.assert_array_equal(again.encode(PAIRS), loaded.encode(PAIRS))
        assert (again.max_seq_length, again.prompts["new"], again.similarity_fn_name) == (100, "N: ", "dot")
    for options in ({"path": tmp_path / "one"}, {"path": None}, {"path": ""}, {"path": b"x"}):
        with pytest.raises(ValueError, match=r"exists and is not an empty folder|path="):
            model.save(**options)
    with pytest.raises(ValueError, match="safe_serialization=False: weights are written as safetensors only"):
        model.save(tmp_path / "third", safe_serialization=False)
    assert not (tmp_path / "third").exists()


ANSWERS = (
    "fit", "old_fit", "smart_batching_collate", "get_sentence_features", "parameters", "named_parameters", "buffers",
    "state_dict", "load_state_dict", "modules", "children", "named_modules", "forward", "_first_module",
    "_last_module", "add_adapter", "load_adapter", "requires_grad_", "zero_grad", "apply",
    "share_memory", "gradient_checkpointing_enable", "merge", "named_children", "named_buffers",
)  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_pytorchs_answers_in_one_sentence(loaded: INSTRUCTOR, name: str) -> None:
    with pytest.raises(NotImplementedError) as caught:
        getattr(loaded, name)("anything", option=3)
    said = str(caught.value)
    assert said.startswith(f"{name} is PyTorch's and not offered here: ")
    assert said.endswith(".")
    assert "\n" not in said
    assert len(said) > 60


@pytest.mark.parametrize("use", [lambda model: model[0], len, list, lambda model: model({}), lambda model: 1 in model])
def test_the_models_modules_are_not_offered(loaded: INSTRUCTOR, use: Any) -> None:
    with pytest.raises(NotImplementedError, match="not offered here: "):
        use(loaded)
    assert bool(loaded)


# --- sentence-transformers' whole surface --------------------------------------------------------------------------


@pytest.mark.torch
def test_every_public_name_of_sentence_transformers_that_users_call_is_there(loaded: INSTRUCTOR) -> None:
    library = pytest.importorskip("sentence_transformers")
    from torch import nn

    offered = {name for name in dir(library.SentenceTransformer) if not name.startswith("_")}
    of_modules = {name for name in dir(nn.Sequential) if not name.startswith("_")}
    lacking = sorted(name for name in offered - of_modules if not hasattr(loaded, name))
    # what only its trainer, its loaders and other kinds of models use
    allowed = {
        "SUPPORTED_SIMILARITY_FN_NAMES", "active_adapter", "active_adapters", "clear_placement_cache", "delete_adapter",
        "disable_adapters", "enable_adapters", "get_adapter_state_dict", "get_model_kwargs",
        "is_singular_input", "model_card_data_class", "model_type", "processor",
        "set_adapter", "supports", "transformers_model", "default_huggingface_organization", "config_file_name",
    }  # fmt: skip
    assert [name for name in lacking if name not in allowed and "peft" not in name] == []


# --- LangChain -----------------------------------------------------------------------------------------------------


def test_the_originals_module_name_can_stand_for_this_package(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """What LangChain's older class does after the documented two lines."""
    monkeypatch.setitem(sys.modules, "InstructorEmbedding", importlib.import_module("instructor_jax"))
    cls = importlib.import_module("InstructorEmbedding").INSTRUCTOR
    client = cls(str(folder), cache_folder=None, device="cpu")
    vectors = client.encode([["Represent the document: ", "x"]], show_progress_bar=False, normalize_embeddings=True)
    assert isinstance(vectors.tolist()[0], list)


def test_langchains_older_class(monkeypatch: pytest.MonkeyPatch, folder: Path, loaded: INSTRUCTOR) -> None:
    embeddings = pytest.importorskip("langchain_community.embeddings")
    monkeypatch.setitem(sys.modules, "InstructorEmbedding", importlib.import_module("instructor_jax"))
    made = embeddings.HuggingFaceInstructEmbeddings(model_name=str(folder), model_kwargs={"device": "cpu"})
    assert close(made.embed_documents(["a river"]), loaded.encode(["a river"], instruction=made.embed_instruction))
    assert close(made.embed_query("a river"), loaded.encode("a river", instruction=made.query_instruction))
