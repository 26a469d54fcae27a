"""Weights that are split over devices: the same vectors, and no device or loading that holds a whole weight."""

import pickle
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from instructor_jax import INSTRUCTOR, Instructor
from instructor_jax.cli import main
from instructor_jax.io.folders import open_params, read_folder
from instructor_jax.nn import placement
from instructor_jax.nn.model import param_shardings
from instructor_jax.sharding import MeshShape, make_mesh

from ..small_models import SMALL, UMT5, leaves, model_folder

TEXTS = [["Represent the animal: ", "a small fox"], ["", "stones"], ["Represent the plant: ", "moss on a wall"]] * 4
# rounding only: sums over features and heads are taken in parts and added
CLOSE = {"rtol": 0, "atol": 2e-6}
SHORT: dict[str, Any] = {"max_length": 16, "tokens_per_call": 64}  # few shapes to compile


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("split") / "model", SMALL)


@pytest.fixture(scope="module")
def whole(folder: Path) -> np.ndarray:
    return Instructor.from_pretrained(folder, devices=jax.devices()[:1], **SHORT).encode(TEXTS)


@pytest.fixture(scope="module")
def split(folder: Path) -> Instructor:
    return Instructor.from_pretrained(folder, mesh={"fsdp": 2, "tensor": 2}, **SHORT)


@pytest.mark.slow
def test_split_weights_give_the_same_vectors(whole: np.ndarray, split: Instructor) -> None:
    np.testing.assert_allclose(split.encode(TEXTS), whole, **CLOSE)
    states = split.encode(TEXTS[:1], output_value="token_embeddings")
    assert np.isfinite(states[0]).all()
    copy = pickle.loads(pickle.dumps(split))  # the mesh goes along, without its devices
    np.testing.assert_array_equal(copy.encode(TEXTS[:3]), split.encode(TEXTS[:3]))


def test_every_device_holds_its_part_alone(folder: Path, split: Instructor) -> None:
    shardings = param_shardings(SMALL, make_mesh(MeshShape(fsdp=2, tensor=2)))
    placed, rules = split._ready()._params, leaves_of(shardings)
    whole, parts = 0, 0
    for (name, array), (same, sharding) in zip(leaves_of(placed).items(), rules.items(), strict=True):
        assert name == same
        assert array.sharding.is_equivalent_to(sharding, array.ndim), name
        whole += array.nbytes
        parts += array.addressable_shards[0].data.nbytes
    assert parts < 0.3 * whole  # a quarter, and the norms
    for name, array in leaves(split.params).items():
        np.testing.assert_array_equal(array, leaves(open_params(read_folder(folder)))[name])


def leaves_of(tree: dict) -> dict[str, Any]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def test_loading_sends_no_device_a_whole_weight(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, ...]] = []
    put = jax.device_put

    def watched(array, device):
        sent.append(array.shape)
        return put(array, device)

    monkeypatch.setattr(placement.jax, "device_put", watched)
    mesh = make_mesh(MeshShape(data=1, fsdp=4, tensor=2))
    shardings = param_shardings(SMALL, mesh)
    arrays = open_params(read_folder(folder))
    for weight, sharding in zip(jax.tree.leaves(arrays), jax.tree.leaves(shardings), strict=True):
        sent.clear()
        array = placement.placed(weight, sharding, np.dtype(np.float32), np.dtype(np.float32))
        assert set(sent) == {sharding.shard_shape(weight.shape)}
        np.testing.assert_array_equal(array, np.asarray(weight))


def test_weights_that_lie_on_the_mesh_are_used_where_they_are(split: Instructor, folder: Path) -> None:
    engine = split._ready()
    model = Instructor(split.folder, engine._params, mesh=placement.mesh_of(engine._params), tokens_per_call=64)
    for mine, given in zip(jax.tree.leaves(model._ready()._params), jax.tree.leaves(engine._params), strict=True):
        assert mine is given
    np.testing.assert_array_equal(model.encode(TEXTS), split.encode(TEXTS))


def test_encode_takes_a_mesh(folder: Path, whole: np.ndarray, tmp_path: Path) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text("".join(f'{{"text": "{text}", "for": "{why}"}}\n' for why, text in TEXTS))
    arguments = ["encode", str(texts), "-m", str(folder), "--max-length", "16", "--instruction-column", "for"]
    main([*arguments, "-o", str(tmp_path / "split.npy"), "--mesh", "fsdp=2,tensor=2"])
    np.testing.assert_allclose(np.load(tmp_path / "split.npy"), whole, **CLOSE)
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "-o", str(tmp_path / "other.npy"), "--mesh", "fsdp=2;tensor=2"])
    assert stopped.value.code == 2


@pytest.mark.parametrize(
    ("mesh", "message"),
    [
        ({"fsdp": 3}, "does not fit 8 devices"),
        ({"tensor": 4}, r"parameter \S+ of shape .* cannot be split"),
        ({"fsdp": 1.5}, "mesh\\['fsdp'\\]=1.5"),
        ({"rows": 2}, "must give sizes to some of data, fsdp, tensor, slices"),
        ("fsdp=2,fsdp=2", "named twice"),
        ("fsdp", "must give sizes"),
        (2, "must give sizes"),
        (jax.make_mesh((8,), ("x",)), "it must have \\('data', 'fsdp', 'tensor'\\)"),
    ],
)
def test_a_mesh_that_cannot_be(folder: Path, mesh: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Instructor.from_pretrained(folder, mesh=mesh)


def test_the_originals_class_takes_one_too(folder: Path) -> None:
    model = INSTRUCTOR(str(folder), mesh="fsdp=2", device="cpu", **SHORT)
    shards = [leaf.addressable_shards[0].data.size for leaf in jax.tree.leaves(model._ready()._params)]
    assert sum(shards) < 0.6 * sum(leaf.size for leaf in jax.tree.leaves(model.params))


@pytest.mark.slow
def test_split_weights_of_another_family(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model", UMT5)
    whole = Instructor.from_pretrained(folder, devices=jax.devices()[:1], **SHORT).encode(TEXTS)
    split = Instructor.from_pretrained(folder, mesh="data=1,fsdp=4,tensor=2", **SHORT)
    np.testing.assert_allclose(split.encode(TEXTS), whole, rtol=0, atol=2e-6 * np.abs(whole).max())
