"""Which files a command's inputs mean: files, folders of files, patterns; in an order that is the same everywhere."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path

from instructor_jax.io.remote.folders import fetched
from instructor_jax.io.remote.listing import has_file, stored_files
from instructor_jax.io.remote.stored_file import Source
from instructor_jax.io.remote.stores import place_named
from instructor_jax.io.remote_places import refuse_remote
from instructor_jax.io.tables.arrow_dataset import DATASET_FILES, is_arrow_dataset
from instructor_jax.io.tables.tables import format_of
from instructor_jax.io.tables.text_lines import is_stdin

_MAGIC = re.compile(r"[*?\[]")


def input_files(inputs: Sequence[str]) -> list[Source]:
    """The tables that inputs mean, in order: inputs as they are given, files of a folder or pattern by name.

    A folder of Parquet files and a data set on disk are one table each and stay as they are. Files of a store are read
    where they lie; a data set there is copied to this machine, since its files have no index of their rows.

    Raises:
        ValueError: nothing is given, a pattern fits nothing, a folder holds what is no table, or standard input is
            given beside other inputs.
    """
    if not inputs:
        raise ValueError("no input is given; name a file, a folder, a pattern such as 'part-*.jsonl', or - (a pipe)")
    places = [place_named(name) for name in inputs]
    if len(places) > 1 and any(isinstance(place, Path) and is_stdin(place) for place in places):
        raise ValueError("standard input cannot be read beside other inputs; give it alone, or files alone")
    return [file for place in places for file in (_files_of(place) if isinstance(place, Path) else _stored(place))]


def _stored(url: str) -> list[Source]:
    pattern = _MAGIC.search(url) is not None
    if not pattern and has_file(url, DATASET_FILES):
        return [fetched(url)]
    files = stored_files(url)
    if not pattern and files[0].url != url:
        for file in files:
            format_of(file)  # in a folder, a suffix that is none of a table's is told before anything is read
    return [*files]


def _files_of(given: Path) -> Sequence[Path]:
    refuse_remote("input", given)
    if _MAGIC.search(str(given)) and not given.exists():
        found = sorted(Path(path) for path in glob.glob(str(given), recursive=True))
        if not found:
            raise ValueError(f"no file fits the pattern {given}; check it, and put it into quotation marks")
        return found
    if not given.is_dir() or is_arrow_dataset(given):
        return [given]
    visible = sorted(path for path in given.iterdir() if not path.name.startswith((".", "_")))
    if not visible or any(path.is_dir() or path.suffix == ".parquet" for path in visible):
        return [given]  # a folder of Parquet files, or one that is refused as such
    for path in visible:
        try:
            format_of(path)
        except ValueError as error:
            raise ValueError(f"{given}: holds {path.name}, which is no table; give a folder of tables alone") from error
    return visible
