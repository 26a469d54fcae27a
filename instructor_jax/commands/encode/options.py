"""The options of `encode`: what the vectors are like, where they go, and who makes them."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter

from instructor_jax.io.remote.stores import place_named
from instructor_jax.model_options import Overflow, Precision
from instructor_jax.option_types import WholeNumber


def _place(kind: Any, tokens: Sequence[Any]) -> Path | str:
    """Returns what `--output` names: a path of this machine or the URL of a store."""
    return place_named(tokens[0].value)


_MOST = 1 << 16  # workers, or CPUs of one


@Parameter(name="*", group=Group("Output", sort_key=0))
@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Where the vectors go.

    Attributes:
        output: .npy (ids go beside it), .jsonl, .parquet or .lance, of this machine or of a store (s3://bucket/x.npy);
            without a suffix a folder of parts.
        part_size: Rows of a part, the unit that a restart goes on from.
        overwrite: Replace an output that exists, also one that this command did not make.
        parts: Leave the parts as they are, a folder of Parquet files with a manifest, for more rows than a file holds;
            it is what an output without a suffix means.
        shard: Make a share of the parts: INDEX/COUNT, from 0, or auto (arrays of Slurm, indexed jobs of Kubernetes,
            Cloud Run, mpirun, TPU slices). The same command without it joins them.
    """

    output: Annotated[Path | str, Parameter(name=["--output", "-o"], converter=_place)]
    part_size: WholeNumber = 8192
    overwrite: Annotated[bool, Parameter(negative="")] = False
    parts: Annotated[bool, Parameter(negative="")] = False
    shard: str | None = None

    @property
    def as_folder(self) -> bool:
        """Whether the output is a folder of Parquet files."""
        name = str(self.output)
        return self.parts or name.endswith("/") or not PurePosixPath(name).suffix


_ENGINE = Group("Engine", sort_key=4)


@Parameter(name="*", group=Group("Output", sort_key=0))
@dataclasses.dataclass(frozen=True, kw_only=True)
class EngineOptions(OutputOptions):
    """Where the vectors go, and who makes the parts.

    Attributes:
        output: .npy (ids go beside it), .jsonl, .parquet or .lance, of this machine or of a store (s3://bucket/x.npy);
            without a suffix a folder of parts.
        part_size: Rows of a part, the unit that a restart goes on from.
        overwrite: Replace an output that exists, also one that this command did not make.
        parts: Leave the parts as they are, a folder of Parquet files with a manifest, for more rows than a file holds;
            it is what an output without a suffix means.
        shard: Make a share of the parts: INDEX/COUNT, from 0, or auto (arrays of Slurm, indexed jobs of Kubernetes,
            Cloud Run, mpirun, TPU slices). The same command without it joins them.
        engine: "local" makes the parts in this process, "ray" by workers of a Ray cluster that see the same files.
        address: Address of the Ray cluster, or auto for the one that this machine is part of; by default one is
            started here.
        workers: Workers of the engine; by default as many as the cluster holds.
        cpus_per_worker: CPUs that a worker is given, and kept to.
        gpus_per_worker: GPUs of a worker; two workers may share one by 0.5.
        tpus_per_worker: TPU chips of a worker; usually all of a host.
    """

    engine: Annotated[Literal["local", "ray"], Parameter(group=_ENGINE)] = "local"
    address: Annotated[str | None, Parameter(group=_ENGINE)] = None
    workers: Annotated[WholeNumber | None, Parameter(group=_ENGINE)] = None
    cpus_per_worker: Annotated[float, Parameter(group=_ENGINE)] = 1.0
    gpus_per_worker: Annotated[float, Parameter(group=_ENGINE)] = 0.0
    tpus_per_worker: Annotated[WholeNumber, Parameter(group=_ENGINE)] = 0

    def check(self) -> None:
        """Refuses options of an engine that cannot be meant.

        Raises:
            ValueError: a number is out of range, or an option belongs to another engine.
        """
        for name, least in (("cpus_per_worker", 0.01), ("gpus_per_worker", 0), ("tpus_per_worker", 0), ("workers", 1)):
            value = getattr(self, name)
            if value is not None and not least <= value <= _MOST:
                option = f"--{name.replace('_', '-')}"
                raise ValueError(f"{option} {value} must be at least {least} and at most {_MOST:,}")
        if self.engine == "ray":
            if self.shard is not None:
                raise ValueError("--engine ray shares the parts out itself; leave --shard away")
        elif (self.address, self.workers, self.gpus_per_worker, self.tpus_per_worker) != (None, None, 0, 0):
            raise ValueError(
                "--address, --workers, --gpus-per-worker and --tpus-per-worker are for --engine ray; add it"
            )


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
