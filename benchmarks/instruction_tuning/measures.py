"""What a trained model is measured on besides crossed labels: tasks it never saw, held-out triples, other wordings."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from instructor_jax import Instructor
from instructor_jax.evaluation.embedders import JaxEmbedder
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
