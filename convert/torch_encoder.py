"""transformers' own encoder with our weights: what is compared with, and what PyTorch exports."""

from typing import Any

import numpy as np

from instructor_jax.backbones.registry import backbone_of
from instructor_jax.config import ModelConfig
from instructor_jax.io.printable import few
from instructor_jax.io.weights.names import params_to_torch


def encoder_class(config: ModelConfig) -> tuple[Any, dict[str, Any]]:
    """Returns transformers' class of the encoder, and the settings of this one as its config.json has them.

    Raises:
        ImportError: torch or transformers is not installed.
    """
    import transformers

    settings = backbone_of(config.encoder).write_config(config.encoder)
    return getattr(transformers, settings["architectures"][0]), settings


def torch_encoder(config: ModelConfig, params: dict[str, Any], **options: Any) -> Any:
    """Returns transformers' module of the encoder in float32 with the given weights, ready for inference.

    It is made of our configuration and arrays alone: nothing of a model's folder is read.

    Args:
        config: of the model.
        params: our nested parameters, of any dtype.
        options: more settings of transformers' configuration, such as `attn_implementation`.

    Raises:
        ImportError: torch or transformers is not installed.
        ValueError: transformers' class does not take these weights.
    """
    import torch

    kind, settings = encoder_class(config)
    model = kind(kind.config_class(**settings, **options))
    weights = backbone_of(config.encoder).weights
    of_encoder = {entry.name.partition("{")[0] for entry in weights.table(config.encoder)}
    state = {
        name: torch.tensor(np.asarray(array, np.float32))
        for name, array in params_to_torch(config, params).items()
        if name.startswith(tuple(of_encoder))
    }
    state |= dict.fromkeys(weights.embedding_copies, state[weights.embedding])
    missing, unknown = model.load_state_dict(state, strict=False)
    left = [name for name in missing if not weights.left_out.fullmatch(name)]
    if left or unknown:
        raise ValueError(f"transformers' {kind.__name__} does not take these weights: {few([*left, *unknown])}.")
    return model.eval()
