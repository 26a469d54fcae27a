"""The families of encoders, and what each supplies: the only place that knows which there are.

A family turns the tokens of packed rows into hidden states. Everything else (packing, the instruction mask, pooling,
projection, losses, the step, sharding, conversion, evaluation) is the same for all of them; it asks the family's record
and never its name. A new family is one module with a record called `BACKBONE`, and one line for each of its model types
in `PLACES`. The module is imported when a model of the family is met; it should import its encoder later still, when
one is built, because reading a folder needs no JAX.
"""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

from instructor_jax.backbones.configuration import BackboneConfig
from instructor_jax.backbones.tokenizer_habits import TokenizerHabits
from instructor_jax.backbones.weight_names import WeightNames

# model_type of a config.json -> the module with the family's record
PLACES: dict[str, str] = {
    "t5": "instructor_jax.backbones.t5.family",
    "mt5": "instructor_jax.backbones.t5.family",
    "umt5": "instructor_jax.backbones.t5.family",
    "bert": "instructor_jax.backbones.bert.family",
    "mpnet": "instructor_jax.backbones.mpnet.family",
    "qwen3": "instructor_jax.backbones.qwen3.family",
    "modernbert": "instructor_jax.backbones.modernbert.family",
    "gemma3_text": "instructor_jax.backbones.gemma.family",
    "t5gemma": "instructor_jax.backbones.t5gemma.family",
    "embedding_gemma2": "instructor_jax.backbones.embedding_gemma2.family",
    "embedding_gemma2_text": "instructor_jax.backbones.embedding_gemma2.family",
}
_DEFAULT = "t5"  # of folders that do not say, and of new models


@runtime_checkable
class EncoderModule(Protocol):
    """The flax module of a family: hidden states of the tokens of packed rows.

    Rows hold several texts, and a text's states must be what they would be alone in the row: texts do not see one
    another, and positions, where the family has them, begin anew at each text. Every parameter carries logical axes,
    names of the table in `sharding.py`. The layers are `layers`, made by `nn.stack.make_layers`, and the token table is
    `embed.embedding`. Dropout, where there is any, follows from `row_keys` alone.

    Attributes:
        layers: The layers, stacked or apart.
    """

    layers: Any

    def __call__(self, tokens: Any, segments: Any, row_keys: Any = None) -> Any:
        """Returns the states [groups, rows, len, embed].

        Args:
            tokens: Ids [groups, rows, len] below the vocabulary's size.
            segments: The text of each token within its row, contiguous; -1 is padding.
            row_keys: A random key for every row, for dropout; None for inference.
        """
        ...

    def begin(self, tokens: Any, segments: Any, row_keys: Any = None) -> tuple[Any, Callable[..., Any]]:
        """Returns what enters the first layer, and the function (x, layer, index) -> x that runs one."""
        ...

    def finish(self, x: Any, row_keys: Any = None) -> Any:
        """Returns the final states from what leaves the last layer."""
        ...


@dataclasses.dataclass(frozen=True)
class Backbone:
    """What a family of encoders supplies.

    Attributes:
        title: Name of the family, as messages and model cards say it.
        config: Its frozen configuration, a dataclass as `BackboneConfig` describes it. All fields have defaults, of the
            kinds that JSON has, so that folders and checkpoints can hold them.
        build: Makes the `EncoderModule` of a configuration: (config, compute: nn.compute.Compute, rngs: nnx.Rngs). It
            is made of the parts in `nn/`, and may split its parameters' random keys from `rngs` in any fixed order.
        read_config: Reads the `Fields` of a config.json: every key is obeyed, known to be harmless, or refused.
        write_config: Gives the config.json of a configuration as transformers reads it; the first of its
            `architectures` is transformers' class of the encoder alone.
        weights: The names of its weights.
        tokenizer: What its tokenizers add.
        pools_instruction: What a folder means that does not say whether instructions are pooled like texts:
            sentence-transformers pools them, INSTRUCTOR's own code never did.
        residual_outputs: Places, below a layer, of the matrices whose products are added to what passes through.
        published: The published models' `ModelConfig` by name, whose shapes are known without a file.
        multimodal: Whether folders may have settings of images, audio and video, which no text depends on.
    """

    title: str
    config: type[Any]
    build: Callable[..., EncoderModule]
    read_config: Callable[[Any], BackboneConfig]
    write_config: Callable[[Any], dict[str, Any]]
    weights: WeightNames
    tokenizer: TokenizerHabits
    pools_instruction: bool
    residual_outputs: tuple[tuple[str, ...], ...]
    published: Mapping[str, Any]
    multimodal: bool = False


@lru_cache
def _load(place: str) -> Backbone:
    return importlib.import_module(place).BACKBONE


def backbone_named(model_type: str) -> Backbone | None:
    """Returns the family of a model type; None for an unknown one."""
    return _load(PLACES[model_type]) if model_type in PLACES else None


def backbone_of(config: BackboneConfig) -> Backbone:
    """Returns the family of an encoder's configuration."""
    return _load(PLACES[config.model_type])


def default_backbone() -> Backbone:
    """Returns the family of new models, and of weights and folders that do not say theirs."""
    return _load(PLACES[_DEFAULT])


def backbones() -> list[Backbone]:
    """Returns all families, each once."""
    return [_load(place) for place in dict.fromkeys(PLACES.values())]


def titles() -> str:
    """Returns the families' names, for messages."""
    return ", ".join(backbone.title for backbone in backbones())
