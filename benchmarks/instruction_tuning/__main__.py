"""Is it worth anything to train a real pretrained encoder with instructions? An experiment that fits two CPU cores.

    instructor-jax medi build data/raw --to data/medi
    python benchmarks/instruction_tuning all-MiniLM-L6-v2 --data data/medi --evaluation data/raw --output tuned
    python benchmarks/instruction_tuning/report.py tuned --csv instruction_tuning.csv --figure instruction_tuning.png

Trains the model on the same triples under their own instructions, under none, and under those of other tasks, for some
seeds; then on the symmetric tasks alone, with and without. Every run is measured on tasks that no run has seen. Killed
and started again, it goes on with the first unfinished run.
"""

import argparse
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import arms
import measures
from crossed_labels import WORDINGS, crossed_obedience

from instructor_jax import Instructor
from instructor_jax.evaluation.local.texts import local_texts
from instructor_jax.evaluation.task_instructions import default_table
from instructor_jax.io.atomic import whole_file
from instructor_jax.text.tokenization import Pair
from instructor_jax.train import train
from instructor_jax.train.data.contamination import hashes_of
from instructor_jax.train.data.examples import Example
from instructor_jax.train.medi.storage.store import MediStore
from instructor_jax.train.objective import LossConfig
from instructor_jax.train.optimizer import OptimizerConfig
from instructor_jax.train.recipes import SAME_TEXTS
from instructor_jax.train.settings.mixture_config import MixtureConfig
from instructor_jax.train.settings.run_config import RunConfig
from instructor_jax.train.settings.sections import BatchConfig, CheckpointConfig, HeldOutConfig, LogConfig

GROUP = 16  # examples of a step, all of one task
ROWS = {"own": 13, "none": 8, "shuffled": 13}  # of 128 tokens: room for them, with their instructions or without


def settings(options: argparse.Namespace, arm: str, seed: int, output: Path) -> RunConfig:
    """The paper's recipe at a small size: batches of one task, whose texts are all negatives, hard ones among them."""
    return RunConfig(
        output=str(output),
        init_from=str(options.model),
        max_length=64,
        pool_instruction=False,
        mixture=MixtureConfig(rows_per_group=GROUP, temperature=2.0),
        batch=BatchConfig(groups=1, rows=ROWS[arm], length=128, examples=GROUP, negatives=1),
        steps=options.steps,
        seed=seed,
        dropout=False,
        loss=LossConfig("in_batch", temperature=0.05),  # what all-MiniLM-L6-v2 was trained with
        optimizer=OptimizerConfig(
            learning_rate=options.rate, warmup_steps=max(options.steps // 10, 1), schedule="linear", schedule_steps=0
        ),
        checkpoints=CheckpointConfig(every=50, keep=1),
        held_out=HeldOutConfig(rows=0),
        log=LogConfig(every=5, tensorboard=False),
    )


def measured(model: Instructor, options: argparse.Namespace, store: MediStore, arm: str) -> dict[str, Any]:
    """Everything that a run is measured on; tasks under their instructions or under none, as the run was trained."""
    instructed, reworded = arm != "none", arm == "own"
    model.max_seq_length = 64  # as in training
    table = default_table() if instructed else default_table().without()
    triples = arms.triples_of(store, SAME_TEXTS)
    return {
        "tasks": measures.task_scores(model, options.evaluation, {**measures.SYMMETRIC, **measures.ASYMMETRIC}, table),
        "triples": measures.triples_obeyed(model, triples, instructed),
        "crossed": crossed_obedience(model, options.evaluation / "eval_banking77", WORDINGS if instructed else ()),
        "reworded": measures.reworded_scores(model, options.evaluation) if reworded else {},
    }


def run(options: argparse.Namespace, store: MediStore, drawn: Sequence[Example], name: str) -> dict[str, Any]:
    """Trains and measures one run."""
    mixture, arm, seed = name.split("-")
    began = time.process_time()
    folder = options.output / name
    outcome = train(settings(options, arm, int(seed), folder), examples=arms.as_read(drawn, arm, int(seed)))
    trained = time.process_time()
    found = measured(Instructor(str(outcome.model)), options, store, arm)
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [one["loss"] for one in map(json.loads, lines) if "loss" in one]
    return {
        "mixture": mixture,
        "arm": arm,
        "seed": int(seed),
        "steps": options.steps,
        "examples": len(drawn),
        "tasks_trained": len({one.task for one in drawn}),
        "losses": [losses[0], losses[-1]],
        "processor_seconds": {"train": trained - began, "measure": time.process_time() - trained},
        **found,
    }


def main() -> None:
    """Runs what has no result yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a pretrained encoder")
    parser.add_argument("--data", required=True, help="mixture of `medi build`")
    parser.add_argument("--evaluation", type=Path, required=True, help="folder of evaluation sets")
    parser.add_argument("--output", type=Path, default=Path("tuned"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rate", type=float, default=1e-4)
    parser.add_argument("--only", nargs="*", help="these runs, e.g. union-own-0")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    options.output.mkdir(parents=True, exist_ok=True)
    store = MediStore(options.data)
    start = Instructor(str(options.model))
    avoid = frozenset(hashes_of(text for _, text in local_texts(options.evaluation)))

    def tokens(sides: Sequence[Any]) -> list[int]:
        return start.tokenizer([Pair(side.instruction, side.text) for side in sides]).full_lengths.tolist()

    seeds = range(options.seeds)
    names = ["start-own-0", "start-none-0"]
    names += [f"union-{arm}-{seed}" for seed in seeds for arm in arms.ARMS]
    names += [f"symmetric-{arm}-{seed}" for seed in seeds for arm in ("own", "none")]
    start.set_pooling_include_prompt(False)
    for name in options.only or names:
        path = options.output / f"{name}.json"
        if path.exists():
            continue
        mixture, arm, seed = name.split("-")
        if mixture == "start":
            found = {"mixture": mixture, "arm": arm, "seed": 0, **measured(start, options, store, arm)}
        else:
            tasks = arms.chosen_tasks(store, mixture)
            drawn = arms.draw(store, tasks, int(seed), arms.Limits(), tokens, avoid)
            found = run(options, store, drawn, name)
        with whole_file(path) as draft:
            draft.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(name, found.get("losses"), found.get("processor_seconds"), flush=True)


if __name__ == "__main__":
    main()
