"""The table between a family's PyTorch names and our parameters, and what else is known of the names of its weights.

PyTorch keeps one matrix [out, in] per layer; we keep all layers stacked, as [layers, in, ...out]. Every entry of a
table says how a matrix of one layer is turned; the way back is its exact inverse, so conversion there and back is the
identity bit for bit, in whatever dtype the weights came.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Change = Callable[[np.ndarray], np.ndarray]
Shapes = Mapping[str, tuple[int, ...]]
PROJECTION = "projection.weight"  # the Dense module's linear.weight, under a name of its own among the encoder's


def dense_name(index: int) -> str:
    """Returns the name of a dense layer before the projection, counted from 0, among a model's parameters."""
    return f"layer_{index}"


def dense_weight(index: int, part: str) -> str:
    """Returns what we call the `linear.weight` or `linear.bias` of such a layer among PyTorch's names."""
    return f"dense.{index}.{part}"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One parameter of a model.

    Attributes:
        path: Where it lies in our tree of parameters.
        name: Its PyTorch name; `{layer}` marks a parameter that every layer has.
        torch_shape: Its shape in PyTorch, of one layer.
        shape: Its shape with us, of one layer.
        from_torch: Turns the one into the other.
        to_torch: Turns it back.
        first: The first layer that has one, of a parameter of layers.
        every: How many layers on the next one follows.
    """

    path: tuple[str, ...]
    name: str
    torch_shape: tuple[int, ...]
    shape: tuple[int, ...]
    from_torch: Change
    to_torch: Change
    first: int = 0
    every: int = 1

    @property
    def per_layer(self) -> bool:
        """Whether layers have one each."""
        return "{layer}" in self.name

    def count(self, layers: int) -> int:
        """Returns how many there are in a model of so many layers; with us they are stacked in one array."""
        return len(range(self.first, layers, self.every)) if self.per_layer else 1

    def stacked_shape(self, layers: int) -> tuple[int, ...]:
        """Returns our shape of all of them."""
        return (self.count(layers), *self.shape) if self.per_layer else self.shape

    def torch_name(self, index: int = 0) -> str:
        """Returns the PyTorch name of one of them, counted from 0."""
        return self.name.format(layer=self.first + index * self.every)


def unchanged(array: np.ndarray) -> np.ndarray:
    """Returns the array itself."""
    return array


def same(path: str, name: str, *shape: int) -> Entry:
    """Makes the entry of a parameter that is the same on both sides, such as an embedding or a norm's scale."""
    return Entry(tuple(path.split(".")), name, shape, shape, unchanged, unchanged)


def linear(path: str, name: str, *shape: int, split: tuple[int, ...] | None = None) -> Entry:
    """Makes the entry of a matrix that is [out, in] in PyTorch and [in, out] with us.

    Args:
        path: Where it lies in our tree, with dots.
        name: Its PyTorch name.
        shape: [out, in].
        split: Our full shape, where the in or out axis is split into heads.
    """
    ours = split or shape[::-1]
    return Entry(
        tuple(path.split(".")),
        name,
        shape,
        ours,
        lambda array: array.T.reshape(ours),
        lambda array: array.reshape(shape[::-1]).T,
    )


def reshaped(path: str, name: str, *ours: int) -> Entry:
    """Makes the entry of a vector that has several axes with us, such as a bias of [heads, head_dim].

    Args:
        path: Where it lies in our tree, with dots.
        name: Its PyTorch name.
        ours: Our shape.
    """
    size = math.prod(ours)
    return Entry(
        tuple(path.split(".")),
        name,
        (size,),
        ours,
        lambda array: array.reshape(ours),
        lambda array: array.reshape(size),
    )


def config_needed(shapes: Shapes) -> Any:
    """Refuses to guess a configuration from shapes, for families whose shapes do not show it.

    Raises:
        ValueError: Always.
    """
    raise ValueError("not all of its sizes are in the weights' shapes; put the model's config.json beside them")


class StoredName(NamedTuple):
    """How an array of another library becomes PyTorch's.

    Attributes:
        torch_name: Its PyTorch name, with a place for the layer where it holds all of them.
        ranks: The numbers of axes that it may have.
        change: Turns an array of one layer.
        scanned: Whether it holds all layers, along axis 1.
    """

    torch_name: str
    ranks: tuple[int, ...]
    change: Change
    scanned: bool = False


@dataclasses.dataclass(frozen=True)
class WeightNames:
    """The names that a family's weights have in files.

    Attributes:
        table: Gives the entries of an encoder with a configuration, in a fixed order. Their paths begin with `encoder`.
        infer_config: Gives the configuration that weights of these PyTorch names and shapes belong to; raises a
            `ValueError` where they do not tell.
        embedding: PyTorch's name of the token table.
        embedding_copies: Other names under which files hold the same table, in its place or beside it.
        left_out: PyTorch names of what is no part of the encoder, such as a decoder or a head, and is not read.
        recognised: PyTorch names by which a model of the family is known, whole or with the parts that are left out.
        whole_prefix: What stands before the encoder's names in a whole model, beside what is left out; "" for nothing.
        stack: PyTorch names of the encoder saved by itself, where they lack the prefix `stack_prefix`.
        stack_prefix: What those names lack.
        adapted: PyTorch names of the linear layers that adapters may change, without `.weight`; the group `layer` is
            the number of the layer.
        layer_list: The name of the list that the layers are in, by which adapters choose some of them.
        flax: transformers' Flax names of the encoder's weights; None where Flax never had the family.
        flax_left_out: transformers' Flax names of what is not read.
        t5x: Gives how an array of a T5X checkpoint is read, None for an unknown name; None where T5X has no such model.
    """

    table: Callable[[Any], list[Entry]]
    infer_config: Callable[[Shapes], Any]
    embedding: str
    embedding_copies: tuple[str, ...]
    left_out: re.Pattern[str]
    recognised: re.Pattern[str]
    stack: re.Pattern[str] | None
    stack_prefix: str
    adapted: re.Pattern[str]
    layer_list: str
    whole_prefix: str = ""
    flax: re.Pattern[str] | None = None
    flax_left_out: re.Pattern[str] | None = None
    t5x: Callable[[str], StoredName | None] | None = None
