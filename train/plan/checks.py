"""What must not be in the compiled program of a well sharded training step, and what it tells if it is.

Collectives tell: a rule that is wrong or missing shows as an array that is sent whole where a part would do. What is
computed on several devices without being sent shows as arithmetic.
"""

import math
from collections.abc import Sequence

import jax
from jax.sharding import Mesh

from instructor_jax.backbones.configuration import stack_depth
from instructor_jax.nn.model import abstract_params, param_shardings
from instructor_jax.sharding import data_shards, partition_spec

from ..config import TrainConfig
from ..flops import training_flops_per_token
from .collectives import Collective
from .costs import Costs

# Computing chunks and layers again takes 10 operations where 6 do; attention's scores and the loss come on top.
_REPEATED = 2.5
# Bytes up to which compilers rather sum a whole array on every device and cut the part out: it takes fewer steps. The
# one for v5e does so with 2.25 MiB, and not with 4 MiB.
_SMALL = 3 * 2**20


def sharding_faults(found: Sequence[Collective], costs: Costs, config: TrainConfig, mesh: Mesh) -> list[str]:
    """Returns a sentence for each fault; none for a good program.

    Args:
        found: Collectives of one device.
        costs: Costs of one device.
        config: Configuration of what the program computes.
        mesh: Mesh of the devices that it is compiled for.
    """
    along = partition_spec(["embed"])[0]  # the axis that splits weights, and not what is computed with them
    split, weights = _split_weights(config, mesh, str(along)), _split_weights(config, mesh, "")
    local = config.groups // data_shards(mesh) * config.group.tokens
    faults = [fault for one in found for fault in _faults(one, config, split, weights, local)]
    faults += [fault for one in found for fault in _faults_between_slices(one, config)]
    repeated = _repeated(costs, config, mesh)
    if repeated > _REPEATED:
        faults.append(f"products take {repeated:.1f} times the operations that they must: devices compute the same")
    return list(dict.fromkeys(faults))


def _faults(
    one: Collective, config: TrainConfig, split: set[tuple[int, ...]], weights: set[tuple[int, ...]], local: int
) -> list[str]:
    """Returns the faults of one collective.

    Args:
        one: The collective.
        config: Configuration of what the program computes.
        split: Shapes of whole weights that devices hold parts of.
        weights: Shapes of weights as devices hold them.
        local: Number of tokens of a device's own groups.
    """
    faults = []
    layers = stack_depth(config.model.encoder)
    # where layers differ, a part of one weight may have the shape of another whole one; such an array tells nothing
    of_all = split - weights
    for shape in one.shapes:
        told = f"{one.kind} of {shape} among {one.participants} devices, {one.runs} times"
        dims = tuple(size for size in shape.dims if size != 1)
        if _is_scores(dims, config) and _sorted(dims) not in weights:
            faults.append(f"{told}: the scores of the whole batch")
        elif layers > 1 and dims[:1] == (layers,) and _sorted(dims[1:]) in of_all and _sorted(dims) not in split:
            faults.append(f"{told}: weights of all layers at once")
        elif one.kind == "all-reduce" and shape.bytes > _SMALL and _sorted(dims) in split:
            faults.append(f"{told}: a gradient that every device gets in full, though it keeps a part")
        elif one.kind not in ("all-gather", "all-reduce") or _sorted(dims) in split | weights:
            continue
        elif dims[:1] == (layers,) and _sorted(dims[1:]) in weights:
            continue  # updated by copies of the weights, each its part, and put together
        elif _is_activations(dims, config, local):
            faults.append(f"{told}: activations of other devices' tokens")
    return faults


def _faults_between_slices(one: Collective, config: TrainConfig) -> list[str]:
    """Returns the faults of a collective between slices, which sum gradients and gather the vectors of a batch."""
    vectors = config.groups * config.group.examples * config.group.texts_per_example * config.model.embedding_dim
    if one.slices == 1 or one.kind in ("all-reduce", "reduce-scatter") or one.bytes <= max(_SMALL, 4 * vectors):
        return []
    told = f"{one.kind} of {one.bytes / 1e6:,.1f} MB between {one.slices} slices, {one.runs} times"
    return [f"{told}: weights or activations over the network of the data centre"]


def _is_scores(dims: tuple[int, ...], config: TrainConfig) -> bool:
    """Returns whether the last two axes are texts of the whole batch.

    In a batch with as many texts as vectors have numbers the two cannot be told apart, and it is taken for vectors:
    those must be sent.
    """
    if {config.model.embedding_dim, *config.loss.dims} & set(dims[-2:]):
        return False
    batch = config.groups * config.group.examples
    texts = {batch * count for count in range(1, config.group.texts_per_example + 1)}
    if config.group.length in dims and len(dims) > 2:
        return False  # of tokens, in a batch of as many texts
    return batch > 1 and len(dims) >= 2 and set(dims[-2:]) <= texts


def _is_activations(dims: tuple[int, ...], config: TrainConfig, local: int) -> bool:
    """Returns whether there is a vector for more tokens than the device has of its own."""
    length = config.group.length
    if dims == (config.model.encoder.heads, length, length):
        return False  # the gradient of the position biases, before it is summed by distance
    wide = dims[-1:] and dims[-1] >= config.model.encoder.head_dim
    return bool(wide) and len(dims) >= 3 and length in dims[:-1] and math.prod(dims[:-1]) > local


def _split_weights(config: TrainConfig, mesh: Mesh, along: str) -> set[tuple[int, ...]]:
    """Returns the sorted shapes of one layer's weights and of the token table, as they are but for one mesh axis.

    Args:
        config: Configuration that names the model.
        mesh: Mesh of the devices.
        along: Mesh axis that splits the weights that are meant; "" for all weights, as they are on a device.
    """
    shapes = set()
    leaves = jax.tree_util.tree_leaves_with_path(abstract_params(config.model))
    shardings = jax.tree.leaves(param_shardings(config.model, mesh))
    for (path, leaf), sharding in zip(leaves, shardings, strict=True):
        axes = _axes(leaf.shape, sharding)
        whole = [size * (mesh.shape[along] if along and axis == along else 1) for size, axis in axes]
        if not along or math.prod(whole) > math.prod(size for size, _ in axes):
            if "layers" in jax.tree_util.keystr(path):
                whole = whole[1:]
            shapes |= {_sorted(whole), _sorted(_joined(whole))}
    return shapes


def _axes(shape: Sequence[int], sharding: jax.sharding.NamedSharding) -> list[tuple[int, str | None]]:
    """Returns (size on a device, mesh axis) of every axis."""
    local, names = sharding.shard_shape(tuple(shape)), [*sharding.spec, *[None] * len(shape)]
    return list(zip(local, names, strict=False))


def _joined(shape: Sequence[int]) -> list[int]:
    """Returns an attention matrix's shape with heads and head size, the two neighbours besides `embed`, as one axis."""
    if len(shape) != 3:
        return list(shape)
    return [shape[0], shape[1] * shape[2]] if shape[0] >= shape[2] else [shape[0] * shape[1], shape[2]]


def _sorted(dims: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(size for size in dims if size != 1))


def _repeated(costs: Costs, config: TrainConfig, mesh: Mesh) -> float:
    """Returns the operations of all devices as a multiple of those that the result needs."""
    tokens = config.groups * config.group.tokens
    devices = data_shards(mesh) * mesh.shape["tensor"]
    encoder = config.model.encoder
    # scores and their product with the values, forward and twice as much backward
    scores = 12.0 * encoder.layers * encoder.heads * encoder.head_dim * config.group.length
    return costs.all_flops * devices / (tokens * (training_flops_per_token(config.model) + scores))
