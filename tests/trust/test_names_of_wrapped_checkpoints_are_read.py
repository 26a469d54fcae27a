"""Checkpoints whose names a wrapper lengthened: read as the model itself, told, and refused where it is not clear."""

import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from instructor_jax.backbones.t5.names import NAMES
from instructor_jax.convert.sources import read_source
from instructor_jax.io.folders import read_folder, read_params
from instructor_jax.io.weights.prefixes import PREFIXES, plain_names

from ..small_models import SMALL, assert_identical, model_folder, random_arrays, random_params

PLAIN = {name: array for name, array in random_arrays(SMALL).items() if name != "projection.weight"}
STACKED = ["module._orig_mod.", "_orig_mod.module.", "model.module.", "module.0.auto_model.", "_forward_module.model.",
           "model.base_model.model.", "module.module.", "encoder.encoder_model."]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return model_folder(tmp_path / "m")


def rewrite(folder: Path, names: dict[str, str]) -> None:
    """Gives the weights of a folder other names; names that are not mentioned stay."""
    arrays = load_file(folder / "model.safetensors")
    save_file({names.get(name, name): array for name, array in arrays.items()}, folder / "model.safetensors")


@pytest.mark.parametrize("prefix", [*PREFIXES, *STACKED])
def test_a_prefix_of_all_names_is_taken_away_and_told(
    folder: Path, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(folder, {name: prefix + name for name in PLAIN})
    assert_identical(read_params(read_folder(folder)), random_params(SMALL))
    assert "the names of its weights have a wrapper's '" in caplog.text
    assert all(part in caplog.text for part in re.findall(r"[^.]+\.", prefix))


@pytest.mark.parametrize("mark", ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."])
def test_marks_inside_of_names_are_taken_away(folder: Path, mark: str, caplog: pytest.LogCaptureFixture) -> None:
    """FSDP and activation checkpointing wrap single layers."""
    rewrite(folder, {name: re.sub(r"(block\.\d+\.)", rf"\1{mark}", name) for name in PLAIN})
    assert_identical(read_params(read_folder(folder)), random_params(SMALL))
    assert mark in caplog.text


@pytest.mark.parametrize("prefix", ["0.auto_model.", "0.model.", "module.0.auto_model.", "model.0.auto_model."])
def test_a_whole_sentence_transformers_model_in_one_file(folder: Path, prefix: str) -> None:
    """What the original's trainer leaves in its checkpoints: encoder and projection in one state dict."""
    arrays = load_file(folder / "model.safetensors")
    dense = load_file(folder / "2_Dense" / "model.safetensors")["linear.weight"]
    outer = prefix.removesuffix("0.auto_model.").removesuffix("0.model.")
    whole = {prefix + name: array for name, array in arrays.items()} | {f"{outer}2.linear.weight": dense}
    save_file(whole, folder / "model.safetensors")
    assert_identical(read_params(read_folder(folder)), random_params(SMALL))
    (folder / "2_Dense" / "model.safetensors").unlink()
    assert_identical(read_params(read_folder(folder)), random_params(SMALL))
    save_file(whole, folder.parent / "alone.safetensors")
    source = read_source(folder.parent / "alone.safetensors")
    assert (source.format, source.folder.config.projection, source.folder.config.normalize) == (
        "PyTorch weights",
        12,
        True,
    )
    assert_identical(source.params, random_params(SMALL))


def test_a_trainers_checkpoint_has_no_configuration(tmp_path: Path) -> None:
    """`pytorch_model.bin` alone, beside the optimizer's state, is what transformers' Trainer saves of other classes."""
    torch = pytest.importorskip("torch")
    arrays = random_arrays(SMALL)
    dense = arrays.pop("projection.weight")
    state = {f"0.auto_model.{name}": torch.from_numpy(array) for name, array in arrays.items()}
    torch.save(state | {"2.linear.weight": torch.from_numpy(dense)}, tmp_path / "pytorch_model.bin")
    (tmp_path / "optimizer.pt").write_bytes(b"never opened")
    (tmp_path / "training_args.bin").write_bytes(b"never opened")
    assert_identical(read_source(tmp_path).params, random_params(SMALL))


def test_another_projection_than_the_folders_is_a_question(folder: Path) -> None:
    arrays = {f"0.auto_model.{name}": array for name, array in load_file(folder / "model.safetensors").items()}
    save_file(arrays | {"2.linear.weight": np.zeros((12, 16), np.float32)}, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"has another projection in its weights than in .*2_Dense; remove one"):
        read_params(read_folder(folder))


def test_the_encoder_saved_by_itself(folder: Path) -> None:
    """`model.get_encoder().state_dict()` has neither `shared` nor `encoder.` before its names."""
    rewrite(folder, {name: name.removeprefix("encoder.") for name in PLAIN} | {"shared.weight": "embed_tokens.weight"})
    assert_identical(read_params(read_folder(folder)), random_params(SMALL))


def test_a_whole_t5_in_a_wrapper(folder: Path) -> None:
    arrays = load_file(folder / "model.safetensors") | {
        "encoder.embed_tokens.weight": PLAIN["shared.weight"],
        "decoder.block.0.layer.0.SelfAttention.q.weight": np.zeros((3, 3), np.float32),
        "lm_head.weight": np.zeros((3, 3), np.float32),
    }
    save_file({f"model.{name}": array for name, array in arrays.items()}, folder / "model.safetensors")
    assert_identical(read_params(read_folder(folder)), random_params(SMALL))


def test_shards_with_a_prefix(folder: Path) -> None:
    arrays = {f"module.{name}": array for name, array in load_file(folder / "model.safetensors").items()}
    (folder / "model.safetensors").unlink()
    names = sorted(arrays)
    files = {"model-1.safetensors": names[:9], "model-2.safetensors": names[9:]}
    for file, part in files.items():
        save_file({name: arrays[name] for name in part}, folder / file)
    weight_map = {name: file for file, part in files.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert_identical(read_params(read_folder(folder)), random_params(SMALL))


SHARED = PLAIN["shared.weight"]
UNCLEAR = {
    "two models": ({"student.": PLAIN, "teacher.": PLAIN}, "more than one model's weights.*student.*teacher"),
    "two ways through one model": ({"module.": PLAIN, "": PLAIN}, "more than one model's weights"),
    "two towers": ({"model.": PLAIN, "backbone.": PLAIN}, "more than one model's weights.*model.*backbone"),
    "with another's loss": ({"model.": PLAIN, "loss.": {"weight": SHARED}}, "other things beside"),
    "the same twice once stripped": ({"": PLAIN | {"_orig_mod.shared.weight": SHARED}}, "are both shared"),
    "a prefix that nobody knows": ({"wrapper9.": PLAIN}, r"19 unknown \(wrapper9\.encoder"),
    "another model's names": ({"bert.": {"encoder.layer.0.weight": SHARED}}, r"1 unknown \(bert\.encoder"),
    "a weight too many behind a prefix": ({"module.": PLAIN | {"pooler.weight": SHARED}}, r"1 unknown \(pooler"),
    "an adapter that was not merged": (
        {"": {name.replace("q.weight", "q.base_layer.weight"): array for name, array in PLAIN.items()}},
        r"unknown \(encoder\.block\.0\.layer\.0\.SelfAttention\.q\.base_layer\.weight",
    ),
    "two projections": (
        {"0.auto_model.": PLAIN, "": {"2.linear.weight": SHARED, "3.linear.weight": SHARED}},
        "more than one model's weights|unknown",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("parts", "message"), UNCLEAR.values(), ids=UNCLEAR)
def test_what_is_not_clear_is_refused_with_the_names(folder: Path, parts: dict, message: str) -> None:
    save_file(
        {prefix + name: array.copy() for prefix, arrays in parts.items() for name, array in arrays.items()},
        folder / "model.safetensors",
    )
    with pytest.raises(ValueError, match=message):
        read_params(read_folder(folder))


def test_plain_names_are_let_alone_and_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert plain_names(PLAIN, "here", NAMES) == PLAIN
        assert plain_names({}, "here", NAMES) == {}
        assert list(plain_names({"model.a": 1, "model.b": 2}, "here", NAMES)) == ["model.a", "model.b"]  # no T5 at all
    assert caplog.text == ""


@pytest.mark.parametrize(
    "keys", [["state_dict"], ["module"], ["model_state_dict", "optimizer"], ["state_dict", "epoch"]]
)
def test_a_state_dict_one_level_deeper_says_how_to_save_it(folder: Path, keys: list[str]) -> None:
    """Lightning's, DeepSpeed's and hand-written checkpoints."""
    torch = pytest.importorskip("torch")
    (folder / "model.safetensors").unlink()
    state = {name: torch.from_numpy(array) for name, array in PLAIN.items()}
    torch.save({key: state if "state" in key or key == "module" else 3 for key in keys}, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=rf"torch\.load\(path, weights_only=True\)\['{keys[0]}'\], new_path"):
        read_params(read_folder(folder))
