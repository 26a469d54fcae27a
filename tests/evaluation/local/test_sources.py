"""The registry, and the real files behind it: the rows that the collections are said to have, and mteb's own counts."""

import csv
import json
from typing import Any

import pytest

from instructor_jax.evaluation.local.source import LocalSource
from instructor_jax.evaluation.local.sources import SOURCES
from instructor_jax.text.instructions import Instruction, lint_instruction

# Rows in the descriptions of the collections: pairs; (train, test, classes); (texts, sets, classes);
# (documents, judged queries, relevant pairs).
COUNTS = {
    "STSBenchmark": 1379,
    "STS12": 3108,
    "STS13": 1500,
    "STS14": 3750,
    "STS15": 3000,
    "STS16": 1186,
    "MsrParaphrasePairsLocal": 1725,
    "CovidQuestionPairsLocal": 488,
    "Banking77Classification": (10003, 3080, 77),
    "AmazonCounterfactualClassification": (4018, 670, 2),
    "Clinc150ClassificationLocal": (15000, 4500, 150),
    "CustomerReviewsClassificationLocal": (1887, 1888, 2),  # 2,407 + 1,368 lines, halved
    "MpqaClassificationLocal": (5303, 5303, 2),  # 3,312 + 7,294 lines, halved
    "DavidsonToxicityClassificationLocal": (19826, 4957, 3),  # 24,783 tweets, a fifth for testing
    "TweetEvalEmotionClassificationLocal": (3257, 1421, 4),
    "TweetEvalHateClassificationLocal": (9000, 2970, 2),
    "TweetEvalIronyClassificationLocal": (2862, 784, 2),
    "NluAskUbuntuClassificationLocal": (53, 109, 5),
    "NluChatbotClassificationLocal": (100, 106, 2),
    "NluWebApplicationsClassificationLocal": (30, 59, 8),
    "AgNewsClusteringLocal": (7600, 10, 4),
    "SearchSnippetsClusteringLocal": (12340, 10, 8),
    "StackOverflowTitlesClusteringLocal": (20000, 10, 20),
    "PublicApisClusteringLocal": (1695, 4, 51),  # its index lists 51 categories; advertisements above it are none
    "Clinc150ClusteringLocal": (4500, 5, 150),
    "XQuADRetrieval": (240, 1185, 1185),  # 1,190 questions, five of them twice
    "DBPediaPartRetrievalLocal": (5000, 40, 614 + 266),
    "DisflQaRetrievalLocal": (3639, 3643, 3643),  # four fluent questions stand twice
    "CovidFaqRetrievalLocal": (210, 209, 210),  # 213 rows; some questions and answers stand twice
    "CisiRetrievalLocal": (1460, 76, 3114),
    "CranfieldRetrievalLocal": (1400, 225, 1837 - 225),
    "TrecQaRerankingLocal": (1442, 68, 248),  # 1,517 rows less those of questions with one class
}


def read(shared, task) -> Any:
    """The record of a task; of which type, its kind says."""
    source = next(source for source in SOURCES if source.task == task)
    return source.read(shared / "data" / "raw" / source.folder)


def rows_of(record):
    match type(record).__name__:
        case "ScoredPairs" | "LabelledPairs":
            return len(record.first)
        case "TrainTest":
            return len(record.train.texts), len(record.test.texts), len({*record.train.labels, *record.test.labels})
        case "ClusterSets":
            labels = {label for part in record.sets for label in part.labels}
            return sum(len(part.texts) for part in record.sets), len(record.sets), len(labels)
        case "JudgedDocuments":
            return len(record.corpus), len(record.queries), sum(map(len, record.relevant.values()))


def test_every_task_has_counts_and_a_name_of_its_own():
    assert [source.task for source in SOURCES] == list(COUNTS)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.task)
def test_the_files_hold_what_they_should(shared, source):
    assert rows_of(read(shared, source.task)) == COUNTS[source.task]


def test_every_evaluation_folder_is_covered(shared):
    others = ("eval_billboard_", "eval_prompt_")  # of the benchmarks that are not mteb's
    folders = {path.name for path in (shared / "data" / "raw").glob("eval_*") if not path.name.startswith(others)}
    assert {source.folder for source in SOURCES} == folders


def test_every_sts_score_lies_where_its_text_says(shared):
    """An independent reading of one file: same sentences under same scores, in order."""
    folder = shared / "data" / "raw" / "eval_sts12_16"
    with open(folder / "2013" / "FNWN.test.tsv", encoding="utf-8") as file:
        expected = [line.rstrip("\n").split("\t") for line in file]
    record = read(shared, "STS13")
    found = list(zip(record.scores, record.first, record.second, strict=True))[: len(expected)]
    assert found == [(float(score), first.strip(), second.strip()) for score, first, second in expected]


@pytest.mark.torch
def test_the_texts_are_those_that_mteb_counted(shared):
    """mteb ships statistics of its own copies: rows, characters and distinct texts must agree where texts are equal."""
    mteb = pytest.importorskip("mteb")
    records = {source.task: read(shared, source.task) for source in SOURCES if source.is_mteb}
    statistics = {}
    for task in records:
        metadata = mteb.get_task(task).metadata
        statistics[task] = json.loads(metadata.descriptive_stat_path.read_text())

    def assert_same(texts, counted):
        assert (sum(map(len, texts)), len(set(texts))) == (counted["total_text_length"], counted["unique_texts"])

    assert_same(
        records["Banking77Classification"].test.texts, statistics["Banking77Classification"]["test"]["text_statistics"]
    )
    amazon = statistics["AmazonCounterfactualClassification"]["test"]["hf_subset_descriptive_stats"]["en"]
    assert_same(records["AmazonCounterfactualClassification"].test.texts, amazon["text_statistics"])
    labels = records["AmazonCounterfactualClassification"].test.labels
    assert {label: {"count": labels.count(label)} for label in ("0", "1")} == amazon["label_statistics"]["labels"]
    xquad = statistics["XQuADRetrieval"]["validation"]["hf_subset_descriptive_stats"]["en"]
    corpus = [document.text for document in records["XQuADRetrieval"].corpus.values()]
    assert_same(corpus, xquad["documents_text_statistics"])
    assert_same(list(records["XQuADRetrieval"].queries.values()), xquad["queries_text_statistics"])
    for task in ("STSBenchmark", "STS12", "STS13", "STS14", "STS15", "STS16"):
        counted, scores = statistics[task]["test"], records[task].scores
        assert len(scores) == counted["num_samples"]
        # sums of the same numbers in another order
        assert sum(scores) / len(scores) == pytest.approx(counted["label_statistics"]["avg_score"], abs=1e-12)
        # mteb's copies of STS12 to 16 have blanks before punctuation marks: up to 3 % more characters
        for side in ("1", "2"):
            texts = records[task].first if side == "1" else records[task].second
            assert sum(map(len, texts)) == pytest.approx(
                counted[f"text{side}_statistics"]["total_text_length"], rel=0.03
            )


def test_instructions_are_of_the_shape_that_models_were_trained_on():
    for source in SOURCES:
        for instruction in (source.query, source.document):
            assert lint_instruction(str(instruction)) == []


def test_a_name_says_whether_the_task_is_one_of_mteb():
    assert [source.task for source in SOURCES if source.is_mteb] == [
        "STSBenchmark",
        *(f"STS{year}" for year in range(12, 17)),
        "Banking77Classification",
        "AmazonCounterfactualClassification",
        "XQuADRetrieval",
    ]


def test_one_kind_of_text_has_one_instruction():
    good = SOURCES[0]
    with pytest.raises(ValueError, match="STS has one kind of text, and one instruction"):
        LocalSource("MineLocal", good.folder, "STS", (good.query, Instruction("a", "b")), good.read, "")


def test_answers_are_candidates_of_their_own_question(shared):
    """The reranking file again, with the csv module: the same questions, each with its own sentences."""
    import gzip

    folder = shared / "data" / "raw" / "eval_trec_qa"
    with gzip.open(folder / "test.csv.gz", "rt", encoding="utf-8", newline="") as file:
        sentences = {(row["qtext"], row["atext"], row["label"]) for row in csv.DictReader(file)}
    record = read(shared, "TrecQaRerankingLocal")
    for query, candidates in record.candidates.items():
        for candidate in candidates:
            right = str(int(candidate in record.relevant[query]))
            assert (record.queries[query], record.corpus[candidate].text, right) in sentences
