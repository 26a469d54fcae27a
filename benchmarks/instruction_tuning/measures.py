"""What a trained model is measured on: tasks it never saw, held-out triples, crossed labels, other wordings."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from instructor_jax import Instructor
from instructor_jax.evaluation.embedders import JaxEmbedder
from instructor_jax.evaluation.local.classification import read_banking77
from instructor_jax.evaluation.mteb.jobs import MtebOptions
from instructor_jax.evaluation.protocol import corrected
from instructor_jax.evaluation.selection import select_jobs
from instructor_jax.evaluation.studies.studies import paraphrases
from instructor_jax.evaluation.task_instructions import InstructionTable, default_table
from instructor_jax.train.data.examples import Example

# Task -> most examples of it; few, and short ones, since every run is measured on them.
SYMMETRIC = {
    "STSBenchmark": 200,
    "STS16": 150,
    "CovidQuestionPairsLocal": 100,
    "AgNewsClusteringLocal": 256,
    "PublicApisClusteringLocal": 256,
}
ASYMMETRIC = {"CovidFaqRetrievalLocal": 40, "XQuADRetrieval": 12, "TrecQaRerankingLocal": 12}
REWORDED = {"STSBenchmark": 60, "PublicApisClusteringLocal": 128}

# Labels of Banking77 that cross: what it is about, and what happened to it.
CROSSED = {
    ("card payment", "pending"): "pending_card_payment",
    ("card payment", "failed"): "declined_card_payment",
    ("card payment", "fee"): "card_payment_fee_charged",
    ("cash withdrawal", "pending"): "pending_cash_withdrawal",
    ("cash withdrawal", "failed"): "declined_cash_withdrawal",
    ("cash withdrawal", "fee"): "cash_withdrawal_charge",
    ("top-up", "pending"): "pending_top_up",
    ("top-up", "failed"): "top_up_failed",
    ("top-up", "fee"): "top_up_by_card_charge",
    ("transfer", "pending"): "pending_transfer",
    ("transfer", "failed"): "failed_transfer",
    ("transfer", "fee"): "transfer_fee_charged",
}
WORDINGS = (
    (
        "Represent the bank customer's message for classifying the kind of transaction that it is about: ",
        "Represent the bank customer's message for classifying what went wrong: ",
    ),
    (
        "Represent the banking question for finding questions about the same way to move money: ",
        "Represent the banking question for finding questions with the same complaint: ",
    ),
)


def task_scores(model: Instructor, data: Path, tasks: Mapping[str, int], table: InstructionTable) -> dict[str, float]:
    """Main score of each local task in percent, on at most so many of its examples."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="instruction-tuning-") as scratch:
        for most in sorted(set(tasks.values())):
            options = MtebOptions(table, corrected(), Path(scratch), limit=most, keep_vectors=False)
            names = [task for task, limit in tasks.items() if limit == most]
            for job in select_jobs("local", names, options, data):
                outcome = job.run(JaxEmbedder(model, "local/tuned", "now"))
                if outcome.score is None:
                    raise ValueError(f"{outcome.task}: {outcome.reason}")
                found[outcome.task] = outcome.score
    return {task: found[task] for task in tasks}


def reworded_scores(model: Instructor, data: Path) -> dict[str, list[float]]:
    """Scores of a few tasks under each of five wordings of their instructions."""
    table, rewritten = default_table(), paraphrases()
    variants = [
        table.replaced({task: rewritten[task][number] for task in REWORDED}, f"wording {number + 1}")
        for number in range(5)
    ]
    scores = [task_scores(model, data, REWORDED, variant) for variant in variants]
    return {task: [one[task] for one in scores] for task in REWORDED}


def triples_obeyed(model: Instructor, triples: Mapping[str, Sequence[Example]], instructed: bool) -> dict[str, float]:
    """Percent of each task's held-out triples whose positive is nearer to the query than the negative is."""
    found = {}
    for task, examples in triples.items():
        sides = [side for one in examples for side in (one.query, one.positive, one.negatives[0])]
        given = [[side.instruction if instructed else "", side.text] for side in sides]
        query, positive, negative = np.asarray(model.encode(given)).reshape(len(examples), 3, -1).swapaxes(0, 1)
        nearer = np.sum(query * positive, axis=1) > np.sum(query * negative, axis=1)
        found[task] = 100 * float(nearer.mean())
    return found


def crossed_obedience(model: Instructor, folder: Path, instructed: bool, per_cell: int = 10) -> dict[str, float]:
    """How often the text that is alike in what the instruction asks for is nearer than one alike in the other way.

    Percent, the mean of both kinds of instruction; 50 means that the instruction changes nothing. Labels and data that
    no training used: customers' messages to a bank.
    """
    test = read_banking77(folder).test
    places: dict[str, list[int]] = {}
    for number, label in enumerate(test.labels):
        places.setdefault(str(label), []).append(number)
    cells = [(cell, number) for cell, label in CROSSED.items() for number in places[label][:per_cell]]
    texts = [test.texts[number] for _, number in cells]
    labels = (np.array([cell[0] for cell, _ in cells]), np.array([cell[1] for cell, _ in cells]))
    found = {"none": preferred(model, texts, ("", ""), labels)}
    for number, wordings in enumerate(WORDINGS if instructed else (), start=1):
        found[f"wording {number}"] = preferred(model, texts, wordings, labels)
    return found


def preferred(
    model: Instructor, texts: Sequence[str], instructions: tuple[str, str], labels: tuple[np.ndarray, np.ndarray]
) -> float:
    """Percent of comparisons in which a text of the same label of the kind asked for is nearer than one of the other.

    Args:
        model: The model.
        texts: The texts.
        instructions: One that asks for the first kind of label, one for the second.
        labels: Both labels of every text.
    """
    values = []
    for instruction, wanted, unwanted in zip(instructions, labels, labels[::-1], strict=True):
        vectors = np.asarray(model.encode(list(texts), instruction=instruction))
        scores = vectors @ vectors.T
        same, rival = wanted[:, None] == wanted, unwanted[:, None] == unwanted
        alike, opposed = same & ~rival, rival & ~same
        rows = []
        for row in range(len(texts)):
            gaps = scores[row][alike[row]][:, None] - scores[row][opposed[row]]
            rows.append(np.mean((gaps > 0) + 0.5 * (gaps == 0)))
        values.append(float(np.mean(rows)))
    return 100 * float(np.mean(values))
