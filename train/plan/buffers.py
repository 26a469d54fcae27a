"""The largest arrays of a compiled program: what they are, and which setting makes each of them smaller.

A program knows shapes, not meanings; but the sizes of a model's axes are so different that a shape nearly always says
what it is. Sizes are those on one device, so the mesh is divided out first.
"""

import dataclasses
import math
import re
from collections.abc import Sequence

import jax
from jax.sharding import Mesh

from instructor_jax.backbones.configuration import stack_depth
from instructor_jax.config import BackboneConfig
from instructor_jax.sharding import axis_shards

from .hlo import HloProgram
from .instruction import Shape


@dataclasses.dataclass(frozen=True)
class Buffer:
    """Arrays of one shape in main memory.

    Attributes:
        shape: Shape of each array, as text.
        bytes: Bytes of each array, padding included.
        count: Number of instructions that make one; they need not be there at the same time.
        what: Meaning of the arrays.
        shrink: Settings that make them smaller.
    """

    shape: str
    bytes: int
    count: int
    what: str
    shrink: str


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of axes on one device.

    Attributes:
        model: Configuration of the whole encoder.
        length: Number of tokens of a packed sequence.
        dim: Size of the vectors.
        tensor: Number of parts into which heads, feed-forward width and vocabulary are split.
        batch: Number of parts into which the groups of a batch are split.
    """

    model: BackboneConfig
    length: int
    dim: int
    tensor: int
    batch: int = 1


def sizes_on(mesh: Mesh, model: BackboneConfig, length: int, dim: int) -> Sizes:
    """Returns the sizes on one device of a mesh."""
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
        return Sizes(model, length, dim, axis_shards("act_heads"), axis_shards("batch"))


def largest_buffers(program: HloProgram, sizes: Sizes, most: int = 8) -> list[Buffer]:
    """Returns the largest arrays that a program makes in main memory, its arguments left out."""
    found: dict[tuple[str, tuple[int, ...]], list[Shape]] = {}
    for _, _, instruction in program.executed():
        if instruction.opcode not in _NO_ARRAYS and not instruction.opcode.endswith("-done"):
            for shape in instruction.shapes:
                if shape.in_memory and shape.dims:
                    found.setdefault((shape.dtype, tuple(sorted(shape.dims))), []).append(shape)
    largest = sorted(found.values(), key=lambda shapes: -max(shape.padded_bytes for shape in shapes))[:most]
    buffers = []
    for shapes in largest:
        shape = max(shapes, key=lambda shape: shape.padded_bytes)
        what, shrink = meaning(shape.dims, sizes)
        buffers.append(Buffer(str(shape), shape.padded_bytes, len(shapes), what, shrink))
    return buffers


def largest_arrays(lowered: str, sizes: Sizes, most: int = 8) -> list[Buffer]:
    """Returns the largest arrays of a program that no compiler would take, as JAX wrote it, before anything is fused.

    Only activations are looked for: arrays with a row's length, of groups that are split over the devices.

    Args:
        lowered: Text of the program, `jax.stages.Lowered.as_text`.
        sizes: Sizes on one device.
        most: Number of arrays to return.
    """
    found: dict[str, tuple[int, int, tuple[int, ...]]] = {}
    for name in re.findall(r"tensor<((?:\d+x)+(?:f32|bf16|f16))>", lowered):
        *axes, dtype = name.split("x")
        dims = tuple(map(int, axes))
        if sizes.length not in dims or len(dims) < 3:
            continue
        split = next((place for place, size in enumerate(dims[:2]) if size > 1 and size % sizes.batch == 0), None)
        size = math.prod(dims) * (4 if dtype == "f32" else 2) // (1 if split is None else sizes.batch)
        count = found[name][1] + 1 if name in found else 1
        found[name] = (size, count, dims)
    largest = sorted(found.items(), key=lambda item: -item[1][0])[:most]
    return [
        Buffer(f"{name.rpartition('x')[2]}[{','.join(map(str, dims))}]", size, count, *meaning(dims, sizes))
        for name, (size, count, dims) in largest
    ]


_NO_ARRAYS = frozenset(
    "parameter tuple get-tuple-element bitcast while conditional call after-all constant".split()  # noqa: SIM905
)


def meaning(dims: Sequence[int], sizes: Sizes) -> tuple[str, str]:
    """Returns what an array of this shape is, and which settings make it smaller."""
    model, split = sizes.model, sizes.tensor
    shape = [size for size in dims if size != 1]
    vocab = {model.vocab, model.vocab // split}
    joined = {model.heads * model.head_dim, model.heads * model.head_dim // split}
    ffn = {model.ffn, model.ffn // split}
    if shape.count(sizes.length) >= 2 and sizes.length != model.embed:
        return (
            "attention scores of all pairs of tokens",
            "gradient_cache_chunks, or rows of whole blocks of 128 tokens (fused attention)",
        )
    if vocab & set(shape):
        return "the token table, its gradient or optimizer state", "mesh.fsdp, mesh.tensor, optimizer.name=adafactor"
    depth = stack_depth(model)
    stacked = shape[:1] == [depth] and len(shape) > 1
    if sizes.length in shape[-3:] and len(shape) > 1 and shape[-1] != depth:
        if stacked:
            return "what each layer keeps for the backward pass", "gradient_cache_chunks, remat=full"
        if ffn & set(shape[-2:]):
            return "feed-forward activations", "gradient_cache_chunks, remat=full, mesh.tensor"
        if joined & set(shape[-2:]) and model.embed not in joined:
            return "queries, keys or values", "gradient_cache_chunks, remat=full, mesh.tensor"
        return "activations of tokens", "gradient_cache_chunks, remat=full"
    if stacked:
        return "weights of all layers, their gradients or optimizer state", "mesh.fsdp, optimizer.name=adafactor"
    if model.embed in shape and (ffn | joined | {model.head_dim}) & set(shape):
        return "one layer's weights, gathered, or their gradient", "mesh.tensor"
    if shape and shape[-1] in (sizes.dim, model.embed):
        return "vectors of texts, or their gradient", "batch.groups, batch.examples, mesh.data"
    return "rows of scores, or others of the loss", "loss.rows_at_a_time, batch.groups"
