"""MTEB's own benchmarks by name: what every task is read under, and a run of one from the command."""

import json
from pathlib import Path

import numpy as np
import pytest

from instructor_jax.evaluation.main import ProtocolOptions, TaskOptions, evaluate
from instructor_jax.evaluation.task_instructions import default_table
from instructor_jax.text.instructions import lint_instruction

from ..known_vectors import KnownVectors, table_of
from ..toy_tasks import retrieval_data, sts, toy_task

pytest.importorskip("mteb")
pytestmark = pytest.mark.torch

QUESTION, DOCUMENT = "question for retrieving supporting documents: ", "document for retrieval: "


@pytest.mark.parametrize(
    ("task", "query", "document", "origin"),
    [
        ("ArguAna", None, None, "table"),
        ("FEVERHardNegatives", None, None, "table, as FEVER"),
        ("Touche2020Retrieval.v3", None, None, "table, as Touche2020"),
        ("SummEvalSummarization.v2", None, None, "table, as SummEval"),
        ("ArXivHierarchicalClusteringP2P", None, None, "table, as ArxivClusteringP2P"),
        ("MedrxivClusteringS2S.v2", None, None, "table, as MedrxivClusteringS2S"),
        ("NanoNQRetrieval", None, None, "table, as NQ"),
        (
            "LegalBenchCorporateLobbying",
            f"Represent the legal {QUESTION}",
            f"Represent the legal {DOCUMENT}",
            "metadata",
        ),
        ("BUCC.v2", "Represent the sentence for retrieving its translation: ", None, "metadata"),
        ("WikiCitiesClustering", "Represent the Wikipedia text for clustering: ", None, "metadata"),
    ],
)
def test_instructions_and_where_they_come_from(task, query, document, origin):
    import mteb

    from instructor_jax.evaluation.mteb.described import described

    table = default_table()
    found = described(mteb.get_task(task).metadata, table)
    assert found.origin == origin
    if origin.startswith("table"):
        named = origin.partition(", as ")[2] or task
        assert (found.instructions.query, found.instructions.document) == (
            table.of(named, "query"),
            table.of(named, "document"),
        )
    else:
        assert (found.instructions.query, found.instructions.document) == (query, document or query)


@pytest.mark.slow
def test_every_text_task_of_every_benchmark_has_instructions_of_the_papers_form():
    import mteb

    from instructor_jax.evaluation.mteb.described import described, is_known_kind

    table, texts = default_table(), 0
    tasks = {task.metadata.name: task.metadata for benchmark in mteb.get_benchmarks() for task in benchmark.tasks}
    for metadata in tasks.values():
        if is_known_kind(metadata):
            found = described(metadata, table)
            texts += 1
            if found.origin == "metadata":
                assert lint_instruction(found.instructions.query) == [], metadata.name
                assert lint_instruction(found.instructions.document) == [], metadata.name
        elif set(metadata.modalities) != {"text"}:
            with pytest.raises(ValueError, match="texts are encoded"):
                described(metadata, table)
    assert texts > 500
    with pytest.raises(ValueError, match="is a task of the kind"):
        described(mteb.get_task("CIFAR10Clustering").metadata, table)


@pytest.fixture
def toy_benchmark(monkeypatch):
    """A benchmark of two tasks on texts, one of them no task of the paper's, and one on pictures; vectors are known."""
    import mteb

    whole = mteb.get_benchmark

    def tasks():
        return [
            sts("STSBenchmark"),
            toy_task("LegalBenchCorporateLobbying", retrieval_data()),
            mteb.get_task("CIFAR10Clustering"),
        ]

    def get_benchmark(name):
        return mteb.Benchmark(name=name, tasks=tasks()) if name == "Toy(eng, v1)" else whole(name)

    monkeypatch.setattr(mteb, "get_benchmark", get_benchmark)
    monkeypatch.setattr("instructor_jax.evaluation.main.load", lambda name, **options: KnownVectors())


@pytest.mark.slow
@pytest.mark.usefixtures("toy_benchmark")
def test_a_benchmark_runs_by_its_name_and_prints_what_its_tasks_are_read_under(tmp_path, capsys, request):
    evaluate("known", output=tmp_path, chosen=TaskOptions(benchmark="Toy(eng, v1)"))
    printed = capsys.readouterr().out
    assert "STSBenchmark" in printed
    assert f"queries 'Represent the legal {QUESTION}', documents 'Represent the legal {DOCUMENT}' (metadata)" in printed
    assert "2 tasks run, 1 not run" in printed
    files = {path.relative_to(tmp_path).as_posix().split("/", 2)[2]: path for path in tmp_path.glob("runs/*/*/*.json")}
    assert set(files) == {
        "mteb/STSBenchmark.json",  # the paper's own
        "Toy(eng,_v1)/LegalBenchCorporateLobbying.json",
        "Toy(eng,_v1)/CIFAR10Clustering.json",
    }
    pictures = json.loads(files["Toy(eng,_v1)/CIFAR10Clustering.json"].read_text(encoding="utf-8"))
    assert pictures["reason"] == "ImageClustering on image is no task of a text encoder"
    legal = json.loads(files["Toy(eng,_v1)/LegalBenchCorporateLobbying.json"].read_text(encoding="utf-8"))
    assert legal["details"]["encoded"]["query"].startswith(f"Represent the legal {QUESTION}")
    assert legal["details"]["encoded"]["document"].startswith(f"Represent the legal {DOCUMENT}")
    assert "LegalBenchCorporateLobbying" in (tmp_path / "report.md").read_text(encoding="utf-8")
    before = {
        path: path.stat().st_mtime_ns
        for path in files.values()
        if path is not files["Toy(eng,_v1)/CIFAR10Clustering.json"]
    }
    evaluate("known", output=tmp_path, chosen=TaskOptions(benchmark="Toy(eng, v1)"))
    assert {path: path.stat().st_mtime_ns for path in before} == before  # finished tasks are not run again


@pytest.fixture
def no_report(monkeypatch):
    """Reports with their pictures take seconds to write; one test reads them."""
    monkeypatch.setattr("instructor_jax.evaluation.report.write.write_report", lambda output: (output, output))


@pytest.mark.slow
@pytest.mark.usefixtures("toy_benchmark", "no_report")
def test_what_is_printed_is_what_the_run_has(tmp_path, capsys):
    own = tmp_path / "own.csv"
    own.write_text("task,side,exact\nLegalBenchCorporateLobbying,both,Represent the bill: \n", encoding="utf-8")
    chosen = TaskOptions(benchmark="Toy(eng, v1)", tasks=("LegalBenchCorporateLobbying",))
    evaluate("known", output=tmp_path / "a", chosen=chosen, protocol=ProtocolOptions(instructions=own))
    evaluate("known", output=tmp_path / "b", chosen=chosen, protocol=ProtocolOptions(without_instructions=True))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Legal") and "(" in line]
    assert "'Represent the bill: ' (own.csv (" in lines[0]
    assert "'' (no instructions)" in lines[1]


def test_an_unknown_benchmark_is_told(tmp_path):
    with pytest.raises(
        ValueError, match=r"--benchmark 'MTEB\(eng, v9\)' is neither ours nor one of MTEB's; did you mean"
    ):
        evaluate("default", output=tmp_path, chosen=TaskOptions(benchmark="MTEB(eng, v9)"))
    assert list(tmp_path.iterdir()) == []


def test_queries_with_instructions_of_their_own_are_read_with_them():
    from datasets import Dataset

    from instructor_jax.evaluation.mteb.encoder import query_texts

    rows = {"id": ["1", "2"], "text": ["a", "b"], "instruction": ["only new ones", None]}
    assert query_texts(Dataset.from_dict(rows)) == ["a only new ones", "b"]
    with pytest.raises(ValueError, match="conversations"):
        query_texts(Dataset.from_dict({"id": ["1"], "text": [["a", "b"]]}))


def test_results_of_other_subsets_join_those_that_lie_there(tmp_path: Path):
    import mteb
    from mteb.results import TaskResult

    from instructor_jax.evaluation.mteb.encoder import MtebEncoder
    from instructor_jax.evaluation.mteb.results import load_result, save_result
    from instructor_jax.evaluation.protocol import corrected

    meta = MtebEncoder(KnownVectors(), table_of("STSBenchmark"), corrected()).mteb_model_meta
    for subset in ("one", "two", "two"):
        scores = {
            "test": {
                subset: {"cosine_spearman": 0.5, "main_score": 0.5, "hf_subset": subset, "languages": ["eng-Latn"]}
            }
        }
        result = TaskResult.from_task_results(mteb.get_task("STSBenchmark"), scores, evaluation_time=1.0)
        save_result(result, meta, tmp_path, {})
    stored = load_result("STSBenchmark", meta, tmp_path)
    assert stored is not None
    assert sorted(entry["hf_subset"] for entry in stored.scores["test"]) == ["one", "two"]
    assert np.isfinite(stored.get_score())
