"""The seam between a family of encoders and everything else: nothing names a family, and a new one is one file."""

import ast
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from house import sources, tree_of

from instructor_jax import Instructor
from instructor_jax.backbones.published import PUBLISHED
from instructor_jax.backbones.registry import PLACES, Backbone, backbone_named, backbone_of, backbones, default_backbone
from instructor_jax.config import BackboneConfig, ModelConfig, parameter_count
from instructor_jax.convert.sources import read_source
from instructor_jax.io.folder_writer import write_own, write_sentence_transformers
from instructor_jax.io.folders import read_folder, read_params
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.settings.family import read_encoder_config
from instructor_jax.io.weights.names import table
from instructor_jax.nn.model import abstract_params, init_params, param_shardings
from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.train.step import new_state, train_step

from ..small_models import assert_identical, leaves, tokenizer_folder
from ..train.random_batches import random_batch, tiny_config
from . import toy_family
from .toy_family import ToyConfig

# Where code may say T5, and why.
ALLOWED = {
    "instructor_jax/backbones/registry.py": "the table of families",
    "instructor_jax/config.py": "`EncoderConfig` means T5's configuration, from before there were families",
    "instructor_jax/integrations/instruction_sides.py": "models trained without instructions",
    "train/recipes.py": "names of published models on the hub",
}
T5 = re.compile(r"(?<![A-Za-z0-9])[tT]5(?![A-Za-z0-9])|([Bb]y|[Uu]m|[Mm]|[Ff]lan)T5|T5(?=[A-Z][a-z])")
# The same of the other families, also as a part of a longer name.
OTHERS_ALLOWED = {
    "instructor_jax/integrations/instruction_sides.py": "models trained without instructions",
    "train/recipes.py": "recipes, and names of published models on the hub",
}
OTHERS = re.compile(r"bert|mpnet|gemma|qwen", re.IGNORECASE)
# Names that others gave: files of sentence-transformers, parts of the tokenizers library, a data set's file.
GIVEN = re.compile(
    r"sentence_(\w+_)?\w*bert\w*_config\.json|sentence_xlm-roberta_config\.json|BertNormalizer|BertPreTokenizer|"
    r"(Rob|B)ertaProcessing|BertProcessing|faq_covidbert\.csv"
)


def words(tree: ast.AST) -> Iterator[str]:
    """Identifiers, imports and strings of a file, docstrings left out."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value
        for name in ("id", "attr", "name", "arg", "module", "asname"):
            if isinstance(value := getattr(node, name, None), str):
                yield value


def test_no_code_outside_of_its_family_names_t5(repository: Path) -> None:
    found = set()
    for file in sources(repository):
        path = file.relative_to(repository).as_posix()
        if not path.startswith(("instructor_jax/backbones/t5/", "instructor_jax/backbones/t5gemma/")):
            found |= {path for word in words(tree_of(file)) if T5.search(word)}
    assert found == set(ALLOWED)


def test_no_code_outside_of_the_families_names_another_one(repository: Path) -> None:
    found = set()
    for file in sources(repository):
        path = file.relative_to(repository).as_posix()
        if not path.startswith("instructor_jax/backbones/"):
            spoken = (GIVEN.sub("", word) for word in words(tree_of(file)))
            found |= {path for word in spoken if OTHERS.search(word)}
    assert found == set(OTHERS_ALLOWED)


NAMING = ("import a.bert.b", "is_mpnet = 1", "x.Qwen3Config", "f'{x} of Gemma '", "f('modernbert')")


@pytest.mark.parametrize("code", NAMING)
def test_a_name_of_another_family_would_be_seen(code: str) -> None:
    assert any(OTHERS.search(GIVEN.sub("", word)) for word in words(ast.parse(code)))


def test_such_a_name_would_be_seen() -> None:
    for code in (
        "import a.t5",
        "t5_names = 1",
        "x.MT5Tokenizer",
        "f('T5EncoderModel')",
        "f'{x} of a T5 '",
        "def f(t5): 0",
    ):
        assert any(map(T5.search, words(ast.parse(code)))), code
    for code in ("def f():\n    'Of T5.'", "from_t5x = 1", "f'{gtr} of T5X'", "'sst5'"):
        assert not any(map(T5.search, words(ast.parse(code)))), code


@pytest.mark.parametrize("backbone", backbones(), ids=lambda backbone: backbone.title)
def test_a_record_is_complete(backbone: Backbone) -> None:
    config = backbone.config()
    assert isinstance(config, BackboneConfig)
    assert PLACES.keys() >= {config.model_type}
    assert backbone_of(config) is backbone_named(config.model_type) is backbone
    assert json.loads(json.dumps(dataclasses.asdict(config))) == dataclasses.asdict(config)
    assert read_encoder_config(backbone.write_config(config)) == config
    model = ModelConfig(config, projection=None)
    shapes = leaves(jax.tree.map(lambda leaf: np.empty(leaf.shape, bool), abstract_params(model)))
    assert {".".join(entry.path) for entry in table(model)} == set(shapes)
    assert sum(array.size for array in shapes.values()) == parameter_count(config)
    assert len(jax.tree.leaves(param_shardings(model, make_mesh()))) == len(shapes)
    assert "encoder.embed.embedding" in shapes
    assert backbone.weights.embedding in {entry.name for entry in table(model)}
    for entry in table(model):
        if entry.per_layer and len(entry.torch_shape) == 2 and "relative" not in entry.name:
            found = backbone.weights.adapted.fullmatch(entry.torch_name().removesuffix(".weight"))
            assert found, entry.name
            assert int(found["layer"]) == entry.first
    for place in backbone.residual_outputs:
        assert ".".join(("encoder", "layers", *place)) in shapes
    assert PUBLISHED.items() >= backbone.published.items()
    assert backbone.tokenizer.default("", "") in backbone.tokenizer.classes


def test_an_unknown_family_is_told_with_those_that_are_known() -> None:
    assert backbone_named("longformer") is None
    with pytest.raises(ValueError, match=r"model_type='longformer' in config.json is not of a known family \(.*umt5"):
        read_encoder_config({"model_type": "longformer"})


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ModelConfig:
    """A model of a family that is one file and one entry."""
    monkeypatch.setitem(PLACES, "toy", toy_family.__name__)
    return ModelConfig(ToyConfig(), projection=12, max_length=48)


@pytest.mark.slow
def test_another_family_is_written_read_and_encodes(toy: ModelConfig, tmp_path: Path) -> None:
    tokenizer = tokenizer_folder(tmp_path / "tokenizer")
    params = jax.device_get(init_params(toy, 0))
    for name, write in (("folder", write_sentence_transformers), ("own", write_own)):
        write(tmp_path / name, ModelFolder(tokenizer, toy), params)
        folder = read_folder(tmp_path / name)
        assert folder.config == toy
        assert_identical(read_params(folder), params)
        assert_identical(read_source(tmp_path / name).params, params)
    model = Instructor.from_pretrained(tmp_path / "folder", devices=jax.devices()[:1])
    texts = [["Represent the text: ", "word " * count] for count in (1, 3, 9, 20, 2, 5)]
    together = model.encode(texts)
    alone = np.concatenate([model.encode([text]) for text in texts])
    np.testing.assert_allclose(
        together, alone, rtol=0, atol=2e-6
    )  # float32: rows of another length sum in another order
    assert np.abs(together[0] - together[1]).max() > 1e-2
    assert default_backbone().title != "Toy"


@pytest.mark.slow
def test_another_family_is_trained_on_any_devices(toy: ModelConfig) -> None:
    config = tiny_config(model=dataclasses.replace(toy, encoder=ToyConfig(vocab=64, positions=16), max_length=16))
    batch, losses = random_batch(config, 0), []
    for shape in (MeshShape(data=1), MeshShape(data=2, fsdp=2, tensor=2)):
        mesh = make_mesh(shape, jax.devices()[: 1 if shape.data == 1 else 8])
        with jax.set_mesh(mesh):
            state = new_state(config, init_params(config.model, 0, mesh))
            run = jax.jit(train_step, static_argnums=0)
            _, first = run(config, state, batch)
            losses.append(float(first.loss))
    assert np.isfinite(losses).all()
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)  # float32 sums in another order, dropout included
