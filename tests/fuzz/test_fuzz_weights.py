"""Damaged weight files: safetensors, `.bin`, shard indexes, Flax msgpack and T5X checkpoints."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flax import serialization
from flax.traverse_util import unflatten_dict
from hypothesis import given

from instructor_jax.convert.sources import read_source
from instructor_jax.io.weights.safetensors_files import read_safetensors, write_safetensors
from instructor_jax.io.weights.tensor_files import read_tensors
from instructor_jax.io.weights.torch_files import read_torch_file

from ..convert.test_from_t5x import T5, as_t5x, random_model, write
from ..io.weights.test_torch_files import state_dict
from ..small_models import SMALL, model_folder, random_arrays
from .conftest import SEEDS, damaged, fuzz_settings, survives
from .mutations import byte_mutations, damaged_bytes, damaged_json, json_mutations


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def safetensors(place: Path) -> bytes:
    write_safetensors(
        place / "whole.safetensors", {"a.weight": np.ones((3, 4), np.float32), "b": np.zeros(2, np.float16)}
    )
    return (place / "whole.safetensors").read_bytes()


@fuzz_settings
@given(byte_mutations)
def test_safetensors(place: Path, safetensors: bytes, mutations: list) -> None:
    (place / "x.safetensors").write_bytes(damaged_bytes(safetensors, mutations))
    survives(lambda: [array.sum() for array in read_safetensors(place / "x.safetensors").values()])


@fuzz_settings
@given(json_mutations)
def test_headers_of_safetensors(place: Path, safetensors: bytes, mutations: list) -> None:
    size = int.from_bytes(safetensors[:8], "little")
    header = damaged_json(json.loads(safetensors[8 : 8 + size]), mutations).encode()
    (place / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + safetensors[8 + size :])
    survives(lambda: [array.sum() for array in read_safetensors(place / "x.safetensors").values()])


def archive(place: Path, program: bytes) -> bytes:
    with zipfile.ZipFile(place / "made.bin", "w") as made:
        made.writestr("model/data.pkl", program)
        made.writestr("model/data/0", np.arange(6, dtype=np.float32).tobytes())
    return (place / "made.bin").read_bytes()


@fuzz_settings
@given(byte_mutations)
def test_archives_of_torch(place: Path, mutations: list) -> None:
    whole = archive(place, state_dict(a=((2, 3), (3, 1), 0), b=((6,), (1,), 0)))
    (place / "x.bin").write_bytes(damaged_bytes(whole, mutations))
    survives(lambda: [array.sum() for array in read_torch_file(place / "x.bin").values()])


@fuzz_settings
@given(byte_mutations)
def test_pickles_of_torch(place: Path, mutations: list) -> None:
    program = damaged_bytes(state_dict(a=((2, 3), (3, 1), 0), b=((6,), (1,), 0)), mutations)
    (place / "x.bin").write_bytes(archive(place, program))
    survives(lambda: [array.sum() for array in read_torch_file(place / "x.bin").values()])


@fuzz_settings
@given(json_mutations)
def test_indexes_of_shards(place: Path, mutations: list) -> None:
    folder = place / "sharded"
    folder.mkdir(exist_ok=True)
    names = {f"{name}.weight": f"model-0000{number}-of-00002.safetensors" for number, name in ((1, "a"), (2, "b"))}
    for name, file in names.items():
        write_safetensors(folder / file, {name: np.ones(2, np.float32)})
    document = {"metadata": {"total_size": 16}, "weight_map": names}
    (folder / "model.safetensors.index.json").write_text(damaged_json(document, mutations))
    survives(lambda: read_tensors(folder))


@pytest.fixture(scope="module")
def t5x(place: Path) -> Path:
    write(place / "t5x", as_t5x(T5, random_model(T5)))
    return place / "t5x"


@fuzz_settings
@given(byte_mutations)
def test_indexes_of_t5x(t5x: Path, mutations: list) -> None:
    file = t5x / "checkpoint"
    with damaged(file, damaged_bytes(file.read_bytes(), mutations)):
        survives(lambda: read_source(t5x))


@pytest.fixture(scope="module")
def flax_folder(place: Path) -> Path:
    source = model_folder(place / "torch-model")
    folder = place / "flax-model"
    shutil.copytree(source, folder)
    (folder / "model.safetensors").unlink()
    tree: dict[tuple[str, ...], Any] = {}
    for name, value in random_arrays(SMALL).items():
        if not name.startswith("projection"):
            stem = name.removesuffix(".weight").split(".")
            norm, table = "norm" in stem[-1], stem[-1] in ("shared", "relative_attention_bias")
            kind = "weight" if norm else "embedding" if table else "kernel"
            tree[(*stem, kind)] = value if norm or table else value.T
    (folder / "flax_model.msgpack").write_bytes(serialization.msgpack_serialize(unflatten_dict(tree)))
    read_source(folder)  # whole it is read
    return folder


@pytest.mark.slow
@fuzz_settings
@given(byte_mutations)
def test_flax_files(flax_folder: Path, mutations: list) -> None:
    file = flax_folder / "flax_model.msgpack"
    with damaged(file, damaged_bytes(file.read_bytes(), mutations)):
        survives(lambda: read_source(flax_folder))


@pytest.mark.parametrize("seed", SEEDS.get("safetensors", []), ids=str)
def test_seeds(place: Path, safetensors: bytes, seed: list) -> None:
    (place / "seed.safetensors").write_bytes(damaged_bytes(safetensors, seed))
    survives(lambda: [array.sum() for array in read_safetensors(place / "seed.safetensors").values()])
