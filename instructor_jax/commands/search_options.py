"""The options of `search`: what is sought in what, and where the result goes."""

import dataclasses
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from instructor_jax.io.bounds import HITS
from instructor_jax.model_options import BATCH_SIZE, DIMENSIONS, require_count
from instructor_jax.option_types import WholeNumber


@Parameter(name="*", group=Group("Search", sort_key=0))
@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What is sought in what.

    Attributes:
        query: A text to search for; may be repeated.
        top_k: How many rows to find for each query.
        query_instruction: Instruction for the queries.
        corpus_instruction: Instruction for the corpus.
        corpus_vectors: The corpus's vectors, a float32 .npy of `instructor-jax encode`, instead of computing them.
        query_column: Column of the texts in the file of queries; found as the corpus's is.
        batch_size: Most texts in one call of the device; by default the number of tokens decides.
        truncate_dim: Compare only so many leading dimensions.
    """

    query: Annotated[list[str] | None, Parameter(name=["--query", "-q"], negative="")] = None
    top_k: Annotated[WholeNumber, Parameter(name=["--top-k", "-k"])] = 10
    query_instruction: str | None = None
    corpus_instruction: str | None = None
    corpus_vectors: Path | None = None
    query_column: str | None = None
    batch_size: WholeNumber | None = None
    truncate_dim: WholeNumber | None = None

    def check(self, queries: Path | None) -> None:
        """Refuses options that are impossible or exclude each other.

        Args:
            queries: the file of queries, if one is given.

        Raises:
            ValueError: they are.
        """
        require_count("--top-k", self.top_k, HITS)
        require_count("--batch-size", self.batch_size, BATCH_SIZE)
        require_count("--truncate-dim", self.truncate_dim, DIMENSIONS)
        if self.corpus_vectors is not None and self.corpus_instruction is not None:
            raise ValueError(
                "--corpus-vectors are encoded already, under an instruction of their own; "
                "leave --corpus-instruction out"
            )
        if not self.query and queries is None:
            raise ValueError('nothing to search for; give --query "a text", or a file of queries')


@Parameter(name="*", group=Group("Result", sort_key=0))
@dataclasses.dataclass(frozen=True, kw_only=True)
class ResultOptions:
    """Where the result goes, besides the terminal.

    Attributes:
        json_output: Print JSON for machines.
        html: Also write a page for a browser; an earlier page of this command is replaced.
        overwrite: Let --html replace a file that is no page of this command.
    """

    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False
    html: Path | None = None
    overwrite: Annotated[bool, Parameter(negative="")] = False
