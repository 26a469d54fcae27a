"""`ExampleIndex`: which texts the rows of a mixture consist of and how long they are, all that planning a batch needs.

A text that occurs in several rows is stored once, so rows hold numbers of texts. A row with more negatives than a batch
takes shows others in every pass: pass p takes them from number p * k on, round and round.
"""

import dataclasses

import numpy as np
from jaxtyping import Int, Int32, Int64


@dataclasses.dataclass(frozen=True)
class ExampleIndex:
    """Examples of all tasks, end to end, as numbers of texts.

    Attributes:
        lengths: Number of tokens of each text, after truncation.
        query: Text of each example's query.
        positive: Text of each example's positive.
        negative: Texts of all examples' negatives, end to end.
        negative_ends: Place where each example's negatives end.
    """

    lengths: Int32[np.ndarray, "texts"]
    query: Int[np.ndarray, "rows"]
    positive: Int[np.ndarray, "rows"]
    negative: Int[np.ndarray, "listed"]
    negative_ends: Int64[np.ndarray, "rows"]

    def __len__(self) -> int:
        return len(self.query)

    def of(
        self, rows: Int[np.ndarray, "n"], passes: Int[np.ndarray, "n"], negatives: int
    ) -> Int64[np.ndarray, "n texts_of_row"]:
        """Returns the texts of examples, each as query, positive and `negatives` negatives.

        -1 where an example has fewer.

        Args:
            rows: Numbers of examples.
            passes: For each, how often its task was gone through before.
            negatives: Largest number of negatives of an example, k.
        """
        starts = np.where(rows > 0, self.negative_ends[rows - 1], 0)
        count = (self.negative_ends[rows] - starts)[:, None]
        index = np.arange(negatives)
        turn = (passes[:, None] * negatives + index) % np.maximum(count, 1)
        listed = np.minimum(starts[:, None] + turn, max(0, len(self.negative) - 1))
        chosen = self.negative[listed] if len(self.negative) else listed
        chosen = np.where(index < count, chosen, -1)
        return np.concatenate([self.query[rows, None], self.positive[rows, None], chosen], axis=1, dtype=np.int64)

    def costs(
        self, negatives: int, least: int = 1, rows: Int64[np.ndarray, "chosen"] | None = None
    ) -> Int32[np.ndarray, "chosen"]:
        """Returns the tokens of examples as `of` takes them, on average over passes, rounded up.

        Args:
            negatives: Largest number of negatives of an example, k.
            least: Number of tokens that a shorter text counts as.
            rows: Numbers of examples; None for all.
        """
        rows = np.arange(len(self)) if rows is None else rows
        query, positive = (np.maximum(self.lengths[texts[rows]], least) for texts in (self.query, self.positive))
        starts = np.where(rows > 0, self.negative_ends[rows - 1], 0)
        count = self.negative_ends[rows] - starts
        listed = np.repeat(starts - np.cumsum(count) + count, count) + np.arange(count.sum())
        total = np.append(0, np.cumsum(np.maximum(self.lengths[self.negative[listed]], least), dtype=np.int64))
        ends = np.cumsum(count)
        mean = (total[ends] - total[ends - count]) / np.maximum(count, 1)
        return (query + positive + np.ceil(mean * np.minimum(count, negatives))).astype(np.int32)
