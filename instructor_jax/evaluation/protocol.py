"""What the published INSTRUCTOR scores did differently from what MTEB means to measure, as switches.

The corrected protocol is the default. The published one imitates the evaluation code of January 2023 as far as MTEB 2
lets it: the differences that remain are listed in `REMAINING`, so that a report can name them.
"""

import dataclasses
from typing import Any

# Differences between the MTEB of late 2022 and MTEB 2 that no switch undoes.
REMAINING = (
    "Reranking is scored as retrieval over each query's candidates (MAP by trec_eval); the original averaged "
    "scikit-learn's average precision over samples with both positives and negatives.",
    "Clustering runs mini-batch k-means with one seeded start; the original had three starts and no fixed seed.",
    "Classification draws its training samples with another random generator; sizes and the ten repetitions are equal.",
    "Duplicate handling, data revisions and dependencies are today's; expect differences of tenths of a point, larger "
    "in clustering and reranking.",
)


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How tasks are encoded and scored; the defaults are the corrected protocol.

    Attributes:
        document_instructions: Whether retrieval corpora are read under their instruction. The published code built
            the instructed list and then encoded the bare one.
        clustering_tokens: Number of tokens, instruction and end-of-sequence included, above which a text to cluster
            loses its instruction; None for no such rule. Published: 256.
        summeval_p_values: Whether SummEval's correlation is the mean over statistic *and* p-value of each sample, as
            in early MTEB.
        summeval_flat_lists: Whether SummEval's machine summary becomes three texts without instruction (the
            instruction, the summary, "0"), of which the most similar counts: what InstructorEmbedding made of a list
            that was meant as one input.
        cosine_pairs: Whether pair classification is scored by the average precision of the cosine; otherwise it is by
            MTEB 2's main score, the best over several similarities.
        toxic_samples_per_label: Training examples per label of ToxicConversationsClassification; MTEB 2 has 16.
    """

    document_instructions: bool = True
    clustering_tokens: int | None = None
    summeval_p_values: bool = False
    summeval_flat_lists: bool = False
    cosine_pairs: bool = False
    toxic_samples_per_label: int = 16

    def __post_init__(self) -> None:
        if self.clustering_tokens is not None and self.clustering_tokens < 1:
            raise ValueError(f"clustering_tokens={self.clustering_tokens} must be at least 1, or None for no rule.")
        if self.toxic_samples_per_label < 1:
            raise ValueError(f"toxic_samples_per_label={self.toxic_samples_per_label} must be at least 1.")

    @property
    def name(self) -> str:
        """Returns "corrected", "published", or "custom"."""
        return {corrected(): "corrected", published(): "published"}.get(self, "custom")

    def settings(self) -> dict[str, Any]:
        """Returns the switches as JSON values."""
        return dataclasses.asdict(self)

    def describe(self) -> list[str]:
        """Returns one sentence per switch, as it is set."""
        tokens = self.clustering_tokens
        return [
            "Retrieval documents are read under their instruction."
            if self.document_instructions
            else "Retrieval documents are read without any instruction.",
            "Texts to cluster always keep their instruction."
            if tokens is None
            else f"Texts to cluster lose their instruction when both together exceed {tokens} tokens.",
            "SummEval averages correlations and their p-values, as early MTEB did."
            if self.summeval_p_values
            else "SummEval averages correlations.",
            "SummEval's machine summaries are encoded as three bare texts: the instruction, the summary, and '0'."
            if self.summeval_flat_lists
            else "SummEval's machine summaries are read under their instruction.",
            "Pair classification is scored by the average precision of the cosine."
            if self.cosine_pairs
            else "Pair classification is scored by MTEB's main score (the best average precision over similarities).",
            f"ToxicConversationsClassification trains on {self.toxic_samples_per_label} examples per label.",
        ]


def corrected() -> Protocol:
    """Returns the default protocol: what the tasks mean to measure."""
    return Protocol()


def published() -> Protocol:
    """Returns the protocol of the code behind the published scores."""
    return Protocol(
        document_instructions=False,
        clustering_tokens=256,
        summeval_p_values=True,
        summeval_flat_lists=True,
        cosine_pairs=True,
        toxic_samples_per_label=32,
    )
