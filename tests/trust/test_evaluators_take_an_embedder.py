"""sentence-transformers' evaluators and helpers, and MTEB, with an `Instructor` where they expect their own model.

Each runs twice, on the model that sentence-transformers makes of a folder and on ours of the same folder; the scores
must be the same. Vectors agree to about 1e-6, so ranks and decisions do, and sums of cosines to 1e-5.
"""

import importlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from instructor_jax import Instructor

from ..small_models import SMALL, model_folder

pytestmark = pytest.mark.torch
pytest.importorskip("sentence_transformers")

WORDS = [
    "river", "water", "north", "food", "music", "film", "paper", "world",
    "night", "day", "house", "small", "old", "red", "stone", "cloud",
]  # fmt: skip
PROMPTS = {"query": "Represent the question for retrieval: ", "document": "Represent the document: "}


def text(number: int) -> str:
    return " ".join(WORDS[(number * step + number // 7) % 16] for step in (1, 3, 5, 11))


TEXTS = [text(number) for number in range(24)]


def models_of(folder: Path) -> tuple[Any, Any]:
    from instructor_jax.io.other_libraries import sentence_transformer

    ours = Instructor.from_pretrained(folder, devices=jax.devices()[:1], tokens_per_call=512)
    return sentence_transformer(folder, local=True), ours


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The two models of one folder."""
    return models_of(model_folder(tmp_path_factory.mktemp("plain") / "model", SMALL))


@pytest.fixture(scope="module")
def prompted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The two models of a folder with prompts for queries and documents."""
    return models_of(model_folder(tmp_path_factory.mktemp("prompted") / "model", SMALL, prompts=PROMPTS))


def evaluation(name: str) -> Any:
    """One evaluator over the toy texts."""
    library: Any = importlib.import_module("sentence_transformers.sentence_transformer.evaluation")

    pairs = [(TEXTS[row], TEXTS[(5 * row + 2) % 24]) for row in range(12)]
    first, second = [one for one, _ in pairs], [other for _, other in pairs]
    scores, labels = [float(3 * row % 7) for row in range(12)], [row % 3 % 2 for row in range(12)]
    corpus = {f"d{row}": one for row, one in enumerate(TEXTS)}
    queries = {f"q{row}": text(5 * row + 1) for row in range(5)}
    relevant = {f"q{row}": {f"d{row}", f"d{row + 7}"} for row in range(5)}
    samples = [{"query": text(30 + row), "positive": TEXTS[row : row + 2], "negative": TEXTS[8:14]} for row in range(4)]
    names = ["cosine", "dot", "euclidean", "manhattan"]
    makers: dict[str, Callable[[], Any]] = {
        "similarity": lambda: library.EmbeddingSimilarityEvaluator(first, second, scores),
        "similarity, all measures": lambda: library.EmbeddingSimilarityEvaluator(
            first, second, scores, similarity_fn_names=names, batch_size=4
        ),
        "similarity, float32": lambda: library.EmbeddingSimilarityEvaluator(first, second, scores, precision="float32"),
        "triplets": lambda: library.TripletEvaluator(first, second, TEXTS[12:]),
        "triplets, all measures": lambda: library.TripletEvaluator(
            first, second, TEXTS[12:], similarity_fn_names=names
        ),
        "binary": lambda: library.BinaryClassificationEvaluator(first, second, labels),
        "binary, all measures": lambda: library.BinaryClassificationEvaluator(
            first, second, labels, similarity_fn_names=names
        ),
        "retrieval": lambda: library.InformationRetrievalEvaluator(queries, corpus, relevant, corpus_chunk_size=10),
        "retrieval, prompts": lambda: library.InformationRetrievalEvaluator(
            queries, corpus, relevant, query_prompt=PROMPTS["query"], corpus_prompt=PROMPTS["document"]
        ),
        "reranking": lambda: library.RerankingEvaluator(samples),
        "reranking, one by one": lambda: library.RerankingEvaluator(samples, use_batched_encoding=False),
        "paraphrases": lambda: library.ParaphraseMiningEvaluator(
            dict(enumerate(TEXTS)), [(0, 3), (2, 9), (4, 5)], top_k=5
        ),
        "translation": lambda: library.TranslationEvaluator(first, second),
    }
    return makers[name]()


EVALUATIONS = [
    "similarity",
    "similarity, all measures",
    "similarity, float32",
    "triplets",
    "triplets, all measures",
    "binary",
    "binary, all measures",
    "retrieval",
    "retrieval, prompts",
    "reranking",
    "reranking, one by one",
    "paraphrases",
    "translation",
]


def assert_same(ours: Any, theirs: Any) -> None:
    """Numbers to 2e-5: a sum of some cosines of float32 vectors that differ by 1e-6."""
    if not isinstance(theirs, dict):
        assert abs(float(ours) - float(theirs)) <= 2e-5
        return
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert abs(float(ours[name]) - float(value)) <= 2e-5, name


@pytest.mark.parametrize("name", EVALUATIONS)
def test_evaluators_give_the_scores_of_sentence_transformers(both: tuple[Any, Any], name: str) -> None:
    reference, model = both
    theirs, ours = evaluation(name)(reference), evaluation(name)(model)
    assert len(theirs) > 0
    assert_same(ours, theirs)
    entry = model.model_card_data.evaluations[-1]
    assert entry["metrics"] == ours


@pytest.mark.parametrize("name", ["triplets", "retrieval", "retrieval, prompts", "reranking"])
def test_prompts_for_queries_and_documents_are_found(prompted: tuple[Any, Any], name: str) -> None:
    reference, model = prompted
    theirs = evaluation(name)(reference)
    assert_same(evaluation(name)(model), theirs)


def test_mean_squared_error_to_a_teacher(both: tuple[Any, Any]) -> None:
    from sentence_transformers.evaluation import MSEEvaluator

    reference, model = both
    for teacher in both:
        theirs = MSEEvaluator(TEXTS[:6], TEXTS[6:12], teacher_model=teacher)(reference)
        assert_same(MSEEvaluator(TEXTS[:6], TEXTS[6:12], teacher_model=teacher)(model), theirs)


def test_several_evaluators_in_a_row_and_evaluate(both: tuple[Any, Any], tmp_path: Path) -> None:
    from sentence_transformers.evaluation import SequentialEvaluator

    reference, model = both
    made = [SequentialEvaluator([evaluation("similarity"), evaluation("triplets")]) for _ in both]
    assert_same(model.evaluate(made[0], str(tmp_path / "ours")), reference.evaluate(made[1], str(tmp_path / "theirs")))
    assert sorted(file.name for file in (tmp_path / "ours").iterdir()) == sorted(
        file.name for file in (tmp_path / "theirs").iterdir()
    )


@pytest.mark.parametrize("measure", ["cosine", "dot", "euclidean", "manhattan"])
def test_the_models_own_measure(both: tuple[Any, Any], measure: Any) -> None:
    from sentence_transformers import SimilarityFunction

    reference, model = both
    vectors = reference.encode(TEXTS[:5]) * 3
    try:
        reference.similarity_fn_name = measure
        model.similarity_fn_name = SimilarityFunction(measure)
        assert model.similarity_fn_name == measure
        for function in ("similarity", "similarity_pairwise"):
            theirs = getattr(reference, function)(vectors, vectors[::-1].copy()).numpy()
            ours = getattr(model, function)(vectors, vectors[::-1].copy())
            # lengths of 3: products of 9; the root of a small difference of large squares loses half the digits
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-3 if measure == "euclidean" else 1e-5)
        assert_same(evaluation("retrieval")(model), evaluation("retrieval")(reference))
    finally:
        reference.similarity_fn_name = model.similarity_fn_name = "cosine"


def test_tensors_in_tensors_out(both: tuple[Any, Any]) -> None:
    import torch

    _, model = both
    vectors = model.encode(TEXTS[:4], convert_to_tensor=True)
    for given in (vectors, list(vectors), vectors[0]):
        scores = model.similarity(given, vectors)
        assert isinstance(scores, torch.Tensor)
    np.testing.assert_allclose(scores[0].numpy(), model.similarity(vectors[0].numpy(), vectors.numpy())[0])
    assert isinstance(model.similarity(vectors.numpy(), vectors.numpy()), np.ndarray)


def test_helpers_of_sentence_transformers(both: tuple[Any, Any]) -> None:
    from sentence_transformers import util

    reference, model = both
    theirs, ours = reference.encode(TEXTS, convert_to_tensor=True), model.encode(TEXTS, convert_to_tensor=True)
    found = [util.semantic_search(vectors[:4], vectors, top_k=3) for vectors in (theirs, ours)]
    assert [[hit["corpus_id"] for hit in hits] for hits in found[0]] == [
        [hit["corpus_id"] for hit in hits] for hits in found[1]
    ]
    communities = [util.community_detection(vectors, threshold=0.8, min_community_size=2) for vectors in (theirs, ours)]
    assert communities[0] == communities[1]
    mined = [util.paraphrase_mining(one, TEXTS, top_k=4) for one in both]
    np.testing.assert_allclose([score for score, *_ in mined[1]], [score for score, *_ in mined[0]], rtol=0, atol=1e-5)
    assert abs(float(util.cos_sim(ours[0], ours[1])) - float(util.cos_sim(theirs[0], theirs[1]))) <= 1e-5


def test_mined_hard_negatives(both: tuple[Any, Any]) -> None:
    datasets = pytest.importorskip("datasets")
    from sentence_transformers.util import mine_hard_negatives

    rows = datasets.Dataset.from_dict({"query": [text(row + 40) for row in range(6)], "answer": TEXTS[:6]})
    mined = [
        mine_hard_negatives(rows, one, corpus=TEXTS, num_negatives=2, verbose=False, batch_size=4).to_dict()
        for one in both
    ]
    assert mined[0] == mined[1]


def test_training_a_head_on_the_model_is_refused_in_a_sentence(both: tuple[Any, Any]) -> None:
    import torch
    from sentence_transformers.evaluation import LabelAccuracyEvaluator

    evaluator = LabelAccuracyEvaluator(torch.utils.data.DataLoader([object()]), softmax_model=lambda *_: None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(NotImplementedError, match="smart_batching_collate is PyTorch's and not offered here: train"):
        evaluator(both[1])


@pytest.mark.filterwarnings("ignore:The task:UserWarning")
@pytest.mark.parametrize(("models", "task"), [("both", "sts"), ("prompted", "retrieval"), ("both", "clustering")])
def test_mteb_takes_an_embedder(request: pytest.FixtureRequest, models: str, task: str, tmp_path: Path) -> None:
    both = request.getfixturevalue(models)
    mteb = pytest.importorskip("mteb")
    from ..evaluation import toy_tasks

    def made() -> Any:
        if task == "retrieval":
            return toy_tasks.toy_task("SciFact", toy_tasks.retrieval_data())
        return getattr(toy_tasks, task)()

    logging.getLogger("mteb").setLevel(logging.ERROR)
    scores = []
    for number, model in enumerate(both):
        cache = mteb.ResultCache(tmp_path / str(number))
        result = mteb.evaluate(
            model, made(), cache=cache, encode_kwargs={"batch_size": 8}, overwrite_strategy="always", co2_tracker=False
        )
        scores.append(result.task_results[0].get_score())
    assert abs(scores[0] - scores[1]) <= 1e-5
    assert result.model_name.startswith("instructor-jax/")
