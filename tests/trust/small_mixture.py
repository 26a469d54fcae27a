"""A mixture of one task with chosen words, for tests of what strangers write into stores."""

from pathlib import Path

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.storage.staging import Staging
from instructor_jax.train.medi.storage.store_writer import write_store


def write_mixture(
    folder: Path, text: str = "a text", task: str = "plants", licence: str = "MIT", rows: int = 40
) -> Path:
    """A store of `rows` rows of one task."""
    staging = Staging(folder.with_name(f"{folder.name}.partial"))
    examples = [
        Example(
            Side(f"{text} query: ", f"{text} {row}"), Side(f"{text}: ", f"answer {row}"), (), "plants", f"row {row}"
        )
        for row in range(rows)
    ]
    staging.write("plants", examples, about={"licence": licence})
    write_store(folder, staging)
    return folder
