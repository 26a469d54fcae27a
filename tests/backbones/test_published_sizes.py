"""The published models of all families by their shapes alone: nothing is allocated."""

import math

import jax
import pytest

from instructor_jax.backbones.registry import backbones, default_backbone
from instructor_jax.config import ModelConfig, parameter_count
from instructor_jax.io.weights.names import torch_shapes
from instructor_jax.nn.model import abstract_params

# T5's are tested beside it.
MODELS = {
    name: model
    for family in backbones()
    if family is not default_backbone()
    for name, model in family.published.items()
}
# Names by shape: many models have one.
SHAPES = {model: name for name, model in reversed(MODELS.items())}

# As published, in weights. Of BERT and MPNet without the pooler, (width + 1) * width weights that sentence-transformers
# does not use.
COUNTS = {
    "all-MiniLM-L6-v2": 22_713_216 - 385 * 384,
    "bert-base-uncased": 109_482_240 - 769 * 768,
    "bert-large-uncased": 335_141_888 - 1025 * 1024,
    "all-mpnet-base-v2": 109_486_464 - 769 * 768,
    "Qwen3-Embedding-0.6B": 595_776_512,
    "embeddinggemma-2": 271_002_648,  # what the 413 tensors of the text model in google/embeddinggemma-2 add up to
    # T5Gemma's encoders: what transformers' T5GemmaModel has in `encoder`. With a decoder of the same size it has 0.59,
    # 5.6 and 20.3 thousand million weights of b, 2b and 9b, where Google's collection on the hub says 0.6, 6 and 20.
    "t5gemma-s-s-ul2": 152_060_416,
    "t5gemma-b-b-ul2": 281_580_288,
    "t5gemma-l-l-ul2": 570_524_672,
    "t5gemma-xl-xl-ul2": 1_682_114_560,
    "t5gemma-2b-2b-ul2": 2_614_341_888,
    "t5gemma-9b-9b-ul2": 9_241_705_984,
}


@pytest.mark.parametrize("model", SHAPES, ids=SHAPES.values())
def test_the_shapes_of_every_published_model_add_up(model: ModelConfig) -> None:
    shapes = jax.tree.leaves(abstract_params(model))
    assert sum(math.prod(leaf.shape) for leaf in shapes) == parameter_count(model)
    assert sum(map(math.prod, torch_shapes(model).values())) == parameter_count(model)


@pytest.mark.parametrize("name", COUNTS)
def test_published_counts(name: str) -> None:
    assert parameter_count(MODELS[name]) == COUNTS[name]
