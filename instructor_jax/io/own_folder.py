"""Our own model folder: its settings in instructor_jax.json, its weights as an Orbax checkpoint; and calibrated ranges.

The settings are the fields of `ModelConfig` and of the family's configuration, which check types and ranges themselves.
"""

import dataclasses
from pathlib import Path
from typing import Any, get_args

import numpy as np

from instructor_jax.backbones.registry import PLACES, backbone_named, default_backbone
from instructor_jax.config import DenseActivation, DenseShape, ModelConfig
from instructor_jax.io.bounds import SIZE
from instructor_jax.io.json_files import Fields, read_json, shown_value

OWN_CONFIG = "instructor_jax.json"
OWN_PARAMS = "params"
FORMAT_VERSION = 1
RANGES = "int8_ranges.json"
_DENSE = 16  # sentence-transformers' lists of modules are as short
_SIZES = ("vocab", "embed", "layers", "heads", "head_dim", "ffn")


def read_own_config(path: Path) -> ModelConfig:
    """Reads the instructor_jax.json of a folder.

    Raises:
        ValueError: another format, a value of a wrong type or range, a missing size, or an unknown key.
        OSError: it cannot be read.
    """
    file = path / OWN_CONFIG
    fields = Fields(read_json(file), file)
    version = fields.any("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool | float):
        raise ValueError(
            f"{path} has format version {shown_value(version)}; this library reads {FORMAT_VERSION}. Upgrade it."
        )
    fields.ignore(["written_by"])
    model = Fields(fields.any("model"), f"{file}, model")
    encoder = Fields(model.any("encoder"), f"{file}, encoder")
    lacking = [name for name in _SIZES if name not in encoder]
    if lacking:
        raise ValueError(f"{encoder.where} lacks {', '.join(lacking)}; sizes are not guessed.")
    kind = _family(encoder)
    try:
        config = ModelConfig(encoder=kind(**_values(encoder, kind)), **_values(model, ModelConfig))
    except ValueError as error:
        raise ValueError(f"{file} does not describe a model: {str(error).rstrip('.')}.") from error
    fields.refuse_unread()
    return config


def _family(encoder: Fields) -> type[Any]:
    """Returns the class of the encoder's configuration; folders may leave out the model type of the default family."""
    if "model_type" not in encoder:
        return default_backbone().config
    backbone = backbone_named(encoder.text("model_type"))
    if backbone is None:
        raise ValueError(
            f"{encoder.where} has model_type={shown_value(encoder.any('model_type'))}; it must be one of "
            f"{', '.join(PLACES)}."
        )
    return backbone.config


def _values(fields: Fields, kind: type) -> dict[str, Any]:
    """Returns the values of a configuration's own fields that are there, each of the kind of its default."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.name == "encoder" or field.name not in fields:
            continue
        if field.name == "dense":
            values[field.name] = _dense_layers(fields)
        elif isinstance(field.default, bool):
            values[field.name] = fields.flag(field.name)
        elif isinstance(field.default, float):
            values[field.name] = fields.number(field.name, least=0.0, most=float(SIZE))  # the class knows the range
        elif isinstance(field.default, str):
            values[field.name] = _one_of(fields, field.name, get_args(field.type))
        else:  # sizes, and that of a projection, whose default is None
            values[field.name] = fields.whole(field.name)
    fields.refuse_unread(", ".join(field.name for field in dataclasses.fields(kind)))
    return values


def _dense_layers(fields: Fields) -> tuple[DenseShape, ...]:
    """Returns the dense layers before the projection; folders from before there were any say nothing."""
    listed = fields.any("dense", [])
    if not isinstance(listed, list) or len(listed) > _DENSE:
        raise ValueError(f"{fields.where} has dense={shown_value(listed)}; it must be a list of at most {_DENSE}.")
    layers = []
    for number, item in enumerate(listed):
        layer = Fields(item, f"{fields.where}: dense[{number}]")
        activation: Any = _one_of(layer, "activation", get_args(DenseActivation))
        layers.append(DenseShape(layer.whole("size"), layer.flag("bias"), activation))
        layer.refuse_unread()
    return tuple(layers)


def _one_of(fields: Fields, key: str, choices: tuple[str, ...]) -> str:
    value = fields.text(key)
    if choices and value not in choices:
        raise ValueError(f"{fields.where} has {key}={shown_value(value)}; it must be one of {', '.join(choices)}.")
    return value


def read_ranges(path: Path) -> dict[int, np.ndarray]:
    """Reads the ranges of int8 vectors that a folder may have, [2, dim] by number of dimensions.

    Raises:
        ValueError: the file holds something else.
    """
    file = path / RANGES
    stored = read_json(file) if file.is_file() else {}
    ranges = {}
    for dim, value in stored.items():
        if not (dim.isascii() and dim.isdecimal() and len(dim) <= 8 and 1 <= int(dim) <= SIZE):
            raise ValueError(f"{file} has the key {dim[:40]!r}, which is no number of dimensions.")
        ranges[int(dim)] = _range(value, int(dim), file)
    return ranges


def _range(value: Any, dim: int, file: Path) -> np.ndarray:
    """Returns the least and the greatest value of each dimension, [2, dim]."""
    rows = value if isinstance(value, list) else []
    if len(rows) != 2 or any(not isinstance(row, list) or len(row) != dim for row in rows):
        raise ValueError(f"{file} must give two lists of {dim} numbers for {dim} dimensions: the least, the greatest.")
    most = float(np.finfo(np.float32).max)
    for row in rows:
        if any(isinstance(item, bool) or not isinstance(item, int | float) or abs(item) > most for item in row):
            raise ValueError(f"{file} holds something other than numbers of float32 for {dim} dimensions.")
    return np.asarray(rows, np.float32)


def import_orbax() -> Any:
    """The library that keeps our own folders' weights; an `ImportError` that names the extra where it is absent."""
    try:
        import orbax.checkpoint as ocp
    except ImportError as error:
        raise ImportError("folders with Orbax weights need Orbax: pip install 'instructor-jax[train]'") from error
    return ocp


def read_own_params(folder: Path) -> dict[str, Any]:
    """Reads the weights of our own folder as nested parameters, in their dtype on disk.

    Raises:
        ValueError: the checkpoint cannot be read.
        ImportError: Orbax is not installed.
    """
    ocp = import_orbax()
    path = (folder / OWN_PARAMS).resolve()
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            restored = checkpointer.restore(path)
    except Exception as error:  # Orbax and TensorStore raise many kinds
        raise ValueError(f"{path} is not a readable Orbax checkpoint: {error}.") from error
    return _as_numpy(restored)


def _as_numpy(tree: Any) -> Any:
    return {key: _as_numpy(value) for key, value in tree.items()} if isinstance(tree, dict) else np.asarray(tree)
