"""The command from end to end on real local data with tiny models, and its mistakes."""

import json

import pytest

from instructor_jax.evaluation.main import ProtocolOptions, TaskOptions, evaluate

pytest.importorskip("mteb")
pytestmark = pytest.mark.torch

TASKS = ("STS16", "NluChatbotClassificationLocal", "CovidFaqRetrievalLocal", "mt", "NQ")


@pytest.fixture(scope="module")
def evaluated(tiny_instructor, shared, tmp_path_factory):
    """Ours and sentence-transformers in one call, on at most 20 examples."""
    pytest.importorskip("sentence_transformers")
    output = tmp_path_factory.mktemp("evaluated")
    chosen = TaskOptions(benchmark="all", tasks=TASKS, data=shared / "data" / "raw", limit=20)
    arguments = {"chosen": chosen, "output": output}
    evaluate(str(tiny_instructor), f"st:{tiny_instructor}", **arguments)
    return output, arguments


@pytest.mark.slow
def test_both_ways_give_the_same_scores_and_missing_data_are_reported(evaluated):
    output, _ = evaluated
    scores = {}
    for path in output.glob("runs/*/*/*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        model = content["settings"]["model"].split("/")[0]
        scores.setdefault(content["task"], {})[model] = content["score"]
    assert set(scores) == set(TASKS)
    for absent in ("NQ", "mt"):
        assert scores.pop(absent) == {"local": None, "sentence-transformers": None}
    for task, found in scores.items():
        # Vectors agree to 3e-7; the classifier amplifies that: one of 20 test texts in one of ten experiments is 0.5.
        tolerance = 0.51 if "Classification" in task else 0.01
        assert found["local"] == pytest.approx(found["sentence-transformers"], abs=tolerance), task
    report = (output / "report.md").read_text(encoding="utf-8")
    assert "its data cannot be loaded" in report
    assert (output / "report.html").is_file()


@pytest.mark.slow
def test_a_second_call_runs_nothing_again(evaluated, tiny_instructor, monkeypatch):
    output, arguments = evaluated
    before = {path: path.stat().st_mtime_ns for path in output.glob("runs/*/*/*.json") if path.stem not in ("NQ", "mt")}
    evaluate(str(tiny_instructor), **arguments)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 1}, "--limit 1 must be at least 2"),
        ({"benchmark": "mteb", "tasks": ("Banking7",)}, "did you mean Banking77Classification"),
    ],
)
def test_mistakes_are_one_line(tiny_instructor, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(str(tiny_instructor), output=tmp_path, chosen=TaskOptions(**options))


def test_no_model_is_one_line():
    with pytest.raises(ValueError, match="no model is named"):
        evaluate()


def test_options_make_the_protocol():
    assert ProtocolOptions().protocol().name == "corrected"
    assert ProtocolOptions(published_protocol=True).protocol().name == "published"
    mixed = ProtocolOptions(published_protocol=True, document_instructions=True, clustering_tokens=0).protocol()
    assert (mixed.name, mixed.document_instructions, mixed.clustering_tokens) == ("custom", True, None)


def test_instructions_and_none_exclude_each_other(tmp_path):
    with pytest.raises(ValueError, match="exclude each other"):
        ProtocolOptions(instructions=tmp_path / "x.csv", without_instructions=True).table(1)
    assert ProtocolOptions(without_instructions=True).table(1).of("NQ", "query") == ""


def test_help_shows_examples(capsys):
    from cyclopts import App

    app = App(help_format="plaintext", result_action="return_value")
    app.command(evaluate)
    app(["evaluate", "--help"])
    shown = capsys.readouterr().out
    assert "instructor-jax evaluate hkunlp/instructor-large --benchmark mteb" in shown
    assert "--published-protocol" in shown
    assert "--document-instructions" in shown
