"""Every kind of folder that holds a T5 encoder, read as the same model bit for bit."""

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from instructor_jax.backbones.t5.config_file import write_config
from instructor_jax.config import ModelConfig
from instructor_jax.convert.sources import Source, read_source
from instructor_jax.io.folder_writer import write_own, write_sentence_transformers
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.settings.family import read_encoder_config
from instructor_jax.io.weights.names import PROJECTION, params_from_torch, params_to_torch
from instructor_jax.io.weights.safetensors_files import write_safetensors

from ..small_models import SMALL, UMT5, UMT5_ENCODER, assert_identical, model_folder, random_arrays, tokenizer_folder
from ..torch_variants import VARIANTS, random_model
from . import test_from_flax as flax
from . import test_from_t5x as t5x


def written(target: Path, source: Source, tokenizer: Path, to: str) -> Path:
    folder = ModelFolder(tokenizer, source.folder.config, source.folder.prompts)
    (write_own if to == "orbax" else write_sentence_transformers)(target, folder, source.params)
    return target


@pytest.mark.torch
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_through_every_layout_and_back(variant: str, tmp_path: Path) -> None:
    """PyTorch's own folder -> sentence-transformers -> Orbax -> sentence-transformers -> PyTorch."""
    pytest.importorskip("torch")
    model, tokenizer = random_model(variant), tokenizer_folder(tmp_path / "t")
    model.save_pretrained(tmp_path / "a")
    first = read_source(tmp_path / "a")
    assert first.format == "PyTorch T5"
    second = read_source(written(tmp_path / "b", first, tokenizer, "sentence-transformers"))
    third = read_source(written(tmp_path / "c", second, tokenizer, "orbax"))
    fourth = read_source(written(tmp_path / "d", third, tokenizer, "sentence-transformers"))
    assert (second.format, third.format) == ("sentence-transformers", "instructor-jax (Orbax)")
    for other in (second, third, fourth):
        assert other.folder.config == first.folder.config
        assert_identical(other.params, first.params)
    again = type(model).from_pretrained(tmp_path / "d")  # transformers reads what we wrote
    expected, found = model.state_dict(), again.state_dict()
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].numpy().tobytes() == value.numpy().tobytes(), name
    assert (tmp_path / "b" / "model.safetensors").read_bytes() == (tmp_path / "d" / "model.safetensors").read_bytes()


@pytest.mark.torch
@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "bin"])
@pytest.mark.parametrize("variant", ["t5-relu", "mt5", "umt5"])
def test_of_a_whole_model_the_encoder_is_taken(variant: str, safe: bool, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = random_model(variant, whole=True)
    model.save_pretrained(tmp_path)
    if not safe:
        (tmp_path / "model.safetensors").unlink()
        torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    read = read_source(tmp_path)
    expected = {f"encoder.{name}": value.numpy() for name, value in model.get_encoder().state_dict().items()}
    expected["shared.weight"] = expected.pop("encoder.embed_tokens.weight")
    assert_identical(params_to_torch(read.folder.config, read.params), expected)


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
@pytest.mark.parametrize("config", [SMALL, UMT5], ids=["t5", "umt5"])
def test_the_way_round_from_ours(tmp_path: Path, config: ModelConfig, dtype: Any) -> None:
    first = read_source(model_folder(tmp_path / "a", config, dtype, prompts={"query": "Q: "}))
    own = read_source(written(tmp_path / "b", first, first.folder.path, "orbax"))
    back = read_source(written(tmp_path / "c", own, own.folder.path, "sentence-transformers"))
    for other in (own, back):
        assert (other.folder.config, other.folder.prompts) == (config, {"query": "Q: "})
        assert_identical(other.params, first.params)
    for name in ("model.safetensors", "tokenizer.json", "config.json", "modules.json"):
        assert (tmp_path / "c" / name).read_bytes() == (tmp_path / "a" / name).read_bytes()


@pytest.mark.parametrize("projection", [None, 6])
@pytest.mark.parametrize("encoder", [t5x.T5, t5x.T5_GATED, t5x.UMT5], ids=["t5", "gated", "umt5"])
def test_t5x(tmp_path: Path, encoder: Any, projection: int | None) -> None:
    """A dual encoder, which has a projection, normalises behind it; a plain T5 does neither."""
    model = t5x.random_model(encoder, projection=projection)
    t5x.write(tmp_path / "checkpoint_1", t5x.with_decoder(t5x.as_t5x(encoder, model)))
    read = read_source(tmp_path)
    assert read.format == "T5X"
    assert read.folder.config == ModelConfig(encoder, projection=projection, normalize=projection is not None)
    assert_identical(params_to_torch(read.folder.config, read.params), model)


def test_flax(tmp_path: Path) -> None:
    arrays = flax.random_flax()
    flax.write(tmp_path / "flax_model.msgpack", arrays | flax.DECODER)
    (tmp_path / "config.json").write_text(json.dumps(write_config(flax.T5)))
    read = read_source(tmp_path)
    assert (read.format, read.folder.config) == ("Flax msgpack", ModelConfig(flax.T5, normalize=False))
    assert_identical(params_to_torch(read.folder.config, read.params), flax.as_torch(arrays))


def test_flax_weights_inside_a_sentence_transformers_folder(tmp_path: Path) -> None:
    """What the folder says of pooling, projection, limit and prompts stays in force."""
    arrays, projection = flax.random_flax(), np.arange(60, dtype=np.float32).reshape(5, 12)
    torch_arrays = {**flax.as_torch(arrays), PROJECTION: projection}
    config = ModelConfig(flax.T5, projection=5, max_length=99)
    folder = ModelFolder(tokenizer_folder(tmp_path / "t"), config, {"query": "Q: "})
    write_sentence_transformers(tmp_path / "m", folder, params_from_torch(config, torch_arrays))
    (tmp_path / "m" / "model.safetensors").unlink()
    flax.write(tmp_path / "m" / "flax_model.msgpack", arrays)
    read = read_source(tmp_path / "m")
    assert (read.folder.config, read.folder.prompts) == (config, {"query": "Q: "})
    assert_identical(params_to_torch(config, read.params), torch_arrays)


# --- What is refused -----------------------------------------------------------------------------------------------


def test_folders_without_weights(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no weights that can be read: model.safetensors, .*flax_model.msgpack"):
        read_source(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is no file of weights that is known"):
        read_source(tmp_path / "file")
    with pytest.raises(ValueError, match="is not there, neither as a folder nor as a file"):
        read_source(tmp_path / "absent")


def test_a_broken_file_is_not_taken_for_another_format(tmp_path: Path) -> None:
    """A T5X checkpoint lies beside; the damaged safetensors file must still be what is reported."""
    path = model_folder(tmp_path / "m")
    t5x.write(path, t5x.as_t5x(t5x.T5, t5x.random_model(t5x.T5)))
    whole = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").write_bytes(whole[:-7])
    with pytest.raises(ValueError, match="model.safetensors is not a safetensors file that can be read"):
        read_source(path)


def test_a_config_of_another_model_is_an_error(tmp_path: Path) -> None:
    path = model_folder(tmp_path / "m")
    settings = json.loads((path / "config.json").read_text())
    assert read_encoder_config(settings) == SMALL.encoder
    for change, message in (
        ({"num_layers": 3}, r"missing \(encoder.block.2"),
        ({"num_layers": 1}, r"unknown \(encoder.block.1"),
        ({"feed_forward_proj": "gated-gelu"}, r"missing \(encoder.block.0.*wi_0"),
        ({"d_ff": 25}, r"wi.weight has shape \(24, 16\); the configuration says \(25, 16\)"),
        ({"num_heads": 4}, r"SelfAttention.q.weight has shape"),
    ):
        (path / "config.json").write_text(json.dumps({**settings, **change}))
        with pytest.raises(ValueError, match=message):
            read_source(path)


def test_a_plain_folder_with_an_array_too_many(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(write_config(UMT5_ENCODER)))
    write_safetensors(tmp_path / "model.safetensors", random_arrays(UMT5) | {"pooler.weight": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match=r"1 unknown \(pooler.weight\)"):
        read_source(tmp_path)
