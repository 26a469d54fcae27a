"""Hard negatives for finished pairs: documents of a task that are near to a query without being known to fit it.

A document stands for its text and for the queries it answers: its similarity to a query is the cosine with its text
plus the mean cosine with its queries. So documents that answer similar queries are found even where question and answer
have no word in common, and the margin means something for every scorer: a positive has its own query in its favour.

Known means: paired with the query's text in any row, in either direction, or carrying the query's label. Documents and
queries are told apart by their normalised text, so that copies count as one and never slip in as negatives.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float32, Int

from ...data.examples import Example, Side
from .mine import MiningCounts, with_examples
from .mining_rules import Mining, below_margin, normalised, numbered, vectors_of
from .neighbours import Rules, nearest
from .scorer import Scorer


def mine_negatives(examples: Iterable[Example], scorer: Scorer, mining: Mining) -> tuple[list[Example], MiningCounts]:
    """Gives each example of one task up to `mining.negatives` hard negatives among the task's positives.

    Negatives that an example has already stay and come first. The margin is taken to the query's least similar
    positive. A text that carries several labels gets no negatives and serves as none: any of them might be wrong.

    Returns:
        The examples in the order of their row ids, and what became of them.

    Raises:
        ValueError: `mining.keep` is not 1: nothing ranks finished pairs.
    """
    if mining.keep != 1.0:
        raise ValueError(f"keep={mining.keep} applies to pairs that are mined, but these are given; leave it at 1.")
    rows = sorted(examples, key=lambda one: (one.row_id, one.query, one.positive))
    queries = {normalised(one.query.text): one.query for one in reversed(rows)}  # the first row's side of each text
    documents = {normalised(one.positive.text): one.positive for one in reversed(rows)}
    mined = _negatives_by_query(rows, queries, documents, scorer, mining) if rows and mining.negatives else {}
    finished = [_filled(one, mined.get(normalised(one.query.text), []), mining.negatives) for one in rows]
    return finished, with_examples(MiningCounts(len(rows)), finished, mining)


def _filled(one: Example, mined: Iterable[Side], wanted: int) -> Example:
    """Returns the example with mined negatives added to its own; no text of the example is repeated."""
    taken = {normalised(side.text) for side in (one.query, one.positive, *one.negatives)}
    fresh = [side for side in mined if normalised(side.text) not in taken]
    return dataclasses.replace(one, negatives=(*one.negatives, *fresh[: max(0, wanted - len(one.negatives))]))


def _negatives_by_query(
    rows: list[Example], queries: dict[str, Side], documents: dict[str, Side], scorer: Scorer, mining: Mining
) -> dict[str, list[Side]]:
    """Finds for each normalised query text the nearest documents that are not known to fit it, nearest first."""
    query_place = {text: i for i, text in enumerate(queries)}
    document_place = {text: i for i, text in enumerate(documents)}
    given = [(query_place[normalised(one.query.text)], document_place[normalised(one.positive.text)]) for one in rows]
    pairs = np.unique(np.array(given), axis=0)
    vectors = vectors_of(scorer, [*queries.values(), *documents.values()])
    asking = vectors[: len(queries)]
    answering = _with_queries(vectors[len(queries) :], asking, pairs)
    partners, labels = _partners(rows), _labels(rows)
    known = [
        (place, document_place[other])
        for text, place in query_place.items()
        for other in {text, *partners[text]}
        if other in document_place
    ]
    several = np.array([len(labels[text]) > 1 for text in (*queries, *documents)])
    number = numbered(min(labels[text], default=(text,)) for text in (*queries, *documents))
    ceiling = None
    if mining.relative_margin is not None:
        ceiling = below_margin(_lowest_positive(asking, answering, pairs), mining.relative_margin)
    found = nearest(
        asking,
        answering,
        mining.negatives + max(len(one.negatives) for one in rows),  # as many as that may be there already
        Rules(
            unequal=[
                (number[: len(queries)], number[len(queries) :]),
                (np.ones(len(queries), int), several[len(queries) :].astype(int)),
            ],
            forbidden=np.array(known).reshape(-1, 2),
            ceiling=ceiling,
        ),
    )
    sides = list(documents.values())
    return {
        text: [sides[j] for j in row if j >= 0]
        for text, row, uncertain in zip(queries, found.indices.tolist(), several.tolist(), strict=False)
        if not uncertain
    }


def _with_queries(
    documents: Float32[np.ndarray, "document dim"],
    queries: Float32[np.ndarray, "query dim"],
    pairs: Int[np.ndarray, "pairs 2"],
) -> Float32[np.ndarray, "document dim"]:
    """Returns each document's vector plus the mean of those of the queries that it is paired with."""
    sums = np.zeros_like(documents)
    np.add.at(sums, pairs[:, 1], queries[pairs[:, 0]])
    times = np.bincount(pairs[:, 1], minlength=len(documents)).astype(np.float32)
    sums /= np.maximum(times, 1)[:, None]
    sums += documents
    return sums


def _lowest_positive(
    queries: Float32[np.ndarray, "query dim"],
    documents: Float32[np.ndarray, "document dim"],
    pairs: Int[np.ndarray, "pairs 2"],
) -> Float32[np.ndarray, " query"]:
    """Returns the similarity of each query to the least similar document it is paired with."""
    lowest = np.full(len(queries), np.inf, np.float32)
    for start in range(0, len(pairs), 8192):  # in parts, so that no second copy of all vectors is made
        asked, answer = pairs[start : start + 8192].T
        np.minimum.at(lowest, asked, np.einsum("pe,pe->p", queries[asked], documents[answer]))
    return lowest


def _labels(rows: Iterable[Example]) -> dict[str, set[str]]:
    """Maps each normalised text to the labels of the examples it occurs in as query or positive."""
    labels: dict[str, set[str]] = defaultdict(set)
    for one in rows:
        if one.label is not None:
            labels[normalised(one.query.text)].add(one.label)
            labels[normalised(one.positive.text)].add(one.label)
    return labels


def _partners(rows: Iterable[Example]) -> dict[str, set[str]]:
    """Maps each normalised text to the texts it is paired with, whichever of the two is the query."""
    partners: dict[str, set[str]] = defaultdict(set)
    for one in rows:
        query, positive = normalised(one.query.text), normalised(one.positive.text)
        partners[query].add(positive)
        partners[positive].add(query)
    return partners
