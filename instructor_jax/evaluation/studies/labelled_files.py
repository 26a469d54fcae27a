"""Small labelled files of a user's own, of three kinds told apart by their columns, and what embeddings of them score.

`text,label`: is the nearest other text of the same label? `query,positive`: is the query's own text the nearest of all?
`text1,text2,score`: do cosines order the pairs as the scores do? Every figure comes with what it would have been on
resampled rows, the same resamples for every instruction, so that differences can be judged too.
"""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from instructor_jax.inference.quantization import unit_length
from instructor_jax.io.tables.tables import FormatName, Table, open_table

KINDS = "text,label; query,positive; text1,text2,score"
Encode = Callable[[list[str]], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one instruction scores.

    Attributes:
        score: Figure in percent.
        resampled: Same figure on each resample of the rows, in percent.
        more: Further figures in percent, by name.
    """

    score: float
    resampled: Float[np.ndarray, " resamples"]
    more: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Labels:
    """Rows `text,label`: leave-one-out accuracy of the nearest neighbour (cosine)."""

    texts: list[str]
    labels: list[str]
    metric: str = "accuracy of the nearest neighbour"

    @property
    def rows(self) -> int:
        """Returns how many rows are resampled."""
        return len(self.texts)

    def measure(self, encode: Encode, encode_document: Encode, draws: Int[np.ndarray, "resamples rows"]) -> Measured:
        """Scores an encoder on the rows and on resamples of them; `encode_document` is not used."""
        from sklearn.neighbors import NearestNeighbors

        vectors = unit_length(encode(self.texts))
        # Without a query scikit-learn leaves each row out of its own neighbours.
        nearest = NearestNeighbors(n_neighbors=1, metric="cosine").fit(vectors).kneighbors(return_distance=False)
        labels = np.array(self.labels)
        return _mean_of(100.0 * (labels[nearest[:, 0]] == labels), draws)


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Rows `query,positive`: mean reciprocal rank of a query's own text among all, and how often it is the first.

    Attributes:
        queries: Texts of the queries, each once.
        documents: Texts of the documents, each once.
        relevant: Positions of each query's own texts in `documents`.
    """

    queries: list[str]
    documents: list[str]
    relevant: list[list[int]]
    metric: str = "MRR"

    @property
    def rows(self) -> int:
        """Returns how many rows are resampled."""
        return len(self.queries)

    def measure(self, encode: Encode, encode_document: Encode, draws: Int[np.ndarray, "resamples rows"]) -> Measured:
        """Scores an encoder of queries and one of documents on the rows and on resamples of them."""
        similar = unit_length(encode(self.queries)) @ unit_length(encode_document(self.documents)).T
        ranks = np.array([_rank(row, own) for row, own in zip(similar, self.relevant, strict=True)])
        measured = _mean_of(100.0 / ranks, draws)
        return dataclasses.replace(measured, more={"recall@1": float(100 * np.mean(ranks == 1))})


@dataclasses.dataclass(frozen=True)
class Scored:
    """Rows `text1,text2,score`: Spearman correlation of cosines and scores."""

    left: list[str]
    right: list[str]
    scores: list[float]
    metric: str = "Spearman correlation"

    @property
    def rows(self) -> int:
        """Returns how many rows are resampled."""
        return len(self.scores)

    def measure(self, encode: Encode, encode_document: Encode, draws: Int[np.ndarray, "resamples rows"]) -> Measured:
        """Scores an encoder on the rows and on resamples of them; `encode_document` is not used."""
        from scipy.stats import ConstantInputWarning, pearsonr, rankdata, spearmanr

        texts = list(dict.fromkeys([*self.left, *self.right]))
        row = {text: number for number, text in enumerate(texts)}
        vectors = unit_length(encode(texts))
        left, right = ([row[text] for text in side] for side in (self.left, self.right))
        cosines, scores = (vectors[left] * vectors[right]).sum(axis=1), np.array(self.scores)
        drawn = rankdata(cosines[draws], axis=1), rankdata(scores[draws], axis=1)
        with warnings.catch_warnings():
            # Where all cosines (or all scores of a resample) are equal there is no correlation: it counts as 0.
            warnings.simplefilter("ignore", ConstantInputWarning)
            all_rows: Any = spearmanr(cosines, scores)
            resampled: Any = pearsonr(*drawn, axis=1)
        return Measured(100 * float(np.nan_to_num(all_rows.statistic)), 100 * np.nan_to_num(resampled.statistic))


LabelledFile = Labels | Pairs | Scored


def read_labelled_file(path: Path, *, format: FormatName | None = None) -> LabelledFile:
    """Reads a file of one of the three kinds (`KINDS`), in any form of table that the commands read.

    Raises:
        ValueError: its columns are of no kind, a value is missing or of the wrong type (with its line), or there is
            nothing to compare: a single row, label or score.
        OSError: it cannot be opened.
    """
    with open_table(path, format=format) as table:
        columns = set(table.columns)
        if {"text", "label"} <= columns:
            return _labels(table)
        if {"query", "positive"} <= columns:
            return _pairs(table)
        for pair in (("text1", "text2"), ("sentence1", "sentence2")):
            if {*pair, "score"} <= columns:
                return _scored(table, pair)
        raise ValueError(f"{table.name}: its columns ({', '.join(table.columns)}) are none of: {KINDS}")


def _labels(table: Table) -> Labels:
    rows = [values for _, values in _checked(table, ("text", "label"), texts=1)]
    texts, labels = [text for text, _ in rows], [str(label) for _, label in rows]
    if len(set(labels)) < 2 or len(set(labels)) == len(labels):
        raise ValueError(f"{table.name}: {len(set(labels))} labels in {len(labels)} rows; some must be shared, not all")
    return Labels(texts, labels)


def _pairs(table: Table) -> Pairs:
    rows = [values for _, values in _checked(table, ("query", "positive"), texts=2)]
    documents = {text: number for number, text in enumerate(dict.fromkeys(positive for _, positive in rows))}
    relevant: dict[str, list[int]] = {}
    for query, positive in rows:
        relevant.setdefault(query, []).append(documents[positive])
    if len(documents) < 2:
        raise ValueError(f"{table.name}: holds {len(documents)} different positive; a ranking needs at least two")
    return Pairs(list(relevant), list(documents), list(relevant.values()))


def _scored(table: Table, pair: tuple[str, str]) -> Scored:
    left, right, scores = [], [], []
    for number, (first, second, score) in _checked(table, (*pair, "score"), texts=2):
        try:
            value = float(score)
        except (TypeError, ValueError, OverflowError):
            value = float("nan")
        if not np.isfinite(value):
            raise ValueError(f"{table.name}, {table.unit} {number}: score must be a number, got {score!r:.80}")
        left.append(first)
        right.append(second)
        scores.append(value)
    if len(set(scores)) < 2:
        raise ValueError(f"{table.name}: all {len(scores)} scores are equal; there is no order to agree with")
    return Scored(left, right, scores)


def _checked(table: Table, columns: tuple[str, ...], texts: int) -> list[tuple[int, tuple[Any, ...]]]:
    """Returns the records, their first `texts` columns checked to be texts and none to be empty."""
    records = list(table.records(columns))
    for number, values in records:
        for position, (column, value) in enumerate(zip(columns, values, strict=True)):
            if value is None or value == "" or (position < texts and not isinstance(value, str)):
                kind = "text" if position < texts else "a value"
                raise ValueError(f"{table.name}, {table.unit} {number}: {column} must hold {kind}, got {value!r}")
    return records


def _mean_of(values: Float[np.ndarray, " rows"], draws: Int[np.ndarray, "resamples rows"]) -> Measured:
    return Measured(float(values.mean()), values[draws].mean(axis=1))


def _rank(similar: Float[np.ndarray, " documents"], own: Sequence[int]) -> int:
    """Returns the rank, from 1, of the best of the query's own texts; others that are as similar come before it."""
    others = np.delete(similar, own)
    return 1 + int((others >= similar[list(own)].max()).sum())
