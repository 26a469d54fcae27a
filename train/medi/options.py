"""Options that several `instructor-jax medi` commands share."""

import dataclasses
from typing import Any

from cyclopts import Group, Parameter

from .builder import BuildSettings
from .reading import Format, Reading
from .rows import Columns


@Parameter(name="*", group=Group("Mining", sort_key=2))
@dataclasses.dataclass(frozen=True, kw_only=True)
class MiningOptions:
    """How pairs and hard negatives are mined.

    Attributes:
        scorer: What tells which texts are alike: tfidf, tfidf:DIM, sentence-transformers:MODEL or instructor:MODEL.
        margin: A negative mined for a given pair is at most (1 - MARGIN) times as similar as the positive; nearer
            texts are often positives that nobody marked.
        keep: Share of the mined pairs that is kept, those with the highest scores.
        agreement: Least similarity of the outputs of two free-text rows that become a pair; -1 takes any, as the
            paper does, whose choice is arbitrary where no two outputs are alike.
        answers: Make the free-text rows without such a partner a task of their own, input -> output.
    """

    scorer: str = "tfidf"
    margin: float = 0.1
    keep: float = 1.0
    agreement: float = 0.5
    answers: bool = True

    def settings(self, negatives: int) -> BuildSettings:
        """Returns the builder's settings with this number of negatives."""
        return BuildSettings(negatives, self.margin, self.keep, self.agreement, self.answers)


@Parameter(name="*", group=Group("Rows", sort_key=1))
@dataclasses.dataclass(frozen=True, kw_only=True)
class RowOptions:
    """How rows of own files are read.

    Attributes:
        format: What the files hold. pairs: query, positive and optional negatives, score, label, weight; labelled:
            text and label, from which pairs are mined; published: a medi-data.json; sentence-transformers: lists,
            sets or query/pos/neg objects, one a line. auto takes published for .json and pairs for the rest.
        query_instruction: Instruction of queries whose row has none.
        document_instruction: The same for positives and negatives; by default that of the queries.
        score_range: Lowest and highest score in the files, brought to 0 and 1.
        query_column: Column or field of the queries, where it is not called query.
        positive_column: Column of the positives, where it is not called positive.
        negative_column: Column of hard negatives, a text or a list; negative, negative_1, ... are read too.
        score_column: Column of the scores, where it is not called score.
        text_column: Column of the texts of labelled rows, where it is not called text.
        label_column: Column of the labels, where it is not called label.
    """

    format: Format = "auto"
    query_instruction: str = ""
    document_instruction: str | None = None
    score_range: tuple[float, float] = (0.0, 1.0)
    query_column: str | None = None
    positive_column: str | None = None
    negative_column: str | None = None
    score_column: str | None = None
    text_column: str | None = None
    label_column: str | None = None

    def reading(self, **more: Any) -> Reading:
        """Returns how files are read, with what else `Reading` may be told.

        Raises:
            ValueError: Columns are named for files of a format that has none.
        """
        told = dataclasses.asdict(self)
        names = {field: told.pop(option) for field, option in _COLUMN_OPTIONS.items()}
        given = {field: name for field, name in names.items() if name is not None}
        if given and self.format in ("published", "sentence-transformers"):
            option = _COLUMN_OPTIONS[next(iter(given))].replace("_", "-")
            raise ValueError(f"--{option} names a column, but files of --format {self.format} have none; drop it.")
        return Reading(**told, **more, columns=Columns(**given))


_COLUMN_OPTIONS = {
    "query": "query_column",
    "positive": "positive_column",
    "negatives": "negative_column",
    "score": "score_column",
    "text": "text_column",
    "label": "label_column",
}
