"""What an evaluation set holds once it is read from its files: one record type for each kind of task.

The records know nothing of mteb, so that readers can be tried without it; `local_tasks` turns them into its datasets.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple


@dataclasses.dataclass(frozen=True)
class ScoredPairs:
    """Pairs of sentences with a human judgement of their similarity, 0 (unrelated) to 5 (the same)."""

    first: Sequence[str]
    second: Sequence[str]
    scores: Sequence[float]

    def __post_init__(self) -> None:
        _same_length(first=self.first, second=self.second, scores=self.scores)
        if bad := [score for score in self.scores if not 0 <= score <= 5]:
            raise ValueError(f"a similarity of {bad[0]} is outside 0 to 5.")


@dataclasses.dataclass(frozen=True)
class LabelledPairs:
    """Pairs of sentences that belong together (1) or not (0)."""

    first: Sequence[str]
    second: Sequence[str]
    labels: Sequence[int]

    def __post_init__(self) -> None:
        _same_length(first=self.first, second=self.second, labels=self.labels)
        if set(self.labels) != {0, 1}:
            raise ValueError(f"pairs need both the labels 0 and 1, and no other; got {sorted(set(self.labels))}.")


@dataclasses.dataclass(frozen=True)
class LabelledTexts:
    """Texts, each with the name of its class."""

    texts: Sequence[str]
    labels: Sequence[str]

    def __post_init__(self) -> None:
        _same_length(texts=self.texts, labels=self.labels)

    def rows(self, numbers: Sequence[int]) -> "LabelledTexts":
        """Returns the rows of these numbers, in this order."""
        return LabelledTexts([self.texts[i] for i in numbers], [self.labels[i] for i in numbers])


@dataclasses.dataclass(frozen=True)
class TrainTest:
    """Classification: the classifier is fitted on rows of `train`, and judged on all of `test`."""

    train: LabelledTexts
    test: LabelledTexts


@dataclasses.dataclass(frozen=True)
class ClusterSets:
    """Clustering: every set is clustered on its own, and the scores are averaged."""

    sets: Sequence[LabelledTexts]

    def __post_init__(self) -> None:
        if not self.sets:
            raise ValueError("there is no set to cluster.")


class Document(NamedTuple):
    """One document of a corpus; the model reads title, blank and text."""

    text: str
    title: str = ""


@dataclasses.dataclass(frozen=True)
class JudgedDocuments:
    """Retrieval and reranking.

    Attributes:
        corpus: Documents by id.
        queries: Texts by id; every one has a relevant document.
        relevant: Grades (1 or more) of the relevant documents of every query; an absent document has grade 0.
        candidates: Documents to be ranked for each query, for reranking only.
    """

    corpus: Mapping[str, Document]
    queries: Mapping[str, str]
    relevant: Mapping[str, Mapping[str, int]]
    candidates: Mapping[str, Sequence[str]] | None = None

    def __post_init__(self) -> None:
        if not self.queries:
            raise ValueError("no query has a relevant document.")
        if self.relevant.keys() != self.queries.keys():
            odd = sorted(self.relevant.keys() ^ self.queries.keys())
            raise ValueError(f"queries and judgements must name the same queries; only one of them has {odd[:5]}.")
        for query, grades in self.relevant.items():
            if not grades or min(grades.values()) < 1:
                raise ValueError(f"query {query}: needs a relevant document, and grades of at least 1; got {grades}.")
            for document in (*grades, *(self.candidates or {}).get(query, ())):
                if document not in self.corpus:
                    raise ValueError(f"query {query}: document {document!r} is judged, but not in the corpus.")


Record = ScoredPairs | LabelledPairs | TrainTest | ClusterSets | JudgedDocuments


def _same_length(**columns: Sequence[object]) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1 or not all(lengths.values()):
        raise ValueError(f"columns must be of one length, and not empty; got {lengths}.")
