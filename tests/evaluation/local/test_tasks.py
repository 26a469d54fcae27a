"""Local files as mteb tasks: mteb's classes and names, data that come back after mteb has unloaded them."""

from typing import Any

import numpy as np
import pytest

from instructor_jax.evaluation.local import tasks as module
from instructor_jax.evaluation.local.sources import SOURCES
from instructor_jax.evaluation.local.tasks import missing_tasks

mteb = pytest.importorskip("mteb")
pytestmark = pytest.mark.torch


def local_tasks(data, names=()) -> dict[str, Any]:
    """Untyped: what a task holds depends on its class."""
    return dict(module.local_tasks(data, names))


@pytest.fixture
def data(tmp_path):
    """A data folder with two sources: pairs, and a labelled set with a class that mteb's classifier can learn."""
    (tmp_path / "eval_covid_faq").mkdir()
    pairs = "question_1,question_2,similar\n" + "".join(f"a{n},b{n},{n % 2}\n" for n in range(8))
    (tmp_path / "eval_covid_faq" / "eval_question_similarity_en.csv").write_text(pairs)
    (tmp_path / "eval_covid_faq" / "faq_covidbert.csv").write_text("question,answer\nQ?,A\nR?,B\n")
    (tmp_path / "eval_amazon_counterfactual").mkdir()
    for part in ("train", "test"):
        lines = "".join(f"text {n}\t{n % 2}\n" for n in range(10))
        path = tmp_path / "eval_amazon_counterfactual" / f"EN_{part}.tsv"
        path.write_text("sentence\tis_counterfactual\n" + lines)
    return tmp_path


def test_only_what_is_there_becomes_a_task_and_the_rest_has_a_reason(data):
    tasks, missing = local_tasks(data), missing_tasks(data)
    assert list(tasks) == [
        "CovidQuestionPairsLocal",
        "AmazonCounterfactualClassification",
        "CovidFaqRetrievalLocal",
    ]
    assert missing.keys() == {source.task for source in SOURCES} - tasks.keys()
    assert missing["STSBenchmark"] == f"its folder {data / 'eval_stsbenchmark'} is absent"
    assert list(local_tasks(data, ["CovidFaqRetrievalLocal", "STSBenchmark"])) == ["CovidFaqRetrievalLocal"]


def test_an_unknown_name_is_answered_with_close_ones(data):
    with pytest.raises(ValueError, match="no local task 'STSBenchmarks'; did you mean STSBenchmark"):
        local_tasks(data, ["STSBenchmarks"])


def test_a_task_of_mteb_is_of_its_class_and_leaves_the_registry_as_it_is(data):
    task = local_tasks(data, ["AmazonCounterfactualClassification"])["AmazonCounterfactualClassification"]
    registered = mteb.get_task("AmazonCounterfactualClassification")
    assert isinstance(task, type(registered))
    assert task.samples_per_label == registered.samples_per_label == 32
    assert (task.hf_subsets, list(task.eval_splits), task.metadata.main_score) == (["en"], ["test"], "accuracy")
    assert registered.metadata.dataset["path"] == "mteb/amazon_counterfactual"


def test_the_revision_is_that_of_the_files(data):
    def revision():
        return local_tasks(data, ["CovidFaqRetrievalLocal"])["CovidFaqRetrievalLocal"].metadata.revision

    before = revision()
    assert revision() == before
    (data / "eval_covid_faq" / "faq_covidbert.csv").write_text("question,answer\nQ?,A\nR?,C\n")
    assert revision() != before


def test_data_come_back_after_they_were_unloaded(data):
    task = local_tasks(data)["CovidQuestionPairsLocal"]
    for _ in range(2):
        assert not task.data_loaded
        task.load_data()
        assert task.dataset["test"]["labels"][:3] == [0, 1, 0]
        task.unload_data()


def test_every_kind_of_record_reaches_mteb_in_its_columns(data):
    loaded = local_tasks(data)
    for task in loaded.values():
        task.load_data()
    pairs = loaded["CovidQuestionPairsLocal"].dataset["test"]
    amazon = loaded["AmazonCounterfactualClassification"].dataset["en"]
    faq = loaded["CovidFaqRetrievalLocal"].dataset["default"]["test"]
    assert pairs[1] == {"sentence1": "a1", "sentence2": "b1", "labels": 1}
    assert amazon["test"][3] == {"text": "text 3", "label": 1}
    assert len(amazon["train"]) == 10
    assert faq["corpus"][0] == {"id": "d0", "title": "", "text": "A"}
    assert (faq["queries"][1], faq["relevant_docs"]) == ({"id": "q1", "text": "R?"}, {"q0": {"d0": 1}, "q1": {"d1": 1}})


def test_a_perfect_model_gets_a_perfect_score_twice(data):
    """mteb's own evaluation, from loading to the score, with vectors that put the pairs of label 1 together."""
    from instructor_jax.evaluation.mteb.encoder import MtebEncoder
    from instructor_jax.evaluation.protocol import Protocol

    from ..known_vectors import KnownVectors, table_of

    eye = np.eye(16)
    vectors = {f"a{n}": eye[n] for n in range(8)} | {f"b{n}": eye[n if n % 2 else n + 8] for n in range(8)}
    task = local_tasks(data)["CovidQuestionPairsLocal"]
    for _ in range(2):
        encoder = MtebEncoder(KnownVectors(vectors), table_of("CovidQuestionPairsLocal"), Protocol())
        outcome = mteb.evaluate(encoder, task, cache=None, co2_tracker=False, show_progress_bar=False)
        scores = outcome.task_results[0].scores["test"][0]
        assert (scores["main_score"], scores["cosine_ap"]) == (1.0, 1.0)
        assert not task.data_loaded
