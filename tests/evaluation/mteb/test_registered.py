"""Models as MTEB's own functions take them: by a record, by name, with their results under the record's name."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.evaluation.embedders import JaxEmbedder, folder_hash, jax_model_name
from instructor_jax.evaluation.leaderboard import card as write_card
from instructor_jax.evaluation.leaderboard import meta as print_meta
from instructor_jax.evaluation.leaderboard import results as write_results
from instructor_jax.evaluation.main import TaskOptions, evaluate

from ..toy_tasks import retrieval_data, sts, toy_task

pytest.importorskip("mteb")
pytestmark = pytest.mark.torch

CARD = """---
license: mit
language:
- en
- xx
base_model: google-t5/t5-base
---
# A model

```bibtex
@article{someone2026,
  title = {A title},
}
```
"""


@pytest.fixture(scope="module")
def folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a card."""
    place = tmp_path_factory.mktemp("with card") / "carded"
    shutil.copytree(tiny_folder, place)
    (place / "README.md").write_text(CARD, encoding="utf-8")
    return place


@pytest.mark.slow
def test_mtebs_own_evaluate_takes_the_record(folder: Path, tmp_path: Path, monkeypatch):
    import mteb
    from scipy.stats import spearmanr

    from instructor_jax.evaluation.mteb.registered import instructor_meta

    meta = instructor_meta(folder, name="my-org/my-model", revision="0123abc")
    tasks = [sts("STSBenchmark"), toy_task("LegalBenchCorporateLobbying", retrieval_data())]
    cache = mteb.ResultCache(tmp_path)
    outcome = mteb.evaluate(meta, tasks, cache=cache, co2_tracker=False, show_progress_bar=False)
    model, rows = Instructor.from_pretrained(folder, devices="cpu:0"), tasks[0].dataset["test"]
    sides = [list(rows[side]) for side in ("sentence1", "sentence2")]
    first, second = (model.encode(side, instruction="Represent the statement: ") for side in sides)
    expected = spearmanr((first * second).sum(axis=1), rows["score"])[0]
    assert outcome.task_results[0].get_score() == pytest.approx(expected, abs=1e-6)  # ranks count, and mteb rounds
    written = tmp_path / "results" / "my-org__my-model" / "0123abc"
    assert {path.name for path in written.glob("*.json")} == {
        "STSBenchmark.json",
        "LegalBenchCorporateLobbying.json",
        "model_meta.json",
    }


def test_a_registered_model_is_found_by_its_name(folder: Path, monkeypatch):
    import mteb
    from mteb.models import model_implementations

    from instructor_jax.evaluation.mteb.registered import instructor_meta, register

    monkeypatch.setattr(model_implementations, "MODEL_REGISTRY", known := dict(model_implementations.MODEL_REGISTRY))
    monkeypatch.setattr("mteb.models.get_model_meta.MODEL_REGISTRY", known)
    register(instructor_meta(folder, name="my-org/my-model"))
    assert mteb.get_model_meta("my-org/my-model").embed_dim == 48
    model: Any = mteb.get_model("my-org/my-model", device="cpu:0")
    metadata = mteb.get_task("STSBenchmark").metadata
    found = model.encode([{"text": ["a cat"]}], task_metadata=metadata, hf_split="test", hf_subset="default")
    expected = Instructor.from_pretrained(folder, devices="cpu:0").encode(
        ["a cat"], instruction="Represent the statement: "
    )
    np.testing.assert_allclose(found, expected, atol=2e-6)  # one text in other company


def test_a_record_is_filled_from_folder_and_card(folder: Path, tiny_folder: Path):
    from instructor_jax.evaluation.mteb.registered import instructor_meta, unknown_fields

    model = Instructor.from_pretrained(tiny_folder)
    weights = sum(array.size for array in _leaves(model.params))
    meta = instructor_meta(folder, name="my-org/my-model")
    assert (meta.name, meta.revision) == ("my-org/my-model", folder_hash(folder))
    assert (meta.license, meta.languages, meta.adapted_from) == ("mit", ["eng-Latn"], "google-t5/t5-base")
    assert (meta.n_parameters, meta.embed_dim, meta.max_tokens) == (weights, 48, model.max_seq_length)
    assert meta.citation.startswith("@article{someone2026")
    assert meta.reference == "https://huggingface.co/my-org/my-model"
    assert unknown_fields(meta) == [
        "release_date",
        "public_training_code",
        "public_training_data",
        "training_datasets",
    ]
    bare = instructor_meta(tiny_folder)
    assert (bare.name, bare.license, bare.languages, bare.open_weights) == ("local/tiny", None, None, None)
    assert instructor_meta("default").name == "instructor-jax/default"
    assert instructor_meta("default").license == "apache-2.0"


def _leaves(tree):
    return [leaf for value in tree.values() for leaf in _leaves(value)] if isinstance(tree, dict) else [tree]


def test_the_command_prints_a_record_that_python_reads(folder: Path, capsys):
    from mteb.models.model_meta import ModelMeta, ScoringFunction

    from instructor_jax.evaluation.mteb.registered import instructor_meta, load_instructor

    print_meta(str(folder), name="my-org/my-model", revision="0123abc")
    printed = capsys.readouterr().out
    names = {"ModelMeta": ModelMeta, "ScoringFunction": ScoringFunction, "load_instructor": load_instructor}
    assert eval(printed, names) == instructor_meta(folder, name="my-org/my-model", revision="0123abc")
    assert printed.splitlines()[-1].startswith("# to be filled in: release_date, ")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "../../x/y"}, "name='../../x/y' must be organisation/model"),
        ({"name": "nothing"}, "name='nothing' must be organisation/model"),
        ({"revision": "../x"}, "revision='../x' must be a commit or a word"),
    ],
)
def test_impossible_names_are_refused(folder: Path, options, told):
    from instructor_jax.evaluation.mteb.registered import instructor_meta

    with pytest.raises(ValueError, match=told):
        instructor_meta(folder, **options)


@pytest.mark.parametrize(
    ("card", "told"),
    [(b"---\na: [\n---\n", "is no YAML"), (b"\xff\xfe", "is no text in UTF-8")],
)
def test_a_broken_card_is_told(tiny_folder: Path, tmp_path: Path, card, told):
    from instructor_jax.evaluation.mteb.model_card import read_model_card

    (tmp_path / "README.md").write_bytes(card)
    with pytest.raises(ValueError, match=told):
        read_model_card(tmp_path)


def test_the_card_of_a_model_on_the_hub_is_fetched(folder: Path, monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import EntryNotFoundError

    from instructor_jax.evaluation.mteb.model_card import ModelCard, fetch_model_card

    asked = []

    def download(name: str, file: str, *, revision: str | None) -> str:
        asked.append((name, file, revision))
        if name == "my-org/bare":
            raise EntryNotFoundError("there is none")
        return str(folder / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert fetch_model_card("my-org/my-model", "main").license == "mit"
    assert fetch_model_card("my-org/bare", None) == ModelCard()
    assert asked == [("my-org/my-model", "README.md", "main"), ("my-org/bare", "README.md", None)]


def test_a_card_runs_no_code(tmp_path: Path):
    from instructor_jax.evaluation.mteb.model_card import read_model_card

    (tmp_path / "README.md").write_text("---\nlicense: !!python/object/apply:os.getcwd []\n---\n", encoding="utf-8")
    with pytest.raises(ValueError, match="is no YAML"):
        read_model_card(tmp_path)


@pytest.mark.slow
def test_results_are_copied_into_the_leaderboards_form(folder: Path, tmp_path: Path, monkeypatch, capsys):
    import mteb

    whole = mteb.get_benchmark
    toy = {"Toy": lambda: mteb.Benchmark(name="Toy", tasks=[sts("STSBenchmark")])}
    monkeypatch.setattr(mteb, "get_benchmark", lambda name: toy[name]() if name in toy else whole(name))
    one_device = Instructor.from_pretrained(folder, devices="cpu:0")
    evaluated = JaxEmbedder(one_device, jax_model_name(str(folder)), folder_hash(folder))
    monkeypatch.setattr("instructor_jax.evaluation.main.load", lambda name, **options: evaluated)
    monkeypatch.setattr("instructor_jax.evaluation.report.write.write_report", lambda output: (output, output))
    evaluate(str(folder), output=tmp_path / "results", chosen=TaskOptions(benchmark="Toy"))
    options = {"evaluation": tmp_path / "results", "to": tmp_path / "board", "name": "my-org/my-model"}
    write_results(str(folder), revision="0123abc", **options)
    assert "1 results of my-org/my-model, revision 0123abc" in capsys.readouterr().out
    place = tmp_path / "board" / "results" / "my-org__my-model" / "0123abc"
    record = json.loads((place / "model_meta.json").read_text(encoding="utf-8"))
    assert (record["name"], record["revision"], record["license"]) == ("my-org/my-model", "0123abc", "mit")
    loaded = mteb.ResultCache(tmp_path / "board").load_results(["my-org/my-model"], tasks=["STSBenchmark"])
    (own,) = (tmp_path / "results").glob("mteb/results/*/*/STSBenchmark.json")
    figure = json.loads(own.read_text(encoding="utf-8"))["scores"]["test"][0]["main_score"]
    assert loaded.model_results[0].task_results[0].get_score() == pytest.approx(figure)
    (place / "STSBenchmark.json").write_text("a letter", encoding="utf-8")
    with pytest.raises(ValueError, match="STSBenchmark.json"):
        write_results(str(folder), revision="0123abc", **options)
    assert (place / "STSBenchmark.json").read_text(encoding="utf-8") == "a letter"
    with pytest.raises(ValueError, match="has no results of 'default' as it is now"):
        write_results("default", **options)


def test_results_go_into_the_card_in_the_hubs_form(folder: Path, tmp_path: Path, monkeypatch, capsys):
    import mteb
    from huggingface_hub import ModelCard

    from instructor_jax.evaluation.mteb.registered import instructor_meta
    from instructor_jax.evaluation.mteb.results import save_result

    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    with pytest.raises(ValueError, match="has no results of"):
        write_card(copy, evaluation=tmp_path / "results")
    assert (copy / "README.md").read_text(encoding="utf-8") == CARD
    run = instructor_meta(copy).model_copy(update={"name": jax_model_name(str(copy)), "revision": folder_hash(copy)})
    for task, score in (("STSBenchmark", 0.7), ("STS17", 0.6)):
        subset = "en-en" if task == "STS17" else "default"
        entry = {"main_score": score, "hf_subset": subset, "languages": ["eng-Latn"], "cosine_spearman": score}
        result = mteb.TaskResult(
            task_name=task, dataset_revision="r", mteb_version="2", scores={"test": [entry]}, evaluation_time=1.0
        )
        (tmp_path / "results" / "mteb").mkdir(parents=True, exist_ok=True)
        save_result(result, run, tmp_path / "results" / "mteb", {})
    write_card(copy, evaluation=tmp_path / "results", name="my-org/my-model")
    assert capsys.readouterr().out.endswith("README.md: 2 results\n")
    card: Any = ModelCard.load(copy / "README.md")
    assert card.text == ModelCard(CARD).text
    assert (card.data.license, card.data.language, card.data.base_model) == ("mit", ["en", "xx"], "google-t5/t5-base")
    (entry,) = card.data.to_dict()["model-index"]
    assert entry["name"] == "my-model"
    shown = {
        (one["task"]["type"], one["dataset"]["type"], one["dataset"]["config"]): one["metrics"][0]["value"]
        for one in entry["results"]
    }
    assert len(shown) == 2
    assert sorted(shown.values()) == [0.6, 0.7]
    assert {config for _, _, config in shown} == {"default", "en-en"}
    before = (copy / "README.md").read_text(encoding="utf-8")
    write_card(copy, evaluation=tmp_path / "results")  # the card counts for no result, so they are still the model's
    assert (copy / "README.md").read_text(encoding="utf-8") == before
    (copy / "README.md").write_text("---\nmodel-index: nonsense\n---\n", encoding="utf-8")
    with pytest.raises(ValueError, match="its head cannot be read"):
        write_card(copy, evaluation=tmp_path / "results")
    assert "nonsense" in (copy / "README.md").read_text(encoding="utf-8")
