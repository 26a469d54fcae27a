"""What an embedder computes with: a tokenizer, weights on their devices, and the programs compiled for them."""

import contextlib
import copy
import dataclasses
import logging
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh

from instructor_jax.compilation import compiler_options, computes_bfloat16, enable_cache
from instructor_jax.inference.compute_options import ComputeOptions
from instructor_jax.inference.device_errors import TRACED
from instructor_jax.inference.devices import chosen_devices
from instructor_jax.inference.processes import check_process
from instructor_jax.inference.progress import progress_bar
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.printable import shown
from instructor_jax.io.tokenizers.folders import load_token_ids
from instructor_jax.io.weights.names import check_params
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.layout import STACKED, cpu_layout, stacked_params, unstacked_params
from instructor_jax.nn.model import Params, check_divisible, embed, encode_tokens, param_shardings
from instructor_jax.nn.placement import placed
from instructor_jax.sharding import Device, MeshShape, data_shards, make_mesh, named_sharding, weight_copies
from instructor_jax.text.batches import TokenBatch
from instructor_jax.text.buckets import PackingConfig, bucket_ladder
from instructor_jax.text.tokenization import Tokenizer

logger: logging.Logger = logging.getLogger(__name__)

# Tokens per device call and shard. On CPUs larger calls fall out of the caches; on accelerators smaller ones leave the
# matrix units waiting.
TOKENS_PER_CALL = {"cpu": 2048, "gpu": 65536, "tpu": 32768}
# What a call costs besides its tokens, in tokens. On CPUs (AMD Zen 4) the base size takes 61 ms for a row of 16 tokens,
# and 1.2 ms for each token of a full call, so that the rest of the row's time is worth 34.
_CALL_OVERHEAD = {"cpu": 32, "gpu": 4096, "tpu": 2048}


class Engine:
    """A tokenizer and weights, copied to every device or split over them, with `embed` and `encode_tokens` over them.

    Weights that are split are gathered layer by layer by the programs, as in training.

    Args:
        folder: configuration and tokenizer of the model.
        params: its weights.
        options: type and devices of the computation.

    Attributes:
        tokenizer: What turns pairs into token ids.
        packing: Shapes of the batches that the programs take.
        devices: Devices on which the weights lie.
        platform: "cpu", "gpu" or "tpu".

    Raises:
        ValueError: the weights do not fit the configuration, the tokenizer is broken, or JAX has no such device.
        RuntimeError: this process was forked from one that used JAX already.
    """

    def __init__(self, folder: ModelFolder, params: Params, options: ComputeOptions) -> None:
        enable_cache()
        config = self._config = folder.config
        self.devices: list[Device] = chosen_devices(options.devices)
        given = options.mesh
        self._mesh = given if isinstance(given, Mesh) else make_mesh(given or MeshShape(), self.devices)
        self._split = weight_copies(self._mesh) < self._mesh.size
        self.platform = self.devices[0].platform
        self.packing = PackingConfig(
            max_length=config.max_length,
            tokens_per_call=options.tokens_per_call or TOKENS_PER_CALL.get(self.platform, TOKENS_PER_CALL["gpu"]),
            call_overhead=_CALL_OVERHEAD.get(self.platform, _CALL_OVERHEAD["gpu"]),
            groups=data_shards(self._mesh),
        )
        self._kept = jnp.dtype(options.dtype)
        # Where bfloat16 would only be converted back and forth: weights rounded to it, computation in float32.
        self._compute = self._kept if computes_bfloat16(self.platform) else jnp.dtype(jnp.float32)
        # the layout of training where weights are split or those of a training
        stacked = self.platform != "cpu" or self._split or self._mesh.is_multi_process
        self._layout = STACKED if stacked else cpu_layout(config.encoder.ffn)
        self._params = self._placed(params)
        # One sharding for every batch: groups over the devices. With one device the mesh has one place.
        self._batch_sharding = named_sharding(self._mesh, "batch")
        compiled_with = compiler_options(self.platform, self._compute)
        # each process of several gets all results
        results = named_sharding(self._mesh) if self._mesh.is_multi_process else self._batch_sharding
        jit = partial(jax.jit, compiler_options=compiled_with, out_shardings=results)
        compute = Compute(dtype=self._compute, layout=self._layout)
        self._embed = jit(partial(embed, config, compute=compute))
        self._encode_tokens = jit(partial(encode_tokens, config, compute=compute))
        self.tokenizer = _tokenizer(folder)

    @property
    def dtype(self) -> str:
        """The embedder's type, "float32" or "bfloat16"."""
        return self._kept.name

    @property
    def params(self) -> Params:
        """The weights on the host, in the type that is computed in."""
        params = jax.device_get(self._params)
        if self._layout.stacked:
            return params
        return {**params, "encoder": stacked_params(params["encoder"], self._layout)}

    def kept_params(self) -> Params:
        """Returns the weights on the host in the embedder's type, which may be narrower than the computation's."""
        return jax.tree.map(lambda array: np.asarray(array).astype(self._kept, copy=False), self.params)

    def with_limits_of(self, folder: ModelFolder) -> "Engine":
        """Returns the same programs and weights with the length limit and the pooled tokens of another configuration.

        Raises:
            ValueError: the folder's tokenizer is broken.
        """
        other = copy.copy(self)
        other.tokenizer = _tokenizer(folder)
        other.packing = dataclasses.replace(self.packing, max_length=folder.config.max_length)
        return other

    def with_params(self, params: Params) -> "Engine":
        """Returns the same programs over other weights, given as arrays on the host.

        Raises:
            ValueError: they do not fit the configuration.
        """
        other = copy.copy(self)
        other._params = other._placed(params)
        return other

    def embed(self, batch: TokenBatch) -> jax.Array:
        """Returns the vectors of a batch, dispatched without waiting."""
        with self._in_mesh():
            return self._embed(self._params, self._put(batch))

    def encode_tokens(self, batch: TokenBatch) -> jax.Array:
        """Returns the hidden states of a batch's tokens, dispatched without waiting."""
        with self._in_mesh():
            return self._encode_tokens(self._params, self._put(batch))

    def warmup(self) -> int:
        """Compiles `embed` for every bucket and waits until each has run; returns how many there are.

        JAX returns before a program has run; a first query would otherwise wait for all of them.
        """
        ladder = bucket_ladder(self.packing)
        with progress_bar(len(ladder), "compiling", "shape", logger.isEnabledFor(logging.INFO)) as advance:
            for bucket in ladder:
                shape = (self.packing.groups, bucket.rows, bucket.length)
                slots = np.full((shape[0], bucket.rows * bucket.segments_per_row), -1, np.int32)
                empty = np.full(shape, -1, np.int32)
                batch = TokenBatch(np.zeros(shape, np.int32), empty, empty > 0, slots, bucket.segments_per_row)
                jax.block_until_ready(self.embed(batch))
                advance(1)
        return len(ladder)

    def _in_mesh(self) -> contextlib.AbstractContextManager[Any]:
        """States the mesh to the programs where weights are split, or the compiler would choose how states are."""
        return jax.set_mesh(self._mesh) if self._split else contextlib.nullcontext()

    def _put(self, batch: TokenBatch) -> TokenBatch:
        check_process()
        if self._mesh.is_multi_process:  # every process has the whole batch
            place = partial(jax.make_array_from_callback, sharding=self._batch_sharding)
            return jax.tree.map(lambda array: place(array.shape, data_callback=lambda index: array[index]), batch)
        put = jax.device_put(batch, self._batch_sharding)
        if isinstance(put.tokens, Tracer):
            raise ValueError(TRACED)
        return put

    def _placed(self, params: Params) -> Params:
        """Weights on the devices, in the type and layout that the programs compute with."""
        check_process()
        _check_leaves(params)
        check_params(self._config, params)
        if self._split:
            check_divisible(self._config, self._mesh)
        if not self._layout.stacked:
            params = {**params, "encoder": unstacked_params(params["encoder"], self._layout)}
        put = partial(placed, rounded=self._kept, dtype=self._compute)  # one weight after another
        return jax.tree.map(put, params, param_shardings(self._config, self._mesh, self._layout))


def _tokenizer(folder: ModelFolder) -> Tokenizer:
    """Opens the folder's tokenizer with the limits of its configuration."""
    config = folder.config
    return Tokenizer(
        load_token_ids(Path(folder.path)),
        config.max_length,
        pool_instruction=config.pool_instruction,
        vocab=config.encoder.vocab,
    )


def _check_leaves(params: Any) -> None:
    if not isinstance(params, dict):
        raise ValueError(
            f"params={shown(params)} must be a nested dictionary of arrays, not a {type(params).__name__}."
        )
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        name = ".".join(str(getattr(key, "key", key)) for key in path)
        if isinstance(leaf, Tracer):
            raise ValueError(
                f"parameter {name} is being traced by JAX (jax.jit, vmap or grad); an embedder holds numbers. Use "
                "instructor_jax.nn.model.embed, a pure function of parameters and token batches."
            )
        if not hasattr(leaf, "dtype") or not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise ValueError(f"parameter {name} must be an array of floats, not {getattr(leaf, 'dtype', type(leaf))}.")
