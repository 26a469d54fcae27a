"""The options of `encode`: what the vectors are like and where they go; which of all options decide the bytes."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from instructor_jax.commands.table_options import InputOptions
from instructor_jax.model_options import ModelOptions, Overflow, Precision, model_name
from instructor_jax.option_types import WholeNumber


@Parameter(name="*", group=Group("Output", sort_key=0))
@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Where the vectors go.

    Attributes:
        output: .npy (ids go beside it), .jsonl or .parquet; with --parts a folder.
        part_size: Rows of a part, the unit that a restart goes on from.
        overwrite: Replace an output that exists, also one that this command did not make.
        parts: Leave the parts as they are, a folder of Parquet files with a manifest: for more rows than a file holds.
        shard: Make a share of the parts: INDEX/COUNT, from 0, or auto (arrays of Slurm, indexed jobs of Kubernetes,
            Cloud Run, mpirun, TPU slices). The same command without it joins them.
    """

    output: Annotated[Path, Parameter(name=["--output", "-o"])]
    part_size: WholeNumber = 8192
    overwrite: Annotated[bool, Parameter(negative="")] = False
    parts: Annotated[bool, Parameter(negative="")] = False
    shard: str | None = None


@Parameter(name="*", group=Group("Vectors", sort_key=3))
@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorOptions:
    """What the vectors are like.

    Attributes:
        batch_size: Most texts in one call of the device; by default the number of tokens decides.
        precision: Type of the vectors' numbers (binary: a bit for each); int8 and uint8 need the ranges stored with the
            model.
        truncate_dim: Keep only so many leading dimensions, normalised again.
        on_overflow: What to do with a text longer than the model's limit; the summary counts such texts.
    """

    batch_size: WholeNumber | None = None
    precision: Precision = "float32"
    truncate_dim: WholeNumber | None = None
    on_overflow: Overflow = "truncate"


def deciding_options(
    instruction: str | None,
    part_size: int,
    reading: InputOptions,
    title_column: str | None,
    model: ModelOptions,
    vectors: VectorOptions,
) -> dict[str, Any]:
    """Returns everything but the rows and the files' names that decides the bytes of the output, as JSON values."""
    chosen = {
        "model": model_name(model),
        "revision": model.revision,
        "dtype": model.dtype,
        "max_length": model.max_length,
    }
    how_read = dataclasses.asdict(reading)
    del how_read["title"]  # whether titles are joined is told by which: null, as in summaries before there were titles
    return {
        **chosen,
        "instruction": instruction,
        "part_size": part_size,
        **dataclasses.asdict(vectors),
        **how_read,
        "title_column": title_column,
    }
