"""One model, evaluated twice: by our adapter, and by mteb's own wrapper of sentence-transformers.

Both get the same tasks, one of each kind, cut down in the same way, and the same instructions. Every string that either
side encodes is kept with its vector, so that vectors are compared by what was meant and not by the order of calls.

    instructor-jax create random-base --size instructor-base --tokenizer runs/mine/tokenizer
    python benchmarks/evaluation_parity.py random-base --data eval-data --output parity.json
"""

import argparse
import functools
import json
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

from instructor_jax import Instructor
from instructor_jax.evaluation.billboard import read_outputs
from instructor_jax.evaluation.data_files import files_digest, find_file
from instructor_jax.evaluation.embedders import JaxEmbedder
from instructor_jax.evaluation.local.tasks import limit, local_tasks
from instructor_jax.evaluation.mteb.encoder import MtebEncoder
from instructor_jax.evaluation.protocol import corrected
from instructor_jax.evaluation.task_instructions import InstructionTable, TaskInstructions

# task: (examples, how far the scores may be apart). k-means and logistic regression amplify the rounding of vectors.
TASKS = {
    "STSBenchmark": (300, 1e-4),
    "CovidQuestionPairsLocal": (300, 1e-4),
    "XQuADRetrieval": (60, 1e-4),
    "TrecQaRerankingLocal": (30, 1e-4),
    "SummariesLocal": (24, 1e-4),
    "StackOverflowTitlesClusteringLocal": (600, 5e-3),
    "TweetEvalEmotionClassificationLocal": (300, 5e-3),
}
VECTORS = 1e-5  # largest difference of an entry of two unit vectors
_KINDS = ("STS", "PairClassification", "Reranking", "Summarization", "Clustering", "Classification")
_DOCUMENTS = "Represent the document for retrieval: "

Seen = dict[tuple[str, str], np.ndarray]


def main() -> None:
    """Runs every task on both sides and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a model")
    parser.add_argument("--data", type=Path, required=True, help="folder of the evaluation sets")
    parser.add_argument("--output", type=Path, required=True, help="JSON file of the outcome")
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    options = parser.parse_args()
    rows = []
    for name in options.tasks:
        rows.append(compare(load_task(name, options.data), name, options.model))
        print(json.dumps(rows[-1]), flush=True)
    found = {"model": options.model.name, "machine": describe_machine(), "tasks": rows}
    options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    raise SystemExit(0 if all(row["passed"] for row in rows) else 1)


def compare(task: Any, name: str, folder: Path) -> dict[str, Any]:
    """Scores of one task on both sides, and how far apart the vectors of the same strings are."""
    ours, our_vectors, our_seconds = evaluate(task, our_encoder(folder))
    theirs, their_vectors, their_seconds = evaluate(task, their_encoder(folder))
    if our_vectors.keys() != their_vectors.keys():
        raise SystemExit(f"{name}: both sides encoded other strings: {set(our_vectors) ^ set(their_vectors)}")
    apart = max(float(np.abs(vector - their_vectors[text]).max()) for text, vector in our_vectors.items())
    tolerance = TASKS[name][1]
    return {
        "task": name,
        "kind": task.metadata.type,
        "strings": len(our_vectors),
        "vectors_apart": apart,
        "ours": ours,
        "theirs": theirs,
        "scores_apart": abs(ours - theirs),
        "tolerance": tolerance,
        "seconds": [round(our_seconds, 1), round(their_seconds, 1)],
        "passed": apart <= VECTORS and abs(ours - theirs) <= tolerance,
    }


def evaluate(task: Any, made: tuple[Any, Seen]) -> tuple[float, Seen, float]:
    """mteb's main score of a task, the vectors behind it, and the seconds it took."""
    import mteb

    encoder, seen = made
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = mteb.evaluate(encoder, task, cache=None, co2_tracker=False, show_progress_bar=False)
    scores = outcome.task_results[0].scores[task.eval_splits[0]][0]
    return float(scores["main_score"]), seen, time.perf_counter() - start


def our_encoder(folder: Path) -> tuple[MtebEncoder, Seen]:
    """Our adapter, and where it puts what it encodes."""
    model = Instructor.from_pretrained(folder)
    seen: Seen = {}
    embedder = JaxEmbedder(model, "local/random", "1")
    plain = embedder.encode

    def encode(texts: Any, instruction: str) -> np.ndarray:
        vectors = plain(texts, instruction)
        keep(seen, instruction, texts, vectors)
        return vectors

    embedder.encode = encode  # type: ignore[method-assign]
    of_kind = {name: instruction(load_kind(name)) for name in TASKS}
    instructions = {
        name: TaskInstructions(query, _DOCUMENTS if name == "XQuADRetrieval" else query)
        for name, query in of_kind.items()
    }
    return MtebEncoder(embedder, InstructionTable(instructions, "parity"), corrected()), seen


def their_encoder(folder: Path) -> tuple[Any, Seen]:
    """mteb's wrapper of sentence-transformers, and where it puts what it encodes."""
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    model.set_pooling_include_prompt(False)  # it would pool over the instruction of a local folder
    seen: Seen = {}
    model.encode = recorded(model.encode, seen)  # type: ignore[method-assign]  # encode_query and the like call it
    prompts = {kind: instruction(kind) for kind in _KINDS}
    prompts |= {"Retrieval-query": instruction("Retrieval"), "Retrieval-document": _DOCUMENTS}
    return SentenceTransformerEncoderWrapper(model, model_prompts=prompts), seen


def recorded(encode: Callable[..., Any], seen: Seen) -> Callable[..., Any]:
    """The same function, which also keeps strings and vectors."""

    @functools.wraps(encode)
    def wrapper(inputs: Any, *args: Any, prompt: str | None = None, **kwargs: Any) -> Any:
        vectors = encode(inputs, *args, prompt=prompt, **kwargs)
        strings = [text["text"] if isinstance(text, dict) else text for text in inputs]
        keep(seen, prompt or "", strings, np.asarray(vectors))
        return vectors

    return wrapper


def keep(seen: Seen, instruction: str, texts: Iterable[str], vectors: np.ndarray) -> None:
    """Adds strings with their vectors."""
    seen.update({(instruction, text.strip()): vector for text, vector in zip(texts, vectors, strict=True)})


def instruction(kind: str) -> str:
    """One instruction for all tasks of a kind, the same on both sides."""
    return f"Represent the text for {kind.lower()}: "


# --- tasks and model -------------------------------------------------------------------------------------------------


def load_kind(name: str) -> str:
    """mteb's type of a task of `TASKS`, from its name."""
    if name == "STSBenchmark":
        return "STS"
    kinds = {"Pairs": "PairClassification", "Summaries": "Summarization"}
    return next(
        (
            kinds.get(word, word)
            for word in ("Pairs", "Retrieval", "Reranking", "Summaries", "Clustering")
            if word in name
        ),
        "Classification",
    )


def load_task(name: str, data: Path) -> Any:
    """A task of `TASKS` with its data, cut down."""
    if name == "SummariesLocal":
        return summaries(data / "eval_billboard_cnndm", TASKS[name][0])
    task: Any = limit(local_tasks(data, [name])[name], TASKS[name][0])
    task.load_data()  # so that mteb leaves it loaded
    return task


def summaries(folder: Path, sources: int) -> Any:
    """News summaries of many systems with human scores, in the form of mteb's SummEval."""
    from datasets import Dataset, DatasetDict
    from mteb import TaskMetadata
    from mteb.abstasks.text.summarization import AbsTaskSummarization

    files = find_file([folder], ["cnndm_references"]), find_file([folder], ["cnndm_THumB-1.0"])
    if None in files:
        raise SystemExit(f"{folder}: has no cnndm_references and cnndm_THumB-1.0")
    judged = read_outputs(*files)  # type: ignore[arg-type]
    own = [[row for row, segment in enumerate(judged.segments) if segment == at] for at in range(sources)]
    table = Dataset.from_dict(
        {
            "text": ["" for _ in own],
            "human_summaries": judged.references[:sources],
            "machine_summaries": [[judged.outputs[row] for row in rows] for rows in own],
            "relevance": [[judged.human[row] for row in rows] for rows in own],
        }
    )
    metadata = TaskMetadata(
        name="SummariesLocal",
        description="summaries of news by many systems, with human scores",
        dataset={"path": "local/summaries", "revision": files_digest(files)},  # type: ignore[arg-type]
        type="Summarization",
        category="t2t",
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="cosine_spearman",
    )
    task: Any = type(
        "SummariesLocal", (AbsTaskSummarization,), {"metadata": metadata, "min_score": 1, "max_score": 5}
    )()
    task.dataset, task.data_loaded = DatasetDict({"test": table}), True
    return task


if __name__ == "__main__":
    main()
