"""SummEval's three behaviours beside a computation of their own."""

from typing import Any

import numpy as np
import pytest

from instructor_jax.evaluation.protocol import Protocol

from ..known_vectors import KnownVectors, table_of
from ..toy_tasks import summaries

pytest.importorskip("mteb")
pytestmark = pytest.mark.torch


def score(protocol: Protocol) -> float:
    """SummEval's figure in percent through the job."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from instructor_jax.evaluation.mteb.jobs import MTEB, MtebOptions, mteb_job

    with TemporaryDirectory() as folder:
        options = MtebOptions(table_of("SummEval"), protocol, Path(folder))
        found = mteb_job(summaries(), options, MTEB).run(KnownVectors()).score
    assert found is not None
    return found


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def expected(*, flat: bool, p_values: bool) -> float:
    """The same from the texts: per sample the correlation of best similarities and human scores."""
    from scipy.stats import spearmanr

    instruction, embedder, results = "SummEval query: ", KnownVectors(), []
    for row in summaries().dataset["test"]:
        human = unit(embedder.encode(row["human_summaries"], instruction))
        best = []
        for text in row["machine_summaries"]:
            texts = [instruction.strip(), text, "0"] if flat else [text]
            machine = unit(
                embedder.encode(texts if not flat else [instruction, text, "0"], "" if flat else instruction)
            )
            best.append((machine @ human.T).max())
        if len(set(best)) > 1:
            found: Any = spearmanr(row["relevance"], best)
            results.append((found[0] + found[1]) / 2 if p_values else found[0])
    return 100 * float(np.mean(results))


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("p_values", [False, True])
def test_every_switch_does_what_it_says(flat, p_values):
    protocol = Protocol(summeval_flat_lists=flat, summeval_p_values=p_values)
    # Ranks decide; only the order of float32 sums differs.
    assert score(protocol) == pytest.approx(expected(flat=flat, p_values=p_values), abs=1e-3)


def test_the_switches_matter_on_these_texts():
    values = {expected(flat=flat, p_values=p_values) for flat in (False, True) for p_values in (False, True)}
    assert len(values) == 4


def test_the_flat_lists_need_our_own_encoder():
    from mteb.timing import TimingStack

    from instructor_jax.evaluation.mteb.summeval import evaluator

    task = summaries()
    kind = evaluator(task, Protocol(summeval_flat_lists=True))
    made = kind([["a"]], [["b"]], ["c"], [[1.0]], task_metadata=task.metadata, hf_split="test", hf_subset="default",
                timer=TimingStack())  # fmt: skip
    with pytest.raises(TypeError, match="our own encoder"):
        made(object(), encode_kwargs={})
