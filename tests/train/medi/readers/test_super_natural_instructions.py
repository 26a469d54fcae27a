"""Task files of both formats become instances; licence and kind follow from the file."""

import json

import pytest

from instructor_jax.train.medi.files.records import Instance
from instructor_jax.train.medi.readers.source import read_source
from instructor_jax.train.medi.readers.super_natural_instructions import FOLDER, super_natural_sources


def _task(instances, **changes):
    task = {
        "Definition": ["Name the capital."],
        "Categories": ["Question Answering"],
        "Domains": ["News -> Sports"],
        "Instance License": ["Apache 2.0"],
        "Instances": instances,
    }
    return json.dumps({name: value for name, value in (task | changes).items() if value is not None})


def _final(number, text, *outputs):
    return {"id": f"task1-{number}", "input": text, "output": list(outputs)}


def _sources(make_folder, files):
    folder = make_folder({f"{FOLDER}/{name}": text for name, text in files.items()})
    return folder, super_natural_sources(folder / FOLDER)


def test_final_format(make_folder):
    task = _task([_final("a", " one ", "yes", "yeah"), _final("b", "two", "no")])
    root, (source,) = _sources(make_folder, {"tasks/task1_capital.json.gz": task})
    assert list(read_source(source, root)) == [Instance("one", "yes", "task1-a"), Instance("two", "no", "task1-b")]
    assert (source.name, source.kind, source.mined) == ("task1_capital", "symmetric", True)
    assert str(source.query) == "Represent the sports question for retrieving its answer: "
    assert source.document == source.query
    assert (source.licence, source.redistributable) == ("Apache 2.0", True)


def test_early_format_has_numbers_for_ids_and_no_licence(make_folder):
    instances = [{"input": f"text {i}", "output": ["good" if i % 2 else "bad"]} for i in range(20)]
    task = _task(
        instances, Definition="Rate.", Categories=["Classification"], Domains=None, **{"Instance License": None}
    )
    root, (source,) = _sources(make_folder, {"tasks_early_format/task2_rating.json": task})
    rows = list(read_source(source, root))
    assert rows[:2] == [Instance("text 0", "bad", "1", "bad"), Instance("text 1", "good", "2", "good")]
    assert (source.kind, source.licence, source.redistributable) == ("classification", "not given", False)
    assert str(source.query) == "Represent the text for classification: "


@pytest.mark.parametrize(
    ("licence", "free"),
    [
        (["CC BY 4.0"], True),
        (["WordNet 3.0 license (https://wordnet.princeton.edu/license-and-commercial-use)"], True),
        (["CC BY-NC 4.0"], False),
        (["Unknown"], False),
        (["CC BY 4.0", "Unknown"], False),
        (["Dedicated License (https://example.org)"], False),
    ],
)
def test_only_named_free_licences_are_redistributable(make_folder, licence, free):
    task = _task([_final("a", "x", "y")], **{"Instance License": licence})
    _, (source,) = _sources(make_folder, {"tasks/task1.json": task})
    assert source.redistributable is free


def test_tasks_come_in_the_order_of_their_numbers(make_folder):
    task = _task([_final("a", "x", "y")])
    names = ["task10_a", "task9_b", "task861_c", "task861_b"]
    _, sources = _sources(make_folder, {f"tasks/{name}.json": task for name in names})
    assert [source.name for source in sources] == ["task9_b", "task10_a", "task861_b", "task861_c"]


def test_an_answer_that_names_an_option_becomes_its_text(make_folder):
    text = "Prompt: He \nCompletion A: ran. \nCompletion B: flew."
    task = _task([_final("a", text, "Completion B"), _final("b", "x: y\nA plan: z", "A plan")])
    root, (source,) = _sources(make_folder, {"tasks/task1.json": task})
    assert [row.output for row in read_source(source, root)] == ["flew.", "A plan"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "must hold a JSON dict"),
        ("{}", "needs the field 'Instances'"),
        (_task([]), "has no instances"),
        (_task([_final("a", "x", "y"), {"id": "b", "input": "x"}]), "row 2: needs the field 'output'"),
        (_task([{"id": "a", "input": "x", "output": "y"}]), "row 1: 'output' must be list"),
        (_task([_final("a", "x", "y"), _final("b", "z")]), "row 2: the instance has no output"),
    ],
)
def test_malformed_files_name_file_and_instance(make_folder, text, problem):
    with pytest.raises(ValueError, match=rf"task1\.json.*{problem}"):
        _sources(make_folder, {"tasks/task1.json": text})


def test_a_folder_without_tasks_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="has no task files"):
        super_natural_sources(tmp_path)
