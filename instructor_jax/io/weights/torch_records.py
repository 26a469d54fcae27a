"""What a PyTorch state dict describes: tensors as strided views of storages, held as plain records.

The records are built from the arguments of the few functions that `torch.save` writes calls to. Each stands here as a
check of its arguments, not as the function itself, and a tensor that leaves its storage never becomes a record.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from instructor_jax.io.bounds import AXES

_STORAGE_DTYPES = {
    "torch.FloatStorage": np.dtype(np.float32),
    "torch.HalfStorage": np.dtype(np.float16),
    "torch.BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "torch.DoubleStorage": np.dtype(np.float64),
    "torch.LongStorage": np.dtype(np.int64),
    "torch.IntStorage": np.dtype(np.int32),
    "torch.ShortStorage": np.dtype(np.int16),
    "torch.CharStorage": np.dtype(np.int8),
    "torch.ByteStorage": np.dtype(np.uint8),
    "torch.BoolStorage": np.dtype(np.bool_),
}
_DTYPES = {
    "torch.bfloat16": np.dtype(ml_dtypes.bfloat16),
    "torch.bool": np.dtype(np.bool_),
    **{f"torch.float{bits}": np.dtype(f"float{bits}") for bits in (16, 32, 64)},
    **{f"torch.{kind}{bits}": np.dtype(f"{kind}{bits}") for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
}
_UNTYPED = "torch.storage.UntypedStorage"
_MAX_COUNT = 2**62  # more elements or bytes than any file has; keeps the products below small


@dataclasses.dataclass(frozen=True)
class GlobalName:
    """A `module.name` that the pickle mentions. It is never resolved to an object."""

    name: str


@dataclasses.dataclass(frozen=True)
class Storage:
    """The `count` elements of the archive's record `key`; bytes where `dtype` is None, and the tensor states it."""

    key: str
    count: int
    dtype: np.dtype | None


@dataclasses.dataclass(frozen=True)
class TensorRecord:
    """A strided view of a storage. `offset` and `stride` count elements; all of it lies inside the storage."""

    storage: Storage
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def storage_of(identity: Any) -> Storage:
    """Reads a persistent id of PyTorch: ("storage", storage class, record, device, number of elements).

    Raises:
        ValueError: it has another form.
    """
    match identity:
        case ("storage", GlobalName(name=name), str(key), str(), int(count)) if 0 <= count < _MAX_COUNT:
            if name == _UNTYPED:
                return Storage(key, int(count), None)
            if name in _STORAGE_DTYPES:
                return Storage(key, int(count), _STORAGE_DTYPES[name])
    raise ValueError("the pickle refers to outside data in a form that PyTorch does not write")


def _tensor(arguments: tuple[Any, ...]) -> TensorRecord:
    match arguments:
        case (Storage() as storage, offset, tuple(shape), tuple(stride), bool(), dict(), *_):
            if storage.dtype is not None:
                return _checked(TensorRecord(storage, storage.dtype, *_numbers(offset, shape, stride)))
    raise ValueError("the pickle rebuilds a tensor from arguments that PyTorch does not write")


def _tensor_with_dtype(arguments: tuple[Any, ...]) -> TensorRecord:
    match arguments:
        case (
            Storage(dtype=None) as storage,
            offset,
            tuple(shape),
            tuple(stride),
            bool(),
            dict(),
            GlobalName() as of,
            *_,
        ):
            if of.name in _DTYPES:
                return _checked(TensorRecord(storage, _DTYPES[of.name], *_numbers(offset, shape, stride)))
    raise ValueError("the pickle rebuilds a tensor from arguments that PyTorch does not write")


def _parameter(arguments: tuple[Any, ...]) -> TensorRecord:
    match arguments:
        case (TensorRecord() as tensor, bool(), dict()):
            return tensor
    raise ValueError("the pickle rebuilds a parameter from arguments that PyTorch does not write")


def _ordered_dict(arguments: tuple[Any, ...]) -> dict[str, Any]:
    if arguments:
        raise ValueError("the pickle builds an OrderedDict from arguments; PyTorch fills it afterwards")
    return {}


REBUILDERS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_with_dtype,  # dtypes without a storage class, since PyTorch 2.1
    "torch._utils._rebuild_parameter": _parameter,
}
KNOWN_NAMES = frozenset((*REBUILDERS, *_STORAGE_DTYPES, *_DTYPES, _UNTYPED))


def _numbers(offset: Any, shape: Any, stride: Any) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    if len(shape) != len(stride) or len(shape) > AXES:  # before looking at them: a memo can repeat a long tuple
        raise ValueError(f"a tensor has {len(shape)} sizes and {len(stride)} strides; at most {AXES} are read")
    if any(type(number) is not int or not 0 <= number < _MAX_COUNT for number in (offset, *shape, *stride)):
        raise ValueError("a tensor has a size, stride or offset that is negative, too large or no integer")
    return offset, shape, stride


def _checked(tensor: TensorRecord) -> TensorRecord:
    """The tensor, if it stays inside its storage and has no more elements than it.

    A view that repeats elements (`expand`) could claim terabytes out of one number; weights never need one.
    """
    held = tensor.storage.count
    if tensor.storage.dtype is None:
        held //= tensor.dtype.itemsize
    elements = math.prod(tensor.shape)
    last = tensor.offset + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride, strict=True))
    if elements and (last >= held or elements > held):
        raise ValueError(
            f"a tensor of shape {tensor.shape} and strides {tensor.stride} from element {tensor.offset} does not fit "
            f"into its storage of {held} elements"
        )
    return tensor
