"""Folders in every layout: the vectors of sentence-transformers 6, or refused; never other vectors.

Each variant is made by changing a folder of our own writer, opened by sentence-transformers and by us, and compared on
texts with and without an instruction. Instructions are pooled only where the folder itself says so: the published
INSTRUCTOR models say nothing, and their original code leaves them out, as `set_pooling_include_prompt(False)` does.
"""

import dataclasses
import functools
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.config import ModelConfig
from instructor_jax.io.folders import read_folder, read_params
from instructor_jax.io.tokenizers.folders import load_token_ids
from instructor_jax.nn.model import embed
from instructor_jax.text.batches import TokenBatch
from instructor_jax.text.tokenization import Tokenizer, as_pairs

from ..small_models import SMALL, UMT5
from .folder_variants import (
    GATED,
    MT5,
    NEW_HOMES,
    PLAIN,
    UMT5_WHOLE,
    WITH_ACTIVATION,
    Change,
    all_of,
    build,
    dense_in,
    edited,
    encoder_in,
    kind_of,
    moved,
    nothing,
    order,
    plain,
    read,
    saved_by_the_original,
    types,
    weights,
    written,
)

pytestmark = pytest.mark.torch
pytest.importorskip("sentence_transformers")

PROMPTS = ("", "Represent the title: ", "Represent the Science sentence for retrieval; ")
TEXTS = ("A river in the north.", "3.14 and äöü", "x", "the water of a small river " * 6)

POOLING, DENSE, BERT = "1_Pooling/config.json", "2_Dense/config.json", "sentence_bert_config.json"
ABOUT, TOKENIZER = "config_sentence_transformers.json", "tokenizer_config.json"
NEW_POOLING = {"embedding_dimension": 16, "pooling_mode": "mean", "include_prompt": False}
PLAIN_TEXT = {
    "transformer_task": "feature-extraction",
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
}
FLAGS = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")


def flags(**true: bool) -> dict[str, Any]:
    return {"word_embedding_dimension": 16, **{f"pooling_mode_{name}": name in true for name in FLAGS}}


def of_version_6(path: Path) -> None:
    """The layout that `save_pretrained` of 6.2 writes."""
    types(NEW_HOMES.__getitem__)(path)
    written(POOLING, NEW_POOLING)(path)
    written(BERT, PLAIN_TEXT)(path)
    edited(TOKENIZER, model_max_length=512)(path)
    edited(DENSE, module_input_name="sentence_embedding", module_output_name="sentence_embedding")(path)
    written(
        "3_Normalize/config.json",
        {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"},
    )(path)
    version = {"sentence_transformers": "6.2.0", "transformers": "5.24.0", "pytorch": "2.13.0"}
    prompts = {"query": "", "document": ""}
    about = {"model_type": "SentenceTransformer", "__version__": version, "prompts": prompts}
    written(ABOUT, {**about, "default_prompt_name": None, "similarity_fn_name": "cosine"})(path)


OPEN: dict[str, tuple[ModelConfig, Change]] = {
    # shapes
    "t5": (SMALL, nothing),
    "t5, gated": (GATED, nothing),
    "mt5": (MT5, nothing),
    "umt5": (UMT5, nothing),
    "umt5 with a projection": (UMT5_WHOLE, nothing),
    **{f"activation {name}": (config, nothing) for name, config in WITH_ACTIVATION.items()},
    # layouts
    "version 6": (SMALL, of_version_6),
    "encoder in 0_Transformer": (SMALL, encoder_in("0_Transformer")),
    "encoder in 0_Transformer, gated": (GATED, encoder_in("0_Transformer")),
    "encoder in a folder of its own": (SMALL, encoder_in("parts/encoder")),
    "encoder in 0_Transformer, .bin": (SMALL, all_of(weights("bin"), encoder_in("0_Transformer"))),
    "encoder in 0_Transformer, version 6": (SMALL, all_of(of_version_6, encoder_in("0_Transformer"))),
    "pooling elsewhere": (SMALL, moved("Pooling", "pooling/mean")),
    "projection elsewhere": (SMALL, moved("Dense", "projection")),
    "no folder for Normalize": (SMALL, lambda path: (path / "3_Normalize").rmdir()),
    "types of versions 5.4 and 6": (SMALL, types(NEW_HOMES.__getitem__)),
    "types with their module files": (SMALL, types(lambda kind: f"sentence_transformers.models.{kind}.{kind}")),
    "types without module files": (
        SMALL,
        types(
            lambda kind: (
                f"sentence_transformers.base.modules.{kind}"
                if kind in ("Transformer", "Dense", "Normalize")
                else f"sentence_transformers.sentence_transformer.modules.{kind}"
            )
        ),
    ),
    "normalize of version 5": (
        SMALL,
        types(
            lambda kind: (
                "sentence_transformers.sentence_transformer.modules.normalize.Normalize"
                if kind == "Normalize"
                else f"sentence_transformers.models.{kind}"
            )
        ),
    ),
    "idx with a gap": (SMALL, order("Transformer", "Pooling", "Normalize")),
    "no idx": (
        SMALL,
        lambda path: written(
            "modules.json", [{k: v for k, v in m.items() if k != "idx"} for m in read(path / "modules.json")]
        )(path),
    ),
    "kwargs that say nothing": (
        SMALL,
        lambda path: written("modules.json", [{**m, "kwargs": []} for m in read(path / "modules.json")])(path),
    ),
    # which modules
    "pooling alone": (SMALL, order("Transformer", "Pooling")),
    "pooling and normalize": (SMALL, order("Transformer", "Pooling", "Normalize")),
    "pooling and projection": (SMALL, order("Transformer", "Pooling", "Dense")),
    "normalize twice": (SMALL, order("Transformer", "Pooling", "Dense", "Normalize", "Normalize")),
    "dropout": (
        SMALL,
        all_of(
            order("Transformer", "Pooling", "Dropout", "Dense", "Normalize"),
            written("2_Dropout/config.json", {"dropout": 0.5}),
        ),
    ),
    "dropout last, without a file": (SMALL, order("Transformer", "Pooling", "Dense", "Normalize", "Dropout")),
    # pooling
    "pooling of version 6": (SMALL, written(POOLING, NEW_POOLING)),
    "a list of one mode": (SMALL, written(POOLING, {**NEW_POOLING, "pooling_mode": ["mean"]})),
    "no word on the mode": (SMALL, written(POOLING, {"embedding_dimension": 16})),
    "width under its old name": (SMALL, written(POOLING, {"word_embedding_dimension": 16, "pooling_mode": "mean"})),
    "old flags": (SMALL, written(POOLING, flags(mean_tokens=True))),
    "no flag is true": (SMALL, written(POOLING, flags())),
    "one flag": (SMALL, written(POOLING, {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True})),
    "one flag, false": (SMALL, written(POOLING, {"word_embedding_dimension": 16, "pooling_mode_cls_token": False})),
    "mode beside flags": (SMALL, written(POOLING, {**flags(max_tokens=True), "pooling_mode": "mean"})),
    "instruction pooled": (SMALL, edited(POOLING, include_prompt=True)),
    "instruction pooled, version 6": (SMALL, all_of(of_version_6, edited(POOLING, include_prompt=True))),
    "instruction not pooled, said so": (SMALL, edited(POOLING, include_prompt=False)),
    "nothing said of the instruction": (SMALL, edited(POOLING, include_prompt=...)),
    # projection
    "names of torch's Identity": (SMALL, edited(DENSE, activation_function="torch.nn.Identity")),
    "no residual": (SMALL, edited(DENSE, use_residual=False)),
    "projection in .bin": (SMALL, dense_in("bin")),
    "projection in float16": (SMALL, dense_in("float16")),
    # limits
    "limit of 24": (SMALL, edited(BERT, max_seq_length=24)),
    "no limit said, the tokenizer's": (
        SMALL,
        all_of(edited(BERT, max_seq_length=None), edited(TOKENIZER, model_max_length=24)),
    ),
    "no settings, the tokenizer's": (
        SMALL,
        all_of(edited(TOKENIZER, model_max_length=24), lambda path: (path / BERT).unlink()),
    ),
    "settings under an old name": (
        SMALL,
        all_of(
            edited(BERT, max_seq_length=24),
            lambda path: (path / BERT).rename(path / "sentence_roberta_config.json"),
        ),
    ),
    "first settings empty": (
        SMALL,
        all_of(written("sentence_xlnet_config.json", {"max_seq_length": 24}), written(BERT, {})),
    ),
    "max_position_embeddings": (
        SMALL,
        all_of(edited(BERT, max_seq_length=None), edited("config.json", max_position_embeddings=24)),
    ),
    "max_position_embeddings behind the limit": (SMALL, edited("config.json", max_position_embeddings=25)),
    "arguments that say nothing": (SMALL, edited(BERT, model_args={}, tokenizer_args={}, config_args={})),
    "trust_remote_code in arguments": (SMALL, edited(BERT, model_args={"trust_remote_code": True})),
    "unpad_inputs": (SMALL, edited(BERT, unpad_inputs=False)),
    # config.json
    "dense_act_fn and is_gated_act": (GATED, edited("config.json", dense_act_fn="gelu_new", is_gated_act=True)),
    "no feed_forward_proj, t5": (SMALL, edited("config.json", feed_forward_proj=...)),
    "no feed_forward_proj, umt5": (UMT5, edited("config.json", feed_forward_proj=..., scalable_attention=True)),
    "activation by dense_act_fn alone": (
        GATED,
        edited("config.json", feed_forward_proj=..., dense_act_fn="gelu_pytorch_tanh", is_gated_act=True),
    ),
    "swish": (WITH_ACTIVATION["silu"], edited("config.json", feed_forward_proj="gated-swish")),
    "another epsilon": (SMALL, edited("config.json", layer_norm_epsilon=1e-2)),
    "epsilon 0": (SMALL, edited("config.json", layer_norm_epsilon=0.0)),
    "other distances": (SMALL, edited("config.json", relative_attention_max_distance=20)),
    "sizes under their other names": (
        SMALL,
        edited(
            "config.json",
            d_model=...,
            hidden_size=16,
            num_layers=...,
            num_hidden_layers=2,
            head_dim=8,
            num_attention_heads=2,
        ),
    ),
    "a whole model's settings": (
        SMALL,
        edited(
            "config.json",
            is_encoder_decoder=True,
            use_cache=True,
            tie_word_embeddings=False,
            n_positions=512,
            architectures=["T5ForConditionalGeneration"],
            num_decoder_layers=7,
            output_past=True,
            num_beams=4,
            decoder_start_token_id=0,
            task_specific_params={"summarization": {"prefix": "summarize: "}},
            eos_token_id=[1, 2],
        ),
    ),
    # weights
    **{
        f"weights: {how}": (SMALL, weights(how))
        for how in (
            "bin",
            "sharded",
            "bin sharded",
            "float16",
            "bfloat16",
            "embedding twice",
            "embedding under its other name",
            "with a decoder",
        )
    },
    "weights: bfloat16, umt5": (UMT5, weights("bfloat16")),
    # about the model
    "prompts": (SMALL, edited(ABOUT, prompts={"query": "Represent the question: ", "document": None})),
    "a default prompt": (SMALL, edited(ABOUT, prompts={"query": "Represent: "}, default_prompt_name="query")),
    "dot product": (SMALL, edited(ABOUT, similarity_fn_name="dot")),
    "no file about the model": (SMALL, lambda path: (path / ABOUT).unlink()),
    "nothing cut": (SMALL, edited(ABOUT, truncate_dim=12)),
    # an encoder alone
    "plain t5": (PLAIN, plain),
    "plain umt5": (UMT5, plain),
    "plain t5, the tokenizer's limit": (PLAIN, all_of(plain, edited(TOKENIZER, model_max_length=24))),
}

SQUARE = dataclasses.replace(SMALL, projection=16)

# Folders of the original package, which sentence-transformers does not open: compared with the same weights before.
ORIGINAL = ("module", "class", "repository")

BOTH_REFUSE: dict[str, tuple[ModelConfig, Change]] = {
    "no pooling": (SMALL, order("Transformer")),
    "no modules": (SMALL, written("modules.json", [])),
    "modules.json is no list": (SMALL, written("modules.json", {"0": {}})),
    "a class of its own": (SMALL, types(lambda kind: f"my_package.{kind}")),
    "a class that is not there": (SMALL, types(lambda kind: f"sentence_transformers.models.{kind}s")),
    "a path that leads out": (SMALL, moved("Dense", "../out")),
    "pooling without a width": (SMALL, written(POOLING, {"pooling_mode": "mean"})),
    "pooling of an unknown kind": (SMALL, written(POOLING, {**NEW_POOLING, "pooling_mode": "median"})),
    "pooling with an unknown key": (SMALL, edited(POOLING, pooling_power=3)),
    "projection of another width": (SMALL, edited(DENSE, in_features=17)),
    "projection without a size": (SMALL, edited(DENSE, out_features=...)),
    "an unknown task": (SMALL, edited(BERT, transformer_task="dreams")),
    "an unknown setting": (SMALL, edited(BERT, max_sequence=3)),
    "another architecture": (SMALL, edited("config.json", model_type="t6")),
    "a rate in a string": (SMALL, edited("config.json", dropout_rate="0.1")),
    "layers in a string": (SMALL, edited("config.json", num_layers="2")),
    "an activation that is none": (SMALL, edited("config.json", feed_forward_proj="gated-")),
    "a default prompt that is none": (SMALL, edited(ABOUT, prompts={"a": "b"}, default_prompt_name="c")),
    "no config.json": (SMALL, lambda path: (path / "config.json").unlink()),
    "config.json is no JSON": (SMALL, written("config.json", "{")),
    "no weights": (SMALL, lambda path: (path / "model.safetensors").unlink()),
    "no weight of the projection": (SMALL, lambda path: (path / "2_Dense" / "model.safetensors").unlink()),
}

# What sentence-transformers opens, and this library refuses, since it would give other vectors.
WE_REFUSE: dict[str, tuple[ModelConfig, Change, str]] = {
    "a residual": (SQUARE, edited(DENSE, use_residual=True), "use_residual=true"),
    "weights by position": (SMALL, written(POOLING, {**NEW_POOLING, "pooling_mode": "weightedmean"}), "'weightedmean'"),
    "two modes": (
        PLAIN,
        written(POOLING, flags(mean_tokens=True, max_tokens=True)),
        "pools by 'max', 'mean'",
    ),
    "softsign": (SMALL, edited(DENSE, activation_function="torch.nn.Softsign"), "torch.nn.Softsign"),
    "normalize before the projection": (SMALL, order("Transformer", "Pooling", "Normalize", "Dense"), "in this order"),
    "a decoder": (SMALL, edited("config.json", is_decoder=True), "is_decoder=true"),
    "vectors cut": (SMALL, edited(ABOUT, truncate_dim=5), "truncate_dim=5"),
    "lower case": (SMALL, edited(BERT, do_lower_case=True), "do_lower_case=true"),
    "limits by task": (SMALL, edited(BERT, query_length=8), "query_length=8"),
    "arguments of the tokenizer": (SMALL, edited(BERT, tokenizer_args={"model_max_length": 9}), "tokenizer_args"),
    "processing": (SMALL, edited(BERT, processing_kwargs={"text": {"max_length": 4}}), "processing_kwargs"),
}


@pytest.fixture(scope="module", autouse=True)
def quiet_and_quick() -> Iterator[None]:
    """PyTorch's threads wait for each other longer than so small a model takes."""
    import torch

    for name in ("sentence_transformers", "transformers"):
        logging.getLogger(name).setLevel(logging.ERROR)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@functools.cache
def program(config: ModelConfig) -> Any:
    """The compiled model of a shape; one for all folders that have it."""
    return jax.jit(functools.partial(embed, config))


def ours(path: Path) -> np.ndarray:
    """Reads a folder and embeds one text per row, in float32, without what batches texts for speed."""
    folder = read_folder(path)
    config = folder.config
    params = jax.tree.map(lambda array: np.asarray(array, np.float32), read_params(folder))
    tokenizer = Tokenizer(
        load_token_ids(folder.path),
        config.max_length,
        pool_instruction=config.pool_instruction,
        vocab=config.encoder.vocab,
    )
    texts = tokenizer(as_pairs([[prompt, text] for prompt in PROMPTS for text in TEXTS], None))
    rows, length = len(texts.offsets) - 1, 96
    tokens, segments = np.zeros((rows, length), np.int32), np.full((rows, length), -1, np.int32)
    for row, (begin, end) in enumerate(itertools.pairwise(texts.offsets)):
        tokens[row, : end - begin] = texts.tokens[begin:end]
        segments[row, : end - begin] = 0
    pooled = (segments == 0) & (np.arange(length) >= texts.unpooled[:, None])
    batch = TokenBatch(tokens[None], segments[None], pooled[None], np.arange(rows, dtype=np.int32)[None], 1)
    shape = dataclasses.replace(config, max_length=512, pool_instruction=False)  # neither changes the program
    return np.asarray(program(shape)(params, batch))[0]


def theirs(path: Path) -> np.ndarray:
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(
        str(path), device="cpu", local_files_only=True, model_kwargs={"dtype": torch.float32, "use_safetensors": None}
    )
    pooling = next((read(path / m["path"] / "config.json") for m in _modules(path) if kind_of(m) == "Pooling"), {})
    if pooling.get("include_prompt") is not True:
        model.set_pooling_include_prompt(False)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    # "" beats a default prompt of the folder, as our empty instruction does
    return np.concatenate([model.encode([text.strip() for text in TEXTS], prompt=prompt) for prompt in PROMPTS])


def _modules(path: Path) -> list[dict[str, Any]]:
    return read(path / "modules.json") if (path / "modules.json").is_file() else []


@pytest.mark.parametrize("name", OPEN)
def test_the_same_vectors(tmp_path: Path, name: str) -> None:
    config, change = OPEN[name]
    path = build(tmp_path / "m", config, change)
    expected = theirs(path)
    # float32 on both sides, sums in another order
    np.testing.assert_allclose(ours(path), expected, rtol=0, atol=1e-5 * max(1.0, np.abs(expected).max()))


def test_there_are_enough_variants() -> None:
    assert len(OPEN) >= 60


@pytest.mark.parametrize("naming", ORIGINAL)
def test_a_folder_of_the_original_package(tmp_path: Path, naming: str) -> None:
    expected = theirs(build(tmp_path / "standard", SMALL, nothing))
    path = build(tmp_path / "original", SMALL, saved_by_the_original(naming))
    np.testing.assert_allclose(ours(path), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["encoder in 0_Transformer", "original"])
def test_the_embedder_takes_the_same_files(tmp_path: Path, name: str) -> None:
    change = saved_by_the_original("module") if name == "original" else OPEN[name][1]
    path = build(tmp_path / "m", SMALL, change)
    model = Instructor.from_pretrained(path, devices=jax.devices()[:1], tokens_per_call=128)
    vectors = model.encode([[prompt, text] for prompt in PROMPTS for text in TEXTS])
    np.testing.assert_allclose(vectors, ours(path), rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", BOTH_REFUSE)
def test_refused_by_both(tmp_path: Path, name: str) -> None:
    config, change = BOTH_REFUSE[name]
    path = build(tmp_path / "m", config, change)
    with pytest.raises((ValueError, OSError)):
        read_params(read_folder(path))
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it says
        theirs(path)


@pytest.mark.parametrize("name", WE_REFUSE)
def test_what_would_give_other_vectors_is_refused_by_name(tmp_path: Path, name: str) -> None:
    config, change, message = WE_REFUSE[name]
    path = build(tmp_path / "m", config, change)
    with pytest.raises(ValueError, match=message):
        read_params(read_folder(path))
    theirs(path)
