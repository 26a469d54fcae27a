"""Two layouts of the same encoder parameters: stacked for training and accelerators, layers apart for CPUs.

The conversions know two names in an encoder's parameters: `layers`, its layers or steps of several, and in each of them
`mlp`, a `nn.layers.FeedForward`, whose width can be cut.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the layers' parameters lie in memory.

    Attributes:
        stacked: one array for all layers, run by a scan: one layer is compiled, and shardings name the axis. Not
            stacked, every layer has arrays of its own and none is copied out of the stack, which on CPUs costs a single
            query as much as its computation.
        mlp_slices: into how many parts the feed-forward width is cut (not stacked only).
        unroll: whether the scan over stacked layers is written out (stacked only): what the backward pass needs of each
            layer is then not copied into and out of one array for all, which takes a sixth of a training step on CPUs.
    """

    stacked: bool = True
    mlp_slices: int = 1
    unroll: bool = False


STACKED = Layout()
UNROLLED = Layout(unroll=True)


def cpu_layout(width: int) -> Layout:
    """Returns the layout for a feed-forward width: layers apart, and no rows of weights a multiple of 4 KiB apart.

    Such rows compete for the same few cache lines: on an AVX-512 CPU the product [2048, 768] x [768, 3072] ran at 66
    GFLOP/s a core whole and at 111 in four slices.
    """
    divisor = 768 if width % 768 == 0 else 512
    slices = width // divisor if width % 1024 == 0 and width <= 16384 else 1
    return Layout(stacked=False, mlp_slices=slices)


def unstacked_params(params: dict[str, Any], layout: Layout) -> dict[str, Any]:
    """An encoder's stacked parameters in another layout: views where possible, each layer apart."""
    stacked = params["layers"]
    layers: dict[int, Any] = {}
    for index in range(jax.tree.leaves(stacked)[0].shape[0]):
        layer = jax.tree.map(lambda array, index=index: array[index], stacked)
        layers[index] = _each_mlp(layer, lambda mlp: {"parts": _sliced(mlp, layout.mlp_slices)}, layout)
    return {**params, "layers": layers}


def _each_mlp(layer: dict[str, Any], change: Callable[[Any], Any], layout: Layout) -> dict[str, Any]:
    """A layer, or a step of several, with its feed-forward layers changed where the layout cuts them."""
    if layout.mlp_slices == 1:
        return layer
    return {
        name: change(part) if name == "mlp" else _each_mlp(part, change, layout) if isinstance(part, dict) else part
        for name, part in layer.items()
    }


def _sliced(mlp: dict[str, Any], slices: int) -> dict[int, Any]:
    def piece(name: str, weight: Any, index: int) -> Any:  # by indexing alone: weights may still lie in their files
        width = weight.shape[0 if name == "wo" else -1] // slices
        part = slice(index * width, (index + 1) * width)
        return weight[part] if name == "wo" else weight[..., part]

    return {index: {name: piece(name, weight, index) for name, weight in mlp.items()} for index in range(slices)}


def stacked_params(params: dict[str, Any], layout: Layout) -> dict[str, Any]:
    """The inverse of `unstacked_params`, as NumPy arrays."""
    layers = [
        _each_mlp(params["layers"][index], lambda mlp: _joined(mlp["parts"], layout.mlp_slices), layout)
        for index in range(len(params["layers"]))
    ]
    return {**params, "layers": jax.tree.map(lambda *arrays: np.stack([np.asarray(a) for a in arrays]), *layers)}


def _joined(parts: dict[int, Any], slices: int) -> dict[str, Any]:
    """The inverse of `_sliced`."""
    return {
        name: np.concatenate([np.asarray(parts[part][name]) for part in range(slices)], axis=0 if name == "wo" else -1)
        for name in parts[0]
    }
