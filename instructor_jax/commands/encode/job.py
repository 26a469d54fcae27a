"""A job of `encode` as a record that any process can be given, and the same with its input opened."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from instructor_jax.commands.encode.encoder import PartEncoder
from instructor_jax.commands.encode.options import EngineOptions, VectorOptions
from instructor_jax.commands.encode.output_files import parts_folder
from instructor_jax.commands.encode.part_index import INDEX, PartIndex, part_index
from instructor_jax.commands.encode.parts import PartStore
from instructor_jax.commands.encode.stores.output import StoredOutput
from instructor_jax.commands.encode.stores.parts import StoredParts
from instructor_jax.commands.encode.vector_files import VectorFormat, vector_format
from instructor_jax.commands.table_options import InputOptions
from instructor_jax.commands.text_files import TextColumns, text_columns
from instructor_jax.io.remote.stored_file import Source
from instructor_jax.io.tables.records import Table
from instructor_jax.model_options import ModelOptions, model_name


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be encoded, how, and where to; plain values and names, so that it can be sent to other processes.

    Attributes:
        files: the input, in order.
        instruction: for all texts, or None.
        reading: how the input is read.
        target: where the vectors go, and who makes the parts.
        model: which model.
        vectors: what the vectors are like.
    """

    files: tuple[Source, ...]
    instruction: str | None
    reading: InputOptions
    target: EngineOptions
    model: ModelOptions
    vectors: VectorOptions

    @property
    def format(self) -> VectorFormat:
        """How the output is written."""
        return vector_format(self.target.output, as_folder=self.target.as_folder)

    @property
    def own_instructions(self) -> bool:
        """Whether a column of instructions is taken by its name."""
        return self.instruction is None

    def is_made(self) -> bool:
        """Whether the output is there, and nothing of an unfinished run."""
        target = self.target
        if not isinstance(target.output, Path):
            return not target.overwrite and StoredOutput(target.output, self.format).is_made()
        made = target.output.is_dir() if self.format.as_folder else target.output.is_file()
        return made and not target.overwrite and not parts_folder(target.output).exists()

    def absolute(self) -> "Job":
        """The same with absolute paths, for processes that run in another folder."""
        files = tuple(path.absolute() if isinstance(path, Path) else path for path in self.files)
        output = self.target.output
        output = output.absolute() if isinstance(output, Path) else output
        return dataclasses.replace(self, files=files, target=dataclasses.replace(self.target, output=output))

    @contextlib.contextmanager
    def opened(self) -> Iterator["OpenedJob"]:
        """The job with its input opened.

        Raises:
            ValueError: the input cannot be read, or a column is missing.
        """
        with self.reading.open_all(self.files) as table:
            columns = text_columns(table, self.reading, own_instructions=self.own_instructions)
            options = deciding_options(
                self.instruction, self.target.part_size, self.reading, columns.title, self.model, self.vectors
            )
            yield OpenedJob(self, table, columns, options)


@dataclasses.dataclass(frozen=True)
class OpenedJob:
    """A job and its input.

    Attributes:
        job: the job.
        table: its input.
        columns: which column of it is which.
        options: everything but the rows that decides the bytes of the output.
    """

    job: Job
    table: Table
    columns: TextColumns
    options: dict[str, Any]

    def store(self, *, shared: bool = False) -> PartStore:
        """The parts of the output; see `PartStore`."""
        target = self.job.target
        if not isinstance(target.output, Path):
            place = StoredOutput(target.output, self.job.format)
            return StoredParts(place, self.options, overwrite=target.overwrite, shared=shared)
        return PartStore(target.output, self.job.format, self.options, overwrite=target.overwrite, shared=shared)

    def encoder(self, store: PartStore) -> PartEncoder:
        """What makes vectors of blocks."""
        return PartEncoder(store, self.table, self.job.model, self.job.vectors, self.job.instruction)

    def index(self, store: PartStore) -> PartIndex:
        """Where the parts begin; see `part_index`."""
        found = part_index(store.folder, self.job.files, self.table, self.job.target.part_size)
        store.keep(INDEX)
        return found


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
        **({} if model.mesh is None else {"mesh": model.mesh}),  # as summaries were before weights could be split
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
