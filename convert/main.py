"""`instructor-jax convert SRC DST`, and `instructor-jax convert verify SRC`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from instructor_jax.config import parameter_count
from instructor_jax.folder_writer import write_own, write_sentence_transformers
from instructor_jax.folders import TOKENIZER_FILES

from .sources import Source, read_source

app = App(name="convert", help_format="plaintext")


@app.default
def convert(
    source: Path,
    target: Path,
    *,
    to: Literal["sentence-transformers", "orbax"] = "sentence-transformers",
    tokenizer: Path | None = None,
    dtype: Annotated[Literal["as-is", "float32", "bfloat16"], Parameter()] = "as-is",
) -> None:
    """Move weights between PyTorch, T5X, Flax and Orbax folders.

    The kind of the source is recognised:

      sentence-transformers folders, in the old and the new layout
      T5 folders of transformers: encoder alone or whole model,
        .safetensors or .bin, whole or sharded
      flax_model.msgpack of transformers
      T5X checkpoints, legacy or Orbax
      our own Orbax folders

    Weights keep their dtype, bit for bit. A name that is unknown,
    missing or misshapen is an error.

    Examples:

      instructor-jax convert ./instructor-large ./large-orbax --to orbax
      instructor-jax convert ./large-orbax ./for-pytorch
      instructor-jax convert ./checkpoint_1000 ./gtr --tokenizer ./t5-base
      instructor-jax convert verify ./for-pytorch

    Parameters
    ----------
    source:
        Folder to read.
    target:
        Folder to write; must not exist yet.
    to:
        Layout of the target.
    tokenizer:
        Folder with tokenizer files, where the source has none (T5X).
    dtype:
        Cast the weights; "as-is" keeps every bit.
    """
    read = read_source(source)
    folder = read.folder if tokenizer is None else dataclasses.replace(read.folder, path=tokenizer)
    if not any((folder.path / name).is_file() for name in TOKENIZER_FILES):
        raise ValueError(f"{folder.path} has no tokenizer files; name a folder that has with --tokenizer.")
    write = write_own if to == "orbax" else write_sentence_transformers
    write(target, folder, _cast(read, dtype))
    config = folder.config
    print(
        f"{source} ({read.format}) -> {target} ({to}): {parameter_count(config) / 1e6:.1f} M parameters, "
        f"{config.encoder.layers} layers, vectors of {config.embedding_dim} dimensions"
    )


@app.command
def verify(source: Path) -> int:
    """Compare a folder's computation with PyTorch layer by layer, and print a verdict.

    Exit code 0 when everything agrees, 1 otherwise. Needs the extra torch.

    Examples:

      instructor-jax convert verify ./for-pytorch

    Parameters
    ----------
    source:
        Any folder that `convert` reads.
    """
    from .verify import verify as compare

    read = read_source(source)
    rows = compare(read, source)
    width = max(len(row.name) for row in rows)
    print(f"{source} ({read.format}), float32, greatest absolute difference from PyTorch:")
    for row in rows:
        mark = "ok" if row.passed else "WRONG"
        print(f"  {row.name:<{width}}  {row.difference:.2e}  (allowed {row.allowed:.1e})  {mark}")
    failed = [row.name for row in rows if not row.passed]
    print(f"verdict: {'equal to PyTorch' if not failed else f'differs from PyTorch first at {failed[0]}'}")
    return 1 if failed else 0


def _cast(read: Source, dtype: str) -> dict:
    if dtype == "as-is":
        return read.params
    import jax
    import jax.numpy as jnp

    return jax.tree.map(lambda array: array.astype(jnp.dtype(dtype)), read.params)
