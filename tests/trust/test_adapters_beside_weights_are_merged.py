"""LoRA adapters in peft's layout beside a model: merged to the vectors that sentence-transformers gives, or refused."""

import copy
import json
import shutil
import time
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from instructor_jax.backbones.t5.names import NAMES
from instructor_jax.convert.sources import read_source
from instructor_jax.io.folders import read_folder, read_params, read_torch_arrays
from instructor_jax.io.weights.adapter_patterns import compiled
from instructor_jax.io.weights.adapters import merged
from instructor_jax.io.weights.names import PROJECTION

from ..small_models import SMALL, UMT5, assert_identical, model_folder

TEXTS = ["A short one.", "Mixed-case TEXT, with numbers 3.14", "word " * 30]
CONFIG: dict[str, Any] = {
    "peft_type": "LORA", "r": 4, "lora_alpha": 9, "target_modules": ["q", "v"], "bias": "none", "inference_mode": True,
    "base_model_name_or_path": "somewhere", "init_lora_weights": True, "modules_to_save": None, "task_type": None,
}  # fmt: skip
QUERY = "encoder.block.{}.layer.0.SelfAttention.{}"


def matrices(rank: int = 4, modules: str = "qv", layers: tuple[int, ...] = (0, 1)) -> dict[str, np.ndarray]:
    """An adapter of some attention kernels, [rank, 16] and [16, rank], under peft's names."""
    random = np.random.default_rng(1)
    result = {}
    for layer in layers:
        for module in modules:
            name = "base_model.model." + QUERY.format(layer, module)
            result[f"{name}.lora_A.weight"] = random.standard_normal((rank, 16)).astype(np.float32)
            result[f"{name}.lora_B.weight"] = random.standard_normal((16, rank)).astype(np.float32)
    return result


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("adapters") / "base")


@pytest.fixture
def folder(base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base, tmp_path / "m"))


def adapt(folder: Path, arrays: dict[str, np.ndarray] | None = None, **config: Any) -> Path:
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | config))
    save_file(matrices() if arrays is None else arrays, folder / "adapter_model.safetensors")
    return folder


def kernel(folder: Path, layer: int = 0, module: str = "query") -> np.ndarray:
    """A kernel as PyTorch has it, [out, in]."""
    value = read_params(read_folder(folder))["encoder"]["layers"]["attention"][module][layer]
    return value.reshape(value.shape[0], -1).T


# --- Against sentence-transformers ----------------------------------------------------------------------------------

ALL = ["q", "k", "v", "o", "wi", "wo"]
VARIANTS: dict[str, dict[str, Any]] = {
    "attention": {"target_modules": ["q", "v"]},
    "every kernel": {"target_modules": ALL},
    "all-linear": {"target_modules": "all-linear"},
    "a pattern": {"target_modules": r".*SelfAttention\.(q|k)$"},
    "a pattern of layers": {"target_modules": r"encoder\.block\.[01]\.layer\.1\.DenseReluDense\.(wi|wo)"},
    "whole names": {"target_modules": [QUERY.format(1, "o"), "SelfAttention.k"]},
    "excluded": {"target_modules": ALL, "exclude_modules": ["wo", "SelfAttention.k"]},
    "excluded by a pattern": {"target_modules": ALL, "exclude_modules": r".*block\.1\..*"},
    "some layers": {"target_modules": ["q", "wo"], "layers_to_transform": [1]},
    "one layer": {"target_modules": ["q", "wo"], "layers_to_transform": 0, "layers_pattern": "block"},
    "ranks by pattern": {
        "target_modules": ALL, "rank_pattern": {"q": 2, r"block\.1\..*\.wi": 3, "block.0.layer.1.DenseReluDense.wo": 5},
    },
    "alphas by pattern": {"target_modules": ALL, "alpha_pattern": {"v": 3, r"SelfAttention\.(k|o)": 20}},
    "both patterns": {"target_modules": "all-linear", "rank_pattern": {".*k": 6}, "alpha_pattern": {".*k": 1, "k": 99}},
    "rank-stabilised": {"target_modules": ALL, "use_rslora": True},
    "rank-stabilised by pattern": {"target_modules": ["q"], "use_rslora": True, "rank_pattern": {"q": 9}},
    "weight-decomposed": {"target_modules": ALL, "use_dora": True},
    "weight-decomposed, rank-stabilised": {"target_modules": ["q", "wi"], "use_dora": True, "use_rslora": True, "r": 2},
    "alpha zero": {"target_modules": ["q"], "lora_alpha": 0},
    "a rank above the width": {"target_modules": ["q"], "r": 40},
    "dropout": {"target_modules": ["q", "v"], "lora_dropout": 0.5},
    "gaussian": {"target_modules": ["q", "v"], "init_lora_weights": "gaussian"},
    "orthogonal": {"target_modules": ["q", "v"], "init_lora_weights": "orthogonal"},
    "a task": {"target_modules": ["q", "v"], "task_type": "FEATURE_EXTRACTION"},
}  # fmt: skip


IN_FULL = ("every kernel", "both patterns", "weight-decomposed, rank-stabilised")  # also through our own computation


@pytest.fixture(scope="module")
def plain(base: Path) -> Any:
    """The base model in sentence-transformers, whose weights the tests below replace."""
    pytest.importorskip("torch")
    library = pytest.importorskip("sentence_transformers")
    return library.SentenceTransformer(str(base))


@pytest.mark.torch
@pytest.mark.parametrize("variant", VARIANTS)
def test_vectors_are_those_of_sentence_transformers(base: Path, folder: Path, plain: Any, variant: str) -> None:
    """The folder with the adapter through sentence-transformers and peft, and its base with the weights merged here."""
    import torch

    peft = pytest.importorskip("peft")
    from sentence_transformers import SentenceTransformer
    from transformers import T5EncoderModel

    model = peft.get_peft_model(
        T5EncoderModel.from_pretrained(str(folder)), peft.LoraConfig(**({"r": 4, "lora_alpha": 9} | VARIANTS[variant]))
    )
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(str(folder))
    if VARIANTS[variant].get(
        "use_dora"
    ):  # transformers 5.24 drops peft 0.21's lengths, with a warning; peft itself not
        merged_by_peft = peft.PeftModel.from_pretrained(T5EncoderModel.from_pretrained(str(base)), str(folder))
        plain[0].auto_model.load_state_dict(merged_by_peft.merge_and_unload().state_dict())
        expected = plain.encode(TEXTS)
    else:
        expected = SentenceTransformer(str(folder)).encode(TEXTS)
    arrays = {name: array for name, array in read_torch_arrays(read_folder(folder)).items() if name != PROJECTION}
    state = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    state["encoder.embed_tokens.weight"] = state["shared.weight"]
    plain[0].auto_model.load_state_dict(state)
    np.testing.assert_allclose(plain.encode(TEXTS), expected, rtol=0, atol=1e-5)
    plain[0].auto_model.load_state_dict(T5EncoderModel.from_pretrained(str(base)).state_dict())
    assert (np.abs(expected - plain.encode(TEXTS)).max() > 1e-2) == (variant != "alpha zero")  # the adapter matters
    if variant in IN_FULL:
        from instructor_jax import Instructor

        found = Instructor.from_pretrained(folder, tokens_per_call=512).encode(TEXTS)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


# --- By hand --------------------------------------------------------------------------------------------------------


def test_the_sum_is_exact(folder: Path) -> None:
    before, other = kernel(folder), kernel(folder, module="key")
    arrays = matrices()
    adapt(folder, arrays)
    name = "base_model.model." + QUERY.format(0, "q")
    update = arrays[f"{name}.lora_B.weight"].astype(np.float64) @ arrays[f"{name}.lora_A.weight"] * (9 / 4)
    np.testing.assert_allclose(kernel(folder), before + update, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(kernel(folder, module="key"), other)


@pytest.mark.parametrize("spelling", ["no prefix", "named default", "dtype", "bin", "decoder"])
def test_other_spellings_are_the_same_adapter(folder: Path, spelling: str) -> None:
    expected = read_params(read_folder(adapt(folder)))
    arrays = matrices()
    if spelling == "no prefix":
        arrays = {name.removeprefix("base_model.model."): array for name, array in arrays.items()}
    elif spelling == "named default":
        arrays = {name.replace(".weight", ".default.weight"): array for name, array in arrays.items()}
    elif spelling == "dtype":
        arrays = {name: array.astype(np.float64) for name, array in arrays.items()}
    elif spelling == "decoder":
        arrays["base_model.model.decoder.block.0.layer.0.SelfAttention.q.lora_A.weight"] = np.zeros((4, 16))
    if spelling == "bin":
        torch = pytest.importorskip("torch")
        torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, folder / "adapter_model.bin")
        (folder / "adapter_model.safetensors").unlink()
    else:
        adapt(folder, arrays)
    assert_identical(read_params(read_folder(folder)), expected)


def test_safetensors_win_over_bin_and_convert_merges(folder: Path) -> None:
    adapt(folder)
    (folder / "adapter_model.bin").write_bytes(b"never opened")
    assert_identical(read_source(folder).params, read_params(read_folder(folder)))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_weights_are_widened_where_something_is_added(tmp_path: Path, dtype: Any) -> None:
    folder = model_folder(tmp_path / "m", dtype=dtype)
    before = kernel(folder)
    adapt(folder, matrices(layers=(1,)), layers_to_transform=[1])
    params = read_params(read_folder(folder))["encoder"]["layers"]
    assert params["attention"]["query"].dtype == np.float32
    assert params["attention"]["key"].dtype == dtype
    np.testing.assert_array_equal(kernel(folder), before.astype(np.float32))


def test_gated_layers_of_umt5(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", UMT5)
    name = "base_model.model.encoder.block.2.layer.1.DenseReluDense.wi_1"
    ones = {f"{name}.lora_A.weight": np.ones((1, 16)), f"{name}.lora_B.weight": np.ones((1024, 1))}
    before = read_params(read_folder(folder))["encoder"]["layers"]["mlp"]["wi_1"]
    adapt(folder, ones, r=1, lora_alpha=2, target_modules=["wi_1"], layers_to_transform=[2])
    after = read_params(read_folder(folder))["encoder"]["layers"]["mlp"]["wi_1"]
    np.testing.assert_allclose(after - before, np.array([0, 0, 2.0])[:, None, None] + np.zeros_like(before), atol=1e-6)


# --- What is refused ------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    **{
        f"the kind {kind}": ({"peft_type": kind}, rf"of the kind '{kind}'; merged is LORA.*merge_and_unload")
        for kind in ("IA3", "ADALORA", "LOHA", "LOKR", "PREFIX_TUNING", "PROMPT_TUNING", "VERA", "OFT", "lora", "")
    },
    "no kind": ({"peft_type": None}, "lacks 'peft_type'"),
    **{
        f"weights begun by {kind}": ({"init_lora_weights": kind}, rf"init_lora_weights='{kind}', which means base")
        for kind in ("pissa", "pissa_niter_16", "olora", "corda", "loftq", "lora_ga", "mica")
    },
    "biases": ({"bias": "all"}, "bias='all', which means trained biases"),
    "biases of LoRA": ({"bias": "lora_only"}, "bias='lora_only'"),
    "modules": ({"modules_to_save": ["layer_norm"]}, "modules_to_save=a list of 1, which means whole modules"),
    "a bias": ({"lora_bias": True}, "lora_bias=true"),
    "tokens": ({"trainable_token_indices": [3]}, "trainable_token_indices=a list of 1"),
    "tokens by layer": ({"trainable_token_indices": {"shared": [3]}}, "trainable_token_indices"),
    "parameters": ({"target_parameters": ["shared.weight"]}, "target_parameters"),
    "replication": ({"layer_replication": [[0, 1], [0, 1]]}, "layer_replication=a list of 2, which means layers that"),
    "Megatron": ({"megatron_config": {"a": 1}}, "megatron_config"),
    "activated": ({"alora_invocation_tokens": [1, 2]}, "alora_invocation_tokens"),
    "a router": ({"arrow_config": {"top_k": 3}}, "arrow_config"),
    "KaSA": ({"kasa_config": {}}, "kasa_config"),
    "QALoRA": ({"use_qalora": True}, "use_qalora=true"),
    "BD-LoRA": ({"use_bdlora": {"nblocks": 2}}, "use_bdlora"),
    "VeLoRA": ({"velora_config": {}}, "velora_config"),
    "a key of the future": ({"use_xlora": True}, "use_xlora=true, which this version does not know"),
    "a rank of nothing": ({"r": 0}, "r=0; it must be a whole number from 1"),
    "a rank as text": ({"r": "4"}, "r='4'"),
    "a rank of another adapter": ({"r": 5}, r"lora_A of .* with shape \(4, 16\); expected is \(5, 16\)"),
    "an alpha as text": ({"lora_alpha": "9"}, "lora_alpha='9'"),
    "a huge alpha": ({"lora_alpha": 1e300}, "lora_alpha"),
    "a switch as text": ({"use_rslora": "yes"}, "use_rslora='yes'; it must be true or false"),
    "patterns as a list": ({"rank_pattern": [1]}, "rank_pattern in .* must hold a JSON object"),
    "a rank in a pattern as text": ({"rank_pattern": {"q": "3"}}, "rank_pattern in .* has q='3'"),
    "no modules": ({"target_modules": None}, "target_modules=null; it must be a list of names or a pattern"),
    "modules as numbers": ({"target_modules": [1]}, "target_modules=a list of 1"),
    "modules of another model": ({"target_modules": ["query"]}, "adapts no linear layer of this encoder"),
    "an embedding": ({"target_modules": ["shared"]}, "adapts no linear layer"),
    "fewer modules than stored": ({"target_modules": ["q"]}, r"holds an adapter of .*SelfAttention\.v"),
    "more modules than stored": ({"target_modules": ["q", "v", "o"]}, r"adapts .*SelfAttention\.o.*holds nothing"),
    "other layers than stored": ({"layers_to_transform": [0]}, r"holds an adapter of encoder\.block\.1"),
    "layers as text": ({"layers_to_transform": ["0"]}, "it must be numbers of layers"),
    "another list of layers": ({"layers_to_transform": [0, 1], "layers_pattern": "h"}, "a list called 'block'"),
    "layers beside a pattern": ({"target_modules": ".*q", "layers_to_transform": [0]}, "which peft refuses too"),
    "a pattern without end": ({"target_modules": "(a+)+b"}, "could take for ever"),
    "a pattern with many repeats": ({"target_modules": ".*.*.*.*.*.*.*q"}, "could take for ever"),
    "a pattern of many choices": ({"target_modules": ".?" * 40 + "q"}, "could take for ever"),
    "a broken pattern": ({"target_modules": "(q"}, "is no regular expression"),
    "a reference": ({"target_modules": r"(q)\1"}, "has parts that are not read here"),
    "a look ahead": ({"target_modules": "(?=q)q"}, "has parts that are not read here"),
    "an endless pattern of ranks": ({"rank_pattern": {"(.*)*x": 3}}, "could take for ever"),
    "an endless exclusion": ({"exclude_modules": "(.|.)*(.|.)*x"}, "could take for ever"),
}  # fmt: skip


@pytest.mark.parametrize(("config", "message"), REFUSED.values(), ids=REFUSED)
def test_what_would_give_other_vectors_is_refused_by_name(folder: Path, config: dict[str, Any], message: str) -> None:
    adapt(folder, **config)
    before = time.process_time()
    with pytest.raises(ValueError, match=message):
        read_params(read_folder(folder))
    assert time.process_time() - before < 5


Q = "base_model.model." + QUERY.format(0, "q")
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no B": ({f"{Q}.lora_B.weight": None}, "holds lora_A of .*; expected are lora_A, lora_B"),
    "A turned": ({f"{Q}.lora_A.weight": np.zeros((16, 4), np.float32)}, r"shape \(16, 4\); expected is \(4, 16\)"),
    "three axes": ({f"{Q}.lora_A.weight": np.zeros((4, 16, 1), np.float32)}, r"expected is \(4, 16\)"),
    "integers": ({f"{Q}.lora_A.weight": np.zeros((4, 16), np.int32)}, "has dtype int32; weights must be"),
    "a bias": ({f"{Q}.lora_B.bias": np.zeros(16, np.float32)}, "which is no part of a LoRA adapter"),
    "an embedding": ({"base_model.model.shared.lora_embedding_A": np.zeros((4, 9), np.float32)}, "no part of a LoRA"),
    "a module": ({"base_model.model.shared.weight": np.zeros((9, 16), np.float32)}, "no part of a LoRA"),
    "a length without DoRA": ({f"{Q}.lora_magnitude_vector": np.ones(16, np.float32)}, "expected are lora_A, lora_B"),
    "a control character": ({"\x1b]0;x\x07.lora_A.weight": np.zeros((4, 16), np.float32)}, r"holds lora_A of \\x1b"),
    "one twice": ({f"{Q}.lora_A.default.weight": np.zeros((4, 16), np.float32)}, "lora_A of .* twice"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN)
def test_matrices_that_do_not_fit_are_named(folder: Path, change: dict[str, Any], message: str) -> None:
    arrays = {name: array for name, array in (matrices() | change).items() if array is not None}
    adapt(folder, arrays)
    with pytest.raises(ValueError, match=message) as caught:
        read_params(read_folder(folder))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "content", ["", "[]", "{", "null", "3", '{"peft_type": NaN}', '{"a":' * 5000 + "1" + "}" * 5000]
)
def test_a_configuration_that_is_none_is_refused(folder: Path, content: str) -> None:
    adapt(folder)
    (folder / "adapter_config.json").write_text(content)
    with pytest.raises(ValueError, match=r"adapter_config\.json"):
        read_params(read_folder(folder))


@pytest.mark.parametrize("lacking", ["adapter_config.json", "adapter_model.safetensors"])
def test_half_an_adapter_is_refused(folder: Path, lacking: str) -> None:
    (adapt(folder) / lacking).unlink()
    with pytest.raises(ValueError, match=r"half of an adapter\. Complete it or remove it"):
        read_params(read_folder(folder))


@pytest.mark.parametrize("name", ["hkunlp/instructor-large", "/home/x/base", None, 3, "\x1b[31m"])
def test_an_adapter_without_its_base_says_how_to_merge(folder: Path, name: Any) -> None:
    """sentence-transformers saves a model with an adapter so: everything but the base's config.json and weights."""
    adapt(folder, base_model_name_or_path=name)
    for file in ("config.json", "model.safetensors"):
        (folder / file).unlink()
    for read in (read_folder, read_source):
        with pytest.raises(
            ValueError, match=r"holds only an adapter of the model .*; copy the base model's config"
        ) as caught:
            read(folder)
        assert str(caught.value).isprintable()


def test_no_adapter_changes_nothing(folder: Path) -> None:
    arrays = load_file(folder / "model.safetensors")
    result = merged(folder, arrays, NAMES)
    assert all(result[name] is array for name, array in arrays.items())
    (folder / "other").mkdir()
    adapt(folder / "other")  # a folder inside is another model's
    assert_identical(merged(folder, arrays, NAMES), copy.copy(arrays))


@pytest.mark.parametrize(
    "pattern", ["q", ".*q", r".*SelfAttention\.(q|v)$", r"^encoder\.block\.\d+\..*(wi|wo)", "[qk]", r"(?:q|k){1}", "q?"]
)
def test_ordinary_patterns_are_read(pattern: str) -> None:
    if pattern.endswith("{1}"):
        with pytest.raises(ValueError, match="for ever"):  # a repeated group, though once only
            compiled(pattern, "here")
        return
    assert compiled(pattern, "here").pattern == pattern


def test_the_small_model_has_what_these_tests_say() -> None:
    assert (SMALL.encoder.layers, SMALL.encoder.embed, SMALL.encoder.heads * SMALL.encoder.head_dim) == (2, 16, 16)
