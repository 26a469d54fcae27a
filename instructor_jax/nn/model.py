"""The whole embedding model: encoder, instruction-masked pooling, dense layers, projection, normalisation.

The module exists to be split: `model_graph` gives its static part once, and everything that lives long (an embedder, a
train state) keeps the parameters as a plain nested dictionary of arrays that `embed` and `encode_tokens` take.
"""

from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Key

from instructor_jax.backbones.registry import EncoderModule, backbone_of
from instructor_jax.backbones.weight_names import dense_name
from instructor_jax.compilation import once_options
from instructor_jax.config import ModelConfig
from instructor_jax.nn.compute import FLOAT32, Compute
from instructor_jax.nn.dense import Dense
from instructor_jax.nn.layers import NoRandomness, parameter
from instructor_jax.nn.layout import STACKED, Layout
from instructor_jax.nn.pooling import gather_slots, pool_texts
from instructor_jax.numerics import normalize, product
from instructor_jax.sharding import partition_spec
from instructor_jax.text.batches import TokenBatch

Params = dict[str, Any]


class EmbeddingModel(nnx.Module):
    """Texts packed into rows -> one vector per text."""

    def __init__(self, config: ModelConfig, compute: Compute, rngs: nnx.Rngs):
        self.config = config
        self.encoder: EncoderModule = backbone_of(config.encoder).build(config.encoder, compute, rngs)
        widths = config.dense_widths
        layers = {dense_name(index): Dense(widths[index], shape, rngs) for index, shape in enumerate(config.dense)}
        self.dense = nnx.data(nnx.Dict(layers) if layers else None)
        width = widths[-1]
        self.projection = nnx.data(
            None
            if config.projection is None
            else parameter(rngs.params(), (width, config.projection), width**-0.5, ("embed", "projection"))
        )

    def __call__(
        self, batch: TokenBatch, row_keys: Key[Array, "groups rows"] | None = None
    ) -> Float[Array, "groups texts dim"]:
        """Float32 vectors in the order of `batch.slots`; zeros where there is no text."""
        hidden = self.encoder(batch.tokens, batch.segments, row_keys)
        means = pool_texts(hidden, batch.segments, batch.pooled, batch.segments_per_row, self.config.pooling)
        vectors = gather_slots(means, batch.slots)
        for index in range(len(self.config.dense)):
            assert self.dense is not None
            vectors = self.dense[dense_name(index)](vectors)
        if self.projection is not None:
            # in float32 whatever the compute dtype: it is one small product per text and decides the direction
            vectors = product("gtd,dp->gtp", vectors, self.projection[...], jnp.float32)
        return normalize(vectors) if self.config.normalize else vectors


@lru_cache
def model_graph(config: ModelConfig, compute: Compute = FLOAT32) -> tuple[nnx.GraphDef[EmbeddingModel], nnx.State]:
    """The static part of a model and its parameters' shapes and logical axes; allocates nothing."""
    # Logical names are mapped to a mesh by our own table, later; under the caller's mesh nnx takes them for its axes.
    nowhere = jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), ()))
    with nnx.use_eager_sharding(False), nowhere:
        # Layers that are stacked are made by a vmap over keys, so there must be some.
        keys = partial(nnx.Rngs, 0) if compute.layout.stacked else NoRandomness
        model = nnx.eval_shape(lambda: EmbeddingModel(config, compute, keys()))
    graph, state = nnx.split(model)
    return graph, state


def merge(config: ModelConfig, params: Params, compute: Compute = FLOAT32) -> EmbeddingModel:
    """A module that computes with these parameters; cheap, meant to be called inside jit."""
    graph, _ = model_graph(config, compute)
    return nnx.merge(graph, nnx.State(params))


def embed(
    config: ModelConfig,
    params: Params,
    batch: TokenBatch,
    *,
    compute: Compute = FLOAT32,
    row_keys: Key[Array, "groups rows"] | None = None,
) -> Float[Array, "groups texts dim"]:
    """Returns one vector per text: the function that `encode`, training and evaluation jit.

    Args:
        config: Of the model.
        params: Its parameters, in the layout that `compute` says.
        batch: Texts packed into rows.
        compute: How it is computed; float32 by default.
        row_keys: A random key for every row, for dropout; None for inference.
    """
    return merge(config, params, compute)(batch, row_keys)


def encode_tokens(
    config: ModelConfig, params: Params, batch: TokenBatch, *, compute: Compute = FLOAT32
) -> Float[Array, "groups rows len embed"]:
    """Returns the hidden state of every token, before pooling."""
    return merge(config, params, compute).encoder(batch.tokens, batch.segments)


def abstract_params(config: ModelConfig) -> Params:
    """Shapes of all parameters as a nested dictionary of `jax.ShapeDtypeStruct`."""
    _, state = model_graph(config)
    return nnx.to_pure_dict(state)


def param_shardings(config: ModelConfig, mesh: Mesh | AbstractMesh, layout: Layout = STACKED) -> Params:
    """Where every parameter lies on the mesh, by the rules table of `sharding.py`."""
    specs = param_layouts(config, layout)
    return jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs, is_leaf=lambda x: isinstance(x, PartitionSpec))


def param_layouts(config: ModelConfig, layout: Layout = STACKED) -> Params:
    """The mesh axes of every parameter, by the rules table of `sharding.py`."""
    _, state = model_graph(config, Compute(layout=layout))
    return jax.tree.map(
        lambda variable: partition_spec(variable.get_metadata()["out_sharding"]),
        _variables(state),
        is_leaf=lambda node: isinstance(node, nnx.Variable),
    )


def check_divisible(config: ModelConfig, mesh: Mesh) -> None:
    """Checks that every parameter can be divided among the devices of a mesh.

    Raises:
        ValueError: One cannot; says which, and what to change.
    """
    params = jax.tree_util.tree_leaves_with_path(abstract_params(config))
    for (path, param), sharding in zip(params, jax.tree.leaves(param_shardings(config, mesh)), strict=True):
        try:
            sharding.shard_shape(param.shape)
        except ValueError as error:
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            raise ValueError(
                f"parameter {name} of shape {param.shape} cannot be split as {sharding.spec} on a mesh of "
                f"{dict(mesh.shape)}; choose sizes of `mesh` that divide it."
            ) from error


def _variables(state: nnx.State) -> dict[Any, Any]:
    return {
        key: _variables(value) if isinstance(value, nnx.State) else value for key, value in dict(state.items()).items()
    }


def init_params(config: ModelConfig, seed: int, mesh: Mesh | None = None) -> Params:
    """Random float32 parameters, by the family's own initialisation, made where they belong when a mesh is given."""

    def init() -> Params:
        with nnx.use_eager_sharding(False):
            return nnx.to_pure_dict(nnx.state(EmbeddingModel(config, FLOAT32, nnx.Rngs(seed))))

    shardings = None if mesh is None else param_shardings(config, mesh)
    backend = jax.default_backend() if mesh is None else mesh.devices.flat[0].platform
    return jax.jit(init, out_shardings=shardings, compiler_options=once_options(backend))()
