"""Instructions ranked on a labelled file, each figure with how sure it is.

Rows are few, so every figure has a bootstrap interval, and its distance to the leader one on the same resamples. An
instruction whose distance may be zero is not shown to be worse.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from instructor_jax.evaluation.studies.labelled_files import LabelledFile
from instructor_jax.model_options import Embedder
from instructor_jax.text.instructions import lint_instruction

CONFIDENCE = 95  # percent


@dataclasses.dataclass(frozen=True)
class Ranked:
    """One instruction's place.

    Attributes:
        instruction: Instruction as it was given; "" is none.
        score: Figure in percent.
        interval: Bootstrap interval of the figure, in percent.
        behind: Interval (least, most) of its distance to the leader in percent points; None for the leader.
        more: Further figures in percent, by name.
        remarks: Ways in which it is unlike the instructions that published models were trained on.
    """

    instruction: str
    score: float
    interval: tuple[float, float]
    behind: tuple[float, float] | None
    more: dict[str, float]
    remarks: list[str]


def rank(
    embedder: Embedder,
    labelled: LabelledFile,
    candidates: Sequence[str],
    document_instruction: str | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Ranked]:
    """Measures every candidate and ranks them, best first; of equals the one given first.

    Args:
        embedder: a loaded model.
        labelled: the rows.
        candidates: instructions.
        document_instruction: instruction of the second side of `query,positive`; None is the candidate itself.
        resamples: number of resamples of the rows, with replacement, the same for all candidates.
        seed: random seed for the resamples.
    """
    draws = np.random.default_rng(seed).integers(labelled.rows, size=(resamples, labelled.rows))

    def encoder(instruction: str):
        return lambda texts: embedder.encode(texts, instruction=instruction, show_progress_bar=False)

    measured = []
    for candidate in tqdm(candidates, desc="instructions", disable=None, dynamic_ncols=True):
        other = candidate if document_instruction is None else document_instruction
        measured.append(labelled.measure(encoder(candidate), encoder(other), draws))
    order = sorted(range(len(candidates)), key=lambda number: -measured[number].score)
    leader = measured[order[0]]
    return [
        Ranked(
            candidates[number],
            measured[number].score,
            _interval(measured[number].resampled),
            None if number == order[0] else _interval(leader.resampled - measured[number].resampled),
            measured[number].more,
            lint_instruction(candidates[number]),
        )
        for number in order
    ]


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, [(100 - CONFIDENCE) / 2, (100 + CONFIDENCE) / 2])
    return float(low), float(high)
