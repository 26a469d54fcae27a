"""What an embedder computes with: a tokenizer and the weights on their devices, made from a folder and weights."""

import dataclasses
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from instructor_jax.arguments import shown, whole_number
from instructor_jax.compilation import enable_cache
from instructor_jax.inference.device_model import DeviceModel
from instructor_jax.inference.devices import chosen_devices
from instructor_jax.io.bounds import SIZE
from instructor_jax.io.folders import ModelFolder
from instructor_jax.nn.model import Params
from instructor_jax.text.tokenization import Tokenizer, load_token_ids

Dtype = Literal["float32", "bfloat16"]


@dataclasses.dataclass(frozen=True)
class ComputeOptions:
    """How an embedder computes.

    Attributes:
        dtype: of weights and computation.
        devices: JAX devices; None for all local ones.
        tokens_per_call: size of the largest call per device; None for the platform's own.
    """

    dtype: Dtype = "float32"
    devices: tuple[Any, ...] | None = None
    tokens_per_call: int | None = None


class Engine(NamedTuple):
    """A tokenizer and a model on its devices."""

    tokenizer: Tokenizer
    model: DeviceModel


def compute_options(dtype: Any, devices: Any, tokens_per_call: Any) -> ComputeOptions:
    """The options, checked.

    Raises:
        ValueError: one has a wrong type or value.
    """
    return ComputeOptions(
        dtype_name(dtype),
        None if devices is None else tuple(chosen_devices(devices)),
        None if tokens_per_call is None else whole_number("tokens_per_call", tokens_per_call, 1, SIZE),
    )


def dtype_name(dtype: Any) -> Dtype:
    """ "float32" or "bfloat16", from a string, a NumPy, JAX or torch type.

    Raises:
        ValueError: it is another one.
    """
    text = dtype if isinstance(dtype, str) else str(dtype)
    name = text.removeprefix("torch.")
    if not isinstance(dtype, str) and name == text:
        try:
            name = jnp.dtype(dtype).name if dtype is not None else text
        except TypeError:
            name = text
    if name == "float32" or name == "bfloat16":
        return name
    raise ValueError(f"dtype={shown(dtype)} must be 'float32' or 'bfloat16'; T5's activations overflow in float16.")


def make_engine(folder: ModelFolder, params: Params, options: ComputeOptions) -> Engine:
    """Puts the weights on the devices and opens the folder's tokenizer.

    Raises:
        ValueError: the weights do not fit the configuration, the tokenizer is broken, or JAX has no device.
        RuntimeError: this process was forked from one that used JAX already.
    """
    enable_cache()
    model = DeviceModel(
        folder.config,
        params,
        dtype=options.dtype,
        devices=options.devices,
        tokens_per_call=options.tokens_per_call,
    )
    return Engine(make_tokenizer(folder), model)


def make_tokenizer(folder: ModelFolder) -> Tokenizer:
    """Opens the folder's tokenizer with the limits of its configuration."""
    config = folder.config
    return Tokenizer(
        load_token_ids(Path(folder.path)),
        config.max_length,
        pool_instruction=config.pool_instruction,
        vocab=config.encoder.vocab,
    )


def kept_params(engine: Engine, dtype: Dtype) -> Params:
    """The weights on the host in the embedder's dtype, which may be narrower than the computation's."""
    kept = jnp.dtype(dtype)
    return jax.tree.map(lambda array: np.asarray(array).astype(kept, copy=False), engine.model.params)
