"""The options that choose a model, shared by the commands that embed, and what they need of the loaded model."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

from cyclopts import Group, Parameter

from instructor_jax.io.bounds import ROWS, SIZE
from instructor_jax.io.default_model import DEFAULT_MODEL
from instructor_jax.io.json_files import shown_value
from instructor_jax.option_types import WholeNumber

_GROUP = Group("Model", sort_key=2)

Precision = Literal["float32", "float16", "int8", "uint8", "binary", "ubinary"]
BATCH_SIZE, DIMENSIONS, MAX_LENGTH = ROWS, SIZE, SIZE  # the most that an option may say
Overflow = Literal["truncate", "error", "mean_of_windows"]  # a command tells how many were cut at its end


@Parameter(name="*", group=_GROUP)
@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model to load, and how it computes.

    Attributes:
        model: Model folder, a name on the Hugging Face hub, or package:NAME for the one that an installed package
            carries; by default the package's own small English model.
        revision: Branch, tag or commit on the hub.
        cache_dir: Folder of downloaded models, instead of the hub's default.
        local_files_only: Never ask the hub; use what is in the cache.
        dtype: Type that the encoder computes in; auto: the device's fastest that keeps a cosine of 0.999. Vectors are
            float32 in each.
        max_length: Longest input in tokens, instruction included; the model's own limit by default.
        mesh: How weights are split over the devices, as fsdp=4,tensor=2, for models too large for one; by default each
            has a copy.
    """

    model: Annotated[str, Parameter(name=["--model", "-m"])] = DEFAULT_MODEL
    revision: str | None = None
    cache_dir: Path | None = None
    local_files_only: Annotated[bool, Parameter(negative="")] = False
    dtype: Literal["float32", "bfloat16", "auto"] = "float32"
    max_length: WholeNumber | None = None
    mesh: str | None = None


@runtime_checkable
class Embedder(Protocol):
    """What the commands ask of a loaded model; `instructor_jax.Instructor` is the one implementation."""

    @property
    def encode(self) -> Callable[..., Any]:
        """Vectors [n, dim] of texts or (instruction, text) pairs; see `Instructor.encode`."""
        ...


def load_model(options: ModelOptions) -> Embedder:
    """Load the model that the options name.

    Raises:
        ValueError: an option has an impossible value, or the folder is no model.
        OSError: the model cannot be read or fetched.
    """
    require_count("--max-length", options.max_length, MAX_LENGTH)
    from instructor_jax.embedder import Instructor  # imports JAX

    return Instructor.from_pretrained(
        model_name(options),
        revision=options.revision,
        cache_dir=options.cache_dir,
        local_files_only=options.local_files_only,
        dtype=options.dtype,
        max_length=options.max_length,
        mesh=options.mesh,
    )


def require_count(option: str, value: int | None, most: int) -> None:
    """Refuse a number that is no possible count; None is the default and passes.

    Raises:
        ValueError: it is not in [1, most].
    """
    if value is not None and not 1 <= value <= most:
        raise ValueError(f"{option} {shown_value(value)} must be at least 1 and at most {most:,}")


def model_name(options: ModelOptions) -> str:
    """The model's name, a local folder as an absolute path."""
    if options.model in ("", DEFAULT_MODEL):  # Path("") is the current folder
        return options.model
    folder = Path(options.model)
    return str(folder.resolve()) if folder.is_dir() else options.model
