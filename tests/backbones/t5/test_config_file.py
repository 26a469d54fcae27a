"""Model shapes: the published sizes against published numbers, and T5's config.json read and written."""

import json
import math
from typing import Any

import jax
import pytest

from instructor_jax.backbones.t5.config import T5Config
from instructor_jax.backbones.t5.config_file import read_config, write_config
from instructor_jax.backbones.t5.family import BACKBONE
from instructor_jax.config import parameter_count
from instructor_jax.io.json_files import Fields
from instructor_jax.io.weights.names import torch_shapes
from instructor_jax.nn.model import abstract_params

PUBLISHED = BACKBONE.published
ENCODERS: dict[str, Any] = {name: config.encoder for name, config in PUBLISHED.items()}  # all are T5Configs
T5_BASE = write_config(ENCODERS["t5-base"])


def read(settings: dict) -> T5Config:
    """The configuration that a config.json's dictionary describes."""
    return read_config(Fields(settings, "config.json"))


# Parameters of the whole encoder-decoder models, as their model cards and transformers report them, and the decoder's
# number of layers where it is not the encoder's.
WHOLE_MODELS = {
    "t5-small": (60_506_624, 6),
    "t5-base": (222_903_552, 12),
    "t5-large": (737_668_096, 24),
    "t5-3b": (2_851_598_336, 24),
    "t5-11b": (11_307_321_344, 24),
    "flan-t5-small": (76_961_152, 8),
    "flan-t5-base": (247_577_856, 12),
    "flan-t5-large": (783_150_080, 24),
    "flan-t5-xl": (2_849_757_184, 24),
    "flan-t5-xxl": (11_135_332_352, 24),
    "mt5-small": (300_176_768, 8),
    "mt5-base": (582_401_280, 12),
    "mt5-large": (1_229_581_312, 24),
    "mt5-xl": (3_742_619_648, 24),
    "mt5-xxl": (12_921_057_280, 24),
    "byt5-small": (299_637_760, 4),
    "byt5-base": (581_653_248, 6),
}
# Encoders of the published embedders, as transformers counts them.
EMBEDDERS = {"base": 109_628_544, "large": 334_939_648, "xl": 1_240_909_824, "xxl": 4_864_791_552}


@pytest.mark.parametrize("name", PUBLISHED)
def test_shapes_of_every_published_size_add_up(name: str) -> None:
    config = PUBLISHED[name]
    shapes = [leaf.shape for leaf in jax.tree.leaves(abstract_params(config))]  # nothing is allocated
    assert sum(map(math.prod, shapes)) == parameter_count(config)
    assert sum(map(math.prod, torch_shapes(config).values())) == parameter_count(config)


@pytest.mark.parametrize("name", WHOLE_MODELS)
def test_the_encoder_is_that_of_the_published_model(name: str) -> None:
    """Adds the decoder that the size implies; one wrong width, head or layer would show."""
    total, layers = WHOLE_MODELS[name]
    config = ENCODERS[name]
    attention = 4 * config.embed * config.heads * config.head_dim
    feed_forward = (3 if config.gated else 2) * config.embed * config.ffn
    decoder = layers * (2 * attention + feed_forward + 3 * config.embed)
    decoder += config.relative_buckets * config.heads + config.embed
    head = config.vocab * config.embed if config.gated else 0  # T5 1.0 ties the output layer to the embedding
    assert parameter_count(config) + decoder + head == total


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.startswith(("gtr", "sentence-t5", "instructor"))])
def test_published_embedders(name: str) -> None:
    config = PUBLISHED[name]
    assert parameter_count(config.encoder) == EMBEDDERS[name.rpartition("-")[2]]
    assert (config.embedding_dim, config.normalize) == (768, True)
    assert config.max_length == (256 if name.startswith("sentence-t5") else 512)


@pytest.mark.parametrize("name", PUBLISHED)
def test_config_json_there_and_back(name: str) -> None:
    config = ENCODERS[name]
    assert read(json.loads(json.dumps(write_config(config)))) == config


@pytest.mark.torch
@pytest.mark.parametrize("name", ["t5-3b", "flan-t5-large", "mt5-small", "umt5-base", "byt5-base"])
def test_transformers_builds_the_same_encoder_from_it(name: str) -> None:
    torch = pytest.importorskip("torch")
    import transformers

    settings = write_config(ENCODERS[name])
    kind = settings["architectures"][0]
    config = getattr(transformers, kind.replace("EncoderModel", "Config"))(**settings)
    with torch.device("meta"):
        model = getattr(transformers, kind)(config)
    found = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found.pop("encoder.embed_tokens.weight", None)  # the shared embedding again
    assert found == torch_shapes(PUBLISHED[name])


def test_names_of_the_older_and_the_newer_files_are_read() -> None:
    """T5 1.0 files have no feed_forward_proj; 'gated-gelu' has always meant the tanh approximation."""
    plain = {key: value for key, value in T5_BASE.items() if key != "feed_forward_proj"}
    assert read(plain).activation == "relu"
    assert not read(plain).gated
    gated = read({**T5_BASE, "feed_forward_proj": "gated-gelu"})
    assert (gated.activation, gated.gated) == ("gelu_new", True)
    assert read({**plain, "model_type": "mt5"}).gated
    assert read({**T5_BASE, "feed_forward_proj": "gelu"}).activation == "gelu"
    assert not read({**T5_BASE, "model_type": "umt5"}).shared_relative_bias


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "bert"}, "model_type='bert'"),
        ({"d_kv": None}, "lacks 'd_kv'"),
        ({"feed_forward_proj": "gated-swish9"}, "feed_forward_proj='gated-swish9'"),
        ({"d_model": 0}, "d_model=0; it must be a whole number from 1"),
        ({"num_layers": "12"}, "num_layers='12'"),
        ({"relative_attention_num_buckets": 31}, "relative_buckets=31 must be even"),
        ({"relative_attention_max_distance": 8}, "relative_max_distance=8 must exceed"),
        ({"dropout_rate": 1.0}, "dropout=1.0"),
    ],
)
def test_refused_encoders(change: dict, message: str) -> None:
    settings = {key: value for key, value in {**T5_BASE, **change}.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        read(settings)


def test_what_config_json_cannot_say_is_not_written() -> None:
    """'gated-gelu' would be read as another function, and only umT5 has a table in every layer."""
    gated = T5Config(gated=True, activation="gelu")
    with pytest.raises(ValueError, match="gated.*gelu"):
        write_config(gated)
    with pytest.raises(ValueError, match="shared_relative_bias"):
        write_config(T5Config(shared_relative_bias=False))
