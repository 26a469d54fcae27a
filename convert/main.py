"""`instructor-jax convert SRC DST`, and `instructor-jax convert verify SRC`."""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import ml_dtypes
import numpy as np
from cyclopts import App, Parameter

from instructor_jax.config import parameter_count
from instructor_jax.io.folder_writer import check_target, write_own, write_sentence_transformers
from instructor_jax.io.hub import resolve_model
from instructor_jax.io.model_folder import TOKENIZER_FILES, ModelFolder
from instructor_jax.io.ownership import same_or_inside
from instructor_jax.io.printable import few, printable
from instructor_jax.io.remote.folders import require_free, written
from instructor_jax.io.remote.stores import is_store, require_served

from .sources import Source, read_source

app: App = App(name="convert", help_format="plaintext")

Write = Callable[[Path, ModelFolder, dict[str, Any]], None]
Layout = Literal["sentence-transformers", "pytorch", "orbax", "stablehlo", "onnx", "openvino"]
_LAYOUTS: dict[str, Write] = {
    "sentence-transformers": write_sentence_transformers,
    "pytorch": write_sentence_transformers,
    "orbax": write_own,
}


@app.default
def convert(
    source: str,
    target: str,
    *,
    to: Layout = "sentence-transformers",
    tokenizer: Path | None = None,
    dtype: Annotated[Literal["as-is", "float32", "bfloat16", "float16"], Parameter()] = "as-is",
) -> None:
    """Move weights between PyTorch, T5X, Flax and Orbax, or to other runtimes.

    The kind of the source is recognised:

      sentence-transformers folders, in the old and the new layout
      T5 folders of transformers: encoder alone or whole model,
        .safetensors or .bin, whole or sharded
      an adapter (LoRA) beside such weights is merged
      flax_model.msgpack of transformers
      T5X checkpoints, legacy (also in one file) or Orbax
      our own Orbax folders
      the folder of a training run, or one of its checkpoints
      a trainer's file of PyTorch weights alone

    Weights keep their dtype, bit for bit. A name that is unknown,
    missing or misshapen is an error.

    For example:

      instructor-jax convert ./instructor-large ./large-orbax --to orbax
      instructor-jax convert ./large-orbax ./for-pytorch --to pytorch
      instructor-jax convert hkunlp/instructor-base ./half --dtype float16
      instructor-jax convert ./checkpoint_1000 ./gtr --tokenizer ./t5-base
      instructor-jax convert default ./graph --to onnx
      instructor-jax convert verify ./for-pytorch

    Parameters
    ----------
    source:
        Folder, also s3://bucket/model, file, name on the hub, or "default".
    target:
        Folder to write, also of a store; must not exist yet.
    to:
        Layout of the target. PyTorch's is sentence-transformers;
        "pytorch" is another name for it. The last three are programs
        for other runtimes, each with the extra of its name.
    tokenizer:
        Folder with tokenizer files, where the source has none (T5X).
    dtype:
        Cast the weights; float16 refuses those above 65504, its largest.
    """
    require_served("target", target)
    place = _resolved(source)
    if is_store(target):
        require_free(target)
    else:
        _check_places(place, Path(target))
    read = read_source(place)
    folder = read.folder if tokenizer is None else dataclasses.replace(read.folder, path=tokenizer)
    if not any((folder.path / name).is_file() for name in TOKENIZER_FILES):
        raise ValueError(f"{folder.path} has no tokenizer files; name a folder that has with --tokenizer.")
    _warn_of_non_finite(read.params)
    with written(target) as here:
        _write(to, here, dataclasses.replace(read, folder=folder), dtype)
    config = folder.config
    layout = "PyTorch, sentence-transformers" if _LAYOUTS.get(to) is write_sentence_transformers else to
    print(
        printable(
            f"{source} ({read.format}) -> {target} ({layout}): {parameter_count(config) / 1e6:.1f} M parameters, "
        )
        + f"{config.encoder.layers} layers, vectors of {config.embedding_dim} dimensions"
    )


def _write(to: Layout, target: Path, read: Source, dtype: str) -> None:
    """Writes the target in its layout; what one alone needs is imported for it alone."""
    narrow = {"onnx": (), "openvino": ("float16",)}.get(to, (dtype,))
    if dtype not in ("as-is", "float32", *narrow):
        raise ValueError(
            f"--dtype {dtype} with --to {to}: the graph is float32, of which its runtimes make int8 or half precision "
            f"themselves; leave --dtype out{' or say float16' * ('float16' in narrow)}."
        )
    params = read.params if dtype == "as-is" else _cast(read.params, dtype)
    if to == "onnx":
        from .onnx_file import write_onnx

        return write_onnx(target, read.folder, params)
    if to == "openvino":
        from .openvino_file import write_openvino

        return write_openvino(target, read.folder, params, half=dtype == "float16")
    if to == "stablehlo":
        from .stablehlo_file import write_stablehlo

        return write_stablehlo(target, read.folder, params)
    return _LAYOUTS[to](target, read.folder, params)


@app.command
def verify(source: str) -> int:
    """Compare a folder's computation with PyTorch layer by layer, and print a verdict.

    Exit code 0 when everything agrees, 1 otherwise. Needs the extra torch.

    For example:

      instructor-jax convert verify ./for-pytorch

    Parameters
    ----------
    source:
        Anything that `convert` reads: a folder, a file, a name on
        the Hugging Face hub, or "default".
    """
    from .verify import verify as compare

    read = read_source(_resolved(source))
    rows = compare(read)
    width = max(len(row.name) for row in rows)
    print(printable(f"{source} ({read.format}), float32, greatest absolute difference from PyTorch:"))
    for row in rows:
        mark = "ok" if row.passed else "WRONG"
        print(f"  {row.name:<{width}}  {row.difference:.2e}  (allowed {row.allowed:.1e})  {mark}")
    failed = [row.name for row in rows if not row.passed]
    print(f"verdict: {'equal to PyTorch' if not failed else f'differs from PyTorch first at {failed[0]}'}")
    return 1 if failed else 0


def _resolved(source: str) -> Path:
    """The folder or file that a source names; names on the hub are fetched."""
    path = Path(source).expanduser() if source.startswith("~/") else Path(source)
    return path if source and path.is_file() else resolve_model(source)


def _check_places(source: Path, target: Path) -> None:
    """Refuses a target that could not be written, or would change the source, before anything is read."""
    if target.is_symlink():
        raise ValueError(f"{target} is a link; name the folder itself.")
    check_target(target)
    above = next(parent for parent in target.absolute().parents if parent.exists())
    if not above.is_dir():
        raise ValueError(f"{target} cannot be written: {above} is not a folder.")
    if source.is_dir() and same_or_inside(above, source):
        raise ValueError(f"{target} lies inside the source {source}, which would be changed; name another target.")


def _warn_of_non_finite(params: Mapping[str, Any]) -> None:
    """Tells on stderr which weights hold NaN or infinity: they are converted bit for bit, but give no vectors."""
    if names := [name for name, array in _named(params) if not _is_finite(array)]:
        line = f"warning: {few(names)} hold NaN or infinity, which is kept; the model's vectors will not be numbers"
        print(f"instructor-jax: {line}", file=sys.stderr)


def _cast(params: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """The parameters in another dtype.

    Raises:
        ValueError: a finite weight would become infinite.
    """
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    cast = _as_dtype(params, kind)
    lost = [
        name
        for (name, before), (_, after) in zip(_named(params), _named(cast), strict=True)
        if not _is_finite(after) and _count_finite(before) > _count_finite(after)
    ]
    if lost:
        greatest = float(ml_dtypes.finfo(kind).max)
        raise ValueError(
            f"{dtype} cannot hold weights of {few(lost)}: its greatest number is {greatest:g}. Use --dtype bfloat16 or "
            "float32."
        )
    return cast


def _as_dtype(params: Mapping[str, Any], kind: np.dtype) -> dict[str, Any]:
    with np.errstate(over="ignore"):
        return {
            key: _as_dtype(value, kind) if isinstance(value, Mapping) else np.asarray(value).astype(kind)
            for key, value in params.items()
        }


def _named(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Every array by its dotted path; of stacked layers each layer by its number, so that messages name it."""
    for key, value in params.items():
        if isinstance(value, Mapping):
            yield from _named(value, f"{prefix}{key}.")
        elif ".layers." in f".{prefix}":
            yield from ((f"{prefix}{key}[{layer}]", part) for layer, part in enumerate(np.asarray(value)))
        else:
            yield f"{prefix}{key}", np.asarray(value)


def _is_finite(array: np.ndarray) -> bool:
    return bool(np.isfinite(array).all())


def _count_finite(array: np.ndarray) -> int:
    return int(np.isfinite(array).sum())
