"""Prompt Retrieval: does an embedder find the examples from which a language model learns a task in its prompt?

Two modes. With a language model a task runs as published: demonstrations are the nearest rows of a pool, the model
answers, ROUGE-L (F, stemmed) compares; only with the paper's own model (GPT-J 6B) are the figures the paper's. Without
one, the cheap mode asks whether the nearest rows are of the query's own kind; that is another figure with another name.
"""

import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from instructor_jax.evaluation.data_files import files_digest
from instructor_jax.evaluation.embedder import Embedder
from instructor_jax.evaluation.prompt_retrieval.data import PromptRows, absence, find_task_files, read_task_rows
from instructor_jax.evaluation.prompt_retrieval.demonstrations import centred, choose, cosines, nearest_first
from instructor_jax.evaluation.prompt_retrieval.language_model import LanguageModel, Learner, model_identity
from instructor_jax.evaluation.prompt_retrieval.task import PromptTask, Row
from instructor_jax.evaluation.prompt_retrieval.tasks import TASKS
from instructor_jax.evaluation.scores import Job, TaskScore, missing
from instructor_jax.evaluation.task_instructions import InstructionTable

logger: logging.Logger = logging.getLogger(__name__)

BENCHMARK, KIND = "prompt_retrieval", "Prompt Retrieval"
ROUGE = "rouge_l"
NEIGHBOURS = 10
GONE = "not reproducible: the paper's language model for it, code-davinci-002, is no longer offered"
_WORST_GROUP = 2  # of the twenty reviewers by accuracy, counted from 0: the tenth percentile


def agreement_metric(neighbours: int = NEIGHBOURS) -> str:
    """Returns the name under which the cheap mode's figure goes everywhere."""
    return f"label agreement of the {neighbours} nearest neighbours (not the paper's number)"


def is_papers_model(language_model: str) -> bool:
    """Returns whether a hub name or a folder is called like the paper's GPT-J (EleutherAI/gpt-j-6B)."""
    return Path(language_model).name.lower() == "gpt-j-6b"


def jobs(
    data: Path, table: InstructionTable, *, language_model: str | None = None, limit: int | None = None
) -> list[Job]:
    """Returns the eleven tasks; one that cannot run says why when it is run.

    Args:
        data: folder with a sub-folder for each task; see `data.find_task_files` and `tasks.TASKS`.
        table: instructions.
        language_model: folder or hub name of a causal language model; None is the cheap mode.
        limit: most test rows of a task (the first of those drawn).
    """
    # Loaded by the first task that needs it, once for all.
    learner = functools.cache(lambda: LanguageModel(language_model)) if language_model else None
    return [_job(data, table, task, language_model, learner, limit) for task in TASKS]


def similarities(
    embedder: Embedder, rows: PromptRows, task: PromptTask, instruction: str
) -> Float[np.ndarray, "queries rows"]:
    """Cosines of each test row to each row of the pool, centred as the task declares."""
    pool = centred(embedder.encode([task.text(row) for row in rows.pool], instruction))
    test = embedder.encode([task.text(row) for row in rows.test], instruction)
    return cosines(centred(test) if task.centred == "both" else test, pool)


def label_agreement(
    scores: Float[np.ndarray, "queries rows"], test: Sequence[str], pool: Sequence[str], neighbours: int = NEIGHBOURS
) -> float:
    """Returns the share, 0 to 1, of each query's nearest rows that are of its own kind; the mean over queries.

    Args:
        scores: similarity of each query to each row of the pool.
        test: kinds of the queries.
        pool: kinds of the rows of the pool.
        neighbours: how many nearest rows count; all where the pool has fewer.
    """
    shares = [
        np.mean([pool[row] == kind for row in nearest_first(similar)[:neighbours]])
        for similar, kind in zip(scores, test, strict=True)
    ]
    return float(np.mean(shares))


def rouge_l(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Returns the mean ROUGE-L F, 0 to 1, words stemmed; the original's median of bootstrap means is this, +-0.001.

    Raises:
        ImportError: the package rouge-score is absent.
    """
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise ImportError("Prompt Retrieval needs rouge-score: pip install 'instructor-jax[eval]'") from error
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    pairs = zip(references, predictions, strict=True)
    return float(np.mean([scorer.score(reference, prediction)["rougeL"].fmeasure for reference, prediction in pairs]))


def predictions(
    learner: Learner, scores: Float[np.ndarray, "queries rows"], rows: PromptRows, task: PromptTask
) -> tuple[list[str], list[int]]:
    """Returns what the language model answers to each test row, and how many demonstrations it was shown.

    Args:
        learner: the language model.
        scores: similarity of each test row to each row of the pool.
        rows: rows of the task.
        task: one that a language model of today can run.
    """
    assert task.demonstration is not None
    shown = [task.demonstration(row) for row in rows.pool]

    @functools.cache
    def cost(row: int) -> int:
        text, output = shown[row]
        return learner.count(text + output) if task.budget.joined else learner.count(text) + learner.count(output)

    answers, counts = [], []
    for query, similar in tqdm(list(zip(rows.test, scores, strict=True)), desc=task.task, leave=False, disable=None):
        text = task.demonstration(query)[0]
        chosen = choose(similar, cost, learner.count(text), task.budget, skip_identical=task.skips_identical)
        counts.append(len(chosen))
        examples = [shown[row] for row in chosen]
        if task.learner == "greedy":
            answers.append(learner.write("".join(given + output for given, output in examples) + text))
        else:
            options = task.options_of(query)
            losses = learner.option_losses(examples, text, list(options.values()))
            answers.append(list(options)[int(np.argmin(losses))])
    return answers, counts


def _job(
    data: Path,
    table: InstructionTable,
    task: PromptTask,
    language_model: str | None,
    learner: Callable[[], Learner] | None,
    limit: int | None,
) -> Job:
    instruction = table.of(task.task, "query")
    files = find_task_files(data, task)
    metric = ROUGE if language_model else agreement_metric()

    def run(embedder: Embedder) -> TaskScore:
        reason = _cannot_run(data, task, files, with_model=learner is not None)
        if reason or files is None:
            return missing(BENCHMARK, task.task, KIND, metric, reason)
        rows = read_task_rows(files, task)
        rows = PromptRows(rows.pool, rows.test[:limit])
        scores = similarities(embedder, rows, task, instruction)
        details: dict[str, Any] = {
            "instruction": instruction,
            "data": task.title,
            "pool": len(rows.pool),
            "test": len(rows.test),
            **_agreement_details(scores, rows, task),
        }
        if learner is None:
            by_chance = f"rows drawn by chance give {details['by_chance']:.1f}"
            details |= {"paper_protocol": False, "note": f"not the paper's number; {by_chance}"}
            if task.learner == "code-davinci-002":
                details["paper_form"] = GONE
            return TaskScore(BENCHMARK, task.task, KIND, details["label_agreement"], metric, details)
        answers, counts = predictions(learner(), scores, rows, task)
        score, more = _score(answers, rows.test, task)
        details |= {
            "language_model": language_model,
            "paper_protocol": limit is None and is_papers_model(language_model or ""),
            "note": "" if is_papers_model(language_model or "") else f"by {language_model}, in the paper GPT-J 6B",
            "scored": task.scored,
            "demonstrations": float(np.mean(counts)),
            **more,
        }
        return TaskScore(BENCHMARK, task.task, KIND, score, metric, details)

    settings = {
        "instruction": instruction,
        "data": files_digest(files or ()),
        "language_model": model_identity(language_model) if language_model else None,
        "neighbours": NEIGHBOURS,
        "limit": limit,
    }
    return Job(BENCHMARK, task.task, KIND, run, settings)


def _cannot_run(data: Path, task: PromptTask, files: tuple[Path, ...] | None, *, with_model: bool) -> str:
    if with_model and task.learner == "code-davinci-002":
        return f"{GONE}; without --language-model its label agreement can be measured"
    if files is None:
        return absence(data, task)
    if not with_model and task.kind is None:
        return "its outputs are free text without labels; it needs a language model (--language-model)"
    return ""


def _agreement_details(
    scores: Float[np.ndarray, "queries rows"], rows: PromptRows, task: PromptTask
) -> dict[str, float | int]:
    """Returns the cheap mode's figure in percent, and what rows drawn by chance would give."""
    if task.kind is None:
        return {}
    test, pool = [task.kind(row) for row in rows.test], [task.kind(row) for row in rows.pool]
    by_chance = float(np.mean([pool.count(kind) / len(pool) for kind in test]))
    agreed = label_agreement(scores, test, pool)
    return {"label_agreement": 100 * agreed, "by_chance": 100 * by_chance, "neighbours": NEIGHBOURS}


def _score(answers: list[str], test: Sequence[Row], task: PromptTask) -> tuple[float, dict[str, Any]]:
    """Returns ROUGE-L in percent (for Amazon of the third-worst reviewer alone), and the share of right choices."""
    assert task.label is not None
    gold = [task.label(row) for row in test]
    if task.options is None:
        return 100 * rouge_l(answers, gold), {}
    exact = [answer == wanted for answer, wanted in zip(answers, gold, strict=True)]
    details: dict[str, Any] = {"accuracy": 100 * float(np.mean(exact))}
    if task.draw != "reviewers":
        return 100 * rouge_l(answers, gold), details
    groups: dict[str, list[int]] = {}
    for number, row in enumerate(test):
        groups.setdefault(str(row["meta"][0]), []).append(number)
    ranked = sorted(groups.items(), key=lambda group: np.mean([exact[number] for number in group[1]]))
    reviewer, numbers = ranked[min(_WORST_GROUP, len(ranked) - 1)]
    details |= {"reviewer": reviewer, "reviewers": len(ranked)}
    return 100 * rouge_l([answers[n] for n in numbers], [gold[n] for n in numbers]), details
