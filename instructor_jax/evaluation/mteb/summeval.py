"""SummEval as the published scores have it, with what InstructorEmbedding made of its machine summaries.

The published code passed each machine summary as the flat list [instruction, summary, 0]. `encode` took that for three
separate strings, so the model never saw the summary under its instruction, and the score of a summary became the best
similarity of *three* vectors (instruction, bare summary, "0") to the instructed human summaries.
"""

import warnings
from typing import Any

import numpy as np

from instructor_jax.evaluation.mteb.encoder import MtebEncoder
from instructor_jax.evaluation.protocol import Protocol
from instructor_jax.inference.quantization import unit_length


def evaluator(task: Any, protocol: Protocol) -> Any:
    """Returns the evaluator that a protocol asks for: whether p-values are averaged in, and what is encoded.

    Args:
        task: MTEB's SummEval, whose own evaluator averages p-values in; `protocol` decides.
        protocol: the switches.
    """
    from mteb.abstasks.text.summarization import AbsTaskSummarization

    scored = type(task).evaluator if protocol.summeval_p_values else AbsTaskSummarization.evaluator
    if not protocol.summeval_flat_lists:
        return scored
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # MTEB keeps the faulty evaluator for comparisons like ours
        return type(f"FlatList{scored.__name__}", (FlatListDistances, scored), {})


class FlatListDistances:
    """Replaces an evaluator's distances; mixed in before an evaluator of MTEB, whose metrics are kept."""

    human_summaries: list[list[str]]
    machine_summaries: list[list[str]]
    gold_scores: list[list[float]]
    task_metadata: Any

    def __call__(self, model: Any, *, encode_kwargs: Any = None, num_proc: int | None = None) -> dict[str, Any]:
        """Computes MTEB's `SummarizationDistances`; samples whose scores are all equal are skipped, as MTEB does.

        Raises:
            TypeError: the model is not our own adapter, whose instruction is needed as a text.
        """
        if not isinstance(model, MtebEncoder):
            raise TypeError(f"the published behaviour of SummEval needs our own encoder, not {type(model).__name__}.")
        instruction = model.instruction(self.task_metadata, "query")
        texts = [text for summaries in self.human_summaries for text in summaries]
        human = unit_length(model.encode_texts(texts, self.task_metadata, "query"))
        machine_texts = [text for summaries in self.machine_summaries for text in summaries]
        # The texts that are the same for every summary stand last.
        bare = unit_length(model.embedder.encode([*machine_texts, instruction, "0"], ""))
        human_at = np.cumsum([0, *map(len, self.human_summaries)])
        machine_at = np.cumsum([0, *map(len, self.machine_summaries)])
        kept: tuple[list[list[float]], list[list[float]]] = ([], [])
        for sample, gold in enumerate(self.gold_scores):
            own = human[human_at[sample] : human_at[sample + 1]]
            always = float((bare[-2:] @ own.T).max())
            best = (bare[machine_at[sample] : machine_at[sample + 1]] @ own.T).max(axis=1)
            scores = np.maximum(best, always).tolist()
            if len(set(scores)) > 1 and len(set(gold)) > 1:
                kept[0].append(scores)
                kept[1].append(list(gold))
        return {"cosine_scores": kept[0], "dot_scores": kept[0], "similarity_scores": kept[0], "human_scores": kept[1]}
