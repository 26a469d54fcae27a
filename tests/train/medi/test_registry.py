"""The registry over real data: every task has rows, stable ids, instructions, and the counts its origin states."""

import json
import logging
import pickle
import subprocess
import sys

import pytest

from instructor_jax.train.medi.readers.source import read_source
from instructor_jax.train.medi.registry import all_sources
from instructor_jax.train.medi.source_list import SOURCES

# Reads every source and prints what the tests look at. In a process of its own, without the run-time type checks of the
# test session: with them it would take five times as long.
MEASURE = """
import json, sys
from pathlib import Path
from instructor_jax.train.data.examples import Example
from instructor_jax.train.medi.registry import all_sources
from instructor_jax.train.medi.readers.source import read_source

def measure(source, root):
    found = dict(rows=0, empty=0, ids=set(), tasks=set(), instructions=set(), labels=set())
    positives, negatives = {}, []
    for row in read_source(source, root):
        found["rows"] += 1
        found["ids"].add(row.row_id)
        if isinstance(row, Example):
            sides = [row.query, row.positive, *row.negatives]
            found["empty"] += any(not side.text.strip() for side in sides)
            found["tasks"].add(row.task)
            found["instructions"] |= {side.instruction for side in sides}
            positives.setdefault(row.query.text, set()).add(row.positive.text)
            negatives.append((row.query.text, [side.text for side in row.negatives]))
        else:
            found["empty"] += not row.input.strip() or not row.output.strip()
            found["labels"].add(row.label)
    found["known_positive_as_negative"] = sum(text in positives[query] for query, texts in negatives for text in texts)
    found["labelled"] = bool(found["labels"]) and None not in found["labels"]
    found |= {name: len(found[name]) for name in ("ids", "labels")}
    return found | {name: sorted(found[name]) for name in ("tasks", "instructions")}

root = Path(sys.argv[1])
print(json.dumps({source.name: measure(source, root) for source in all_sources(root)}))
"""

# What the origins state, after `read_source` has dropped what is said beside it.
STATED = {
    "argkp2021": 4260 + 738 + 552 - 1,  # matching pairs; one is there twice
    "argkp2021_side": 5583 + 932 + 723 - 26,  # one is there twice, 25 pairs are drawn from both ends
    "explagraphs": 1335 + 199 - 2,  # supporting arguments; two only repeat the belief
    "fnc1": 1903 + 4464 - 103,  # agree and discuss; 98 repeated, 5 where the article is the headline
    "liar_plus": 1284 + 1283 - 29,  # 29 without justification
    "wiki_split": 3 * 5000 - 3,  # three rewrites change nothing
    "parade": 3504 + 624 + 650,
    "lc_quad": 5000 - 1,
    "nq_open": 3610 + 1800,
    "qed_paragraph": 1355,
    "strategyqa_decomposition": 2061 + 229,
    "tatqa": 1668 + 1663 - 3,
    "policyqa": 3809 + 4152 - 94,
    "covid_qa": 1380 - 4,
    "gsm8k": 7473,
    "svamp_equation": 1000,
    "medquad": 11018 - 48,
    "meqsum": 1000,
    "pubmedqa_abstract": 1000,
    "healthver": 533 + 391 + 671 + 425 - 2,
    "mediqa_rqe": 4655 + 129 + 115 - 1466,  # 1459 faqs repeat the question, 6 pairs repeated, 1 empty
    "codenn_stackoverflow_csharp": 6601,
    "codenn_stackoverflow_sql": 3326,
    "codenn_stackoverflow_python": 2792,
    "nl2bash_command": 12607,
    "tldr_pages_page": 7425 - 10,
    "awesome_python_category": 482 - 1,  # one entry stands under "Resources"
    "awesome_selfhosted_description": 1258 - 2,  # two stand under "External Links"
    "exercism": 151,
    "gemoji_category": 1870,
    "peps_abstract": 366,
    "scitldr_title": 1992 + 619 + 618 - 4,
    "legal_summarization": 85 + 361,
    "e2e_nlg_description": 4672 + 4693 - 267,
    "fewrel_wiki": 11200 - 1,
    "fewrel_nyt": 2500,
    "fewrel_pubmed": 1000,
    "query_wellformedness": 17500 + 3750 + 3850,
    "sentence_polarity_mr": 2 * 5331,
    "subjectivity_subj": 2 * 5000,
    "snips": 13784 + 700 - 178,
    "trec_questions": 5452 + 500 - 80,
    "tweeteval_offensive": 11916 + 1324 + 860 - 46,
    "tweeteval_stance_atheism": 461 + 52 + 220,
    "task033_winogrande_answer_generation": 6500,
    "task861_asdiv_addsub_question_answering": 846,
    "task861_prost_mcq_answers_generation": 97,
    "task900_freebase_qa_category_classification": 6498 - 10,
    "task927_yelp_topic": 493,
    "task927_yelp_feeling": 2 * 493 - 1,  # a pair is drawn from both ends once
}
CLASSES = {
    "trec_questions": 50,
    "snips": 7,
    "fewrel_wiki": 16,
    "fewrel_pubmed": 10,
    "fewrel_nyt": 25,
    "gemoji_category": 9,
}
CLASSES |= {"open_trivia_qa_category": 22 - 4, "tweeteval_stance_hillary": 3}
CLASSES |= {"awesome_selfhosted_category": 95 - 11}  # eleven sections only point elsewhere


def test_names_are_unique_and_kinds_fit_their_instructions():
    names = [source.name for source in SOURCES]
    assert len(names) == len(set(names)) == 104
    for source in SOURCES:
        assert source.name.startswith(source.folder)
        assert source.mined == (source.kind == "classification")
        assert (source.query == source.document) == (source.kind != "asymmetric")
        assert str(source.query).startswith("Represent the ")
        assert str(source.document).endswith(": ")


def test_sources_can_be_sent_to_worker_processes():
    assert [source.name for source in pickle.loads(pickle.dumps(SOURCES))] == [source.name for source in SOURCES]


def test_nothing_without_a_free_licence_is_redistributable():
    for source in SOURCES:
        if any(word in source.licence for word in ("-NC", "none", "permission")):
            assert not source.redistributable, source.name


def test_a_root_without_sources_is_an_error(tmp_path):
    (tmp_path / "eval_gsm8k").mkdir()
    with pytest.raises(ValueError, match="holds none of the 54 source folders"):
        all_sources(tmp_path)


def test_absent_and_unknown_folders_are_named(tmp_path, caplog):
    for name in ("gsm8k", "eval_gsm8k", "mystery"):
        (tmp_path / name).mkdir()
    with caplog.at_level(logging.WARNING):
        (source,) = all_sources(tmp_path)
    assert source.name == "gsm8k"
    assert "53 source folders are absent" in caplog.text
    assert "1 folders are in no registry and are not read: mystery" in caplog.text
    with pytest.raises(FileNotFoundError, match=r"train\.jsonl"):
        list(read_source(source, tmp_path))


@pytest.mark.slow
def test_every_source_at_hand(shared):
    root = shared / "data" / "raw"
    sources = {source.name: source for source in all_sources(root)}
    assert len(sources) == 98 + 124 + 2
    assert len({source.folder for source in sources.values()}) == 52
    assert not any(source.folder.startswith("eval_") for source in sources.values())

    run = subprocess.run([sys.executable, "-c", MEASURE, str(root)], capture_output=True, text=True, check=True)
    measured = json.loads(run.stdout)
    assert measured.keys() == sources.keys()
    for name, found in measured.items():
        source = sources[name]
        assert found["rows"] > 0, name
        assert found["ids"] == found["rows"], name
        assert found["empty"] == 0, name
        assert found["known_positive_as_negative"] == 0, name
        if source.mined:
            assert found["labelled"] == (source.kind == "classification"), name
        else:
            assert found["tasks"] == [name]
            assert set(found["instructions"]) == {str(source.query), str(source.document)}, name
    assert {name: measured[name]["rows"] for name in STATED} == STATED
    assert {name: measured[name]["labels"] for name in CLASSES} == CLASSES

    opposed = {"task927_yelp_topic", "task927_yelp_feeling"}
    super_natural = [name for name in measured if name.startswith("task") and name not in opposed]
    assert len(super_natural) == 124
    assert sum(measured[name]["rows"] for name in super_natural) == 238_922 - 10
    assert sum(sources[name].redistributable for name in super_natural) == 75
    assert sum(sources[name].kind == "classification" for name in super_natural) == 5


@pytest.mark.slow
def test_evaluation_folders_at_hand_are_refused(shared):
    root = shared / "data" / "raw"
    for folder in sorted(root.glob("eval_*")):
        for source in SOURCES[:3]:
            with pytest.raises(ValueError, match="evaluation folder"):
                list(source.read(folder))
