"""The shape of an MPNet encoder, and what its config.json says: BERT's keys, and buckets of distances.

Read against transformers 4 and 5 (`models/mpnet/`). Its code fixes what its configuration seems to leave open: the id
of padding, by which positions are counted, and the number of buckets.
"""

import dataclasses
from typing import Any

from instructor_jax.backbones.bert.config import (
    Activation,
    check_sizes,
    layer_weights,
    read_sizes,
    written_sizes,
)
from instructor_jax.backbones.checks import check_choice, made_of
from instructor_jax.io.json_files import Fields
from instructor_jax.io.settings.encoder import size

BUCKETS = 32  # MPNetEncoder.compute_position_bias does not read the configuration's number
MAX_DISTANCE = 128  # its relative_position_bucket
FIRST_POSITION = 2  # MPNetEmbeddings.padding_idx + 1: the vector of a text's first token


@dataclasses.dataclass(frozen=True)
class MPNetConfig:
    """Shape of an MPNet encoder: BERT's without token types, with a learned bias for every distance."""

    vocab: int = 30527
    embed: int = 768
    layers: int = 12
    heads: int = 12
    head_dim: int = 64
    ffn: int = 3072
    activation: Activation = "gelu"
    position_vectors: int = 514
    norm_epsilon: float = 1e-5
    dropout: float = 0.1  # used in training only
    attention_dropout: float = 0.1  # used in training only
    pad_id: int = 1
    eos_id: int = 2
    model_type: str = "mpnet"

    def __post_init__(self) -> None:
        check_sizes(self, ("position_vectors",))
        check_choice(f"{type(self).__name__}.model_type", self.model_type, ("mpnet",))
        if self.position_vectors <= FIRST_POSITION:
            raise ValueError(
                f"{type(self).__name__}.position_vectors={self.position_vectors} must be more than {FIRST_POSITION}, "
                "the place of a text's first token."
            )

    @property
    def positions(self) -> int:
        """Most tokens of a text: the vectors before `FIRST_POSITION` are of no token."""
        return self.position_vectors - FIRST_POSITION

    @property
    def weight_count(self) -> int:
        """Number of the encoder's weights, counted from the shapes."""
        tables = (self.vocab + self.position_vectors) * self.embed + 2 * self.embed + BUCKETS * self.heads
        return tables + self.layers * layer_weights(self)


def read_config(fields: Fields) -> MPNetConfig:
    """Reads the fields of a config.json.

    Raises:
        ValueError: A size is missing, a value has a wrong type or range or asks for what the encoder does not compute,
            or a key is unknown.
    """
    model_type = fields.text("model_type")
    values = read_sizes(fields, eos_id=2, norm_epsilon=1e-12)
    fields.require({"relative_attention_num_buckets": (BUCKETS,)}, "which transformers' MPNet does not obey")
    values["position_vectors"] = size(fields, "max_position_embeddings")
    values["pad_id"] = fields.whole("pad_token_id", 1)
    fields.refuse_unread()
    return made_of(MPNetConfig, {**values, "model_type": model_type}, fields.where)


def write_config(config: MPNetConfig) -> dict[str, Any]:
    """Returns the `config.json` dictionary that transformers reads as the same encoder."""
    return {
        "architectures": ["MPNetModel"],
        "model_type": config.model_type,
        **written_sizes(config),
        "max_position_embeddings": config.position_vectors,
        "relative_attention_num_buckets": BUCKETS,
    }
