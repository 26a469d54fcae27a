"""How own files are read on their way into a mixture."""

import dataclasses
from pathlib import Path
from typing import Literal

from .rows import Columns

Format = Literal["auto", "pairs", "labelled", "published", "sentence-transformers"]


@dataclasses.dataclass(frozen=True)
class Reading:
    """How own files are read.

    Attributes:
        format: What the files hold; "auto" takes `.json` for published MEDI and all else for pairs.
        query_instruction: Instruction of queries whose row has none.
        document_instruction: The same for positives and negatives; None for that of the queries.
        score_range: Lowest and highest score in the files.
        licence: Licence of the files, for the metadata.
        instruction_suffix: Ending of published instructions; None keeps their own ";".
        columns: Names of the columns of own files.
    """

    format: Format = "auto"
    query_instruction: str = ""
    document_instruction: str | None = None
    score_range: tuple[float, float] = (0.0, 1.0)
    licence: str = "not given"
    instruction_suffix: str | None = None
    columns: Columns = Columns()  # noqa: RUF009 - frozen

    def of(self, path: Path) -> Format:
        """Returns the format of one file."""
        published = path.name.removesuffix(".gz").endswith(".json")
        return self.format if self.format != "auto" else "published" if published else "pairs"
