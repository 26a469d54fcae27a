"""Measures the input pipeline: tokens filled, time per batch, memory, and how fast a far step is planned.

    python benchmarks/input_pipeline.py                                    # 330 synthetic tasks
    python benchmarks/input_pipeline.py --store data/medi --tokenizer FOLDER

Time per batch is to be compared with the time of a training step on the same number of tokens: built by one thread, and
as the loop would see it, with worker processes building ahead. Memory is what the process itself holds (anonymous
pages); the token cache is memory-mapped, and its pages belong to the system.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from instructor_jax.io.tokenizers.folders import load_token_ids, vocabulary_size
from instructor_jax.text.tokenization import Tokenizer
from instructor_jax.train.data.batch_builder import BatchBuilder
from instructor_jax.train.data.budget import examples_needed
from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.data.mixture import MixturePlan
from instructor_jax.train.data.pipeline import host_batches
from instructor_jax.train.data.token_cache import ExampleSource, tokenizer_digest
from instructor_jax.train.data.token_cache_writer import open_token_cache
from instructor_jax.train.settings.mixture_config import task_weights


class SyntheticMixture:
    """Tasks of log-uniform size with log-normal lengths about a median of their own; a text is its number of words."""

    fingerprint = "synthetic"

    def __init__(self, tasks: int, rows: int) -> None:
        rng = np.random.default_rng(0)
        sizes = np.exp(rng.uniform(np.log(100), np.log(20_000), tasks))
        ends = np.cumsum(np.maximum(10, sizes * rows / sizes.sum()).astype(int)).tolist()
        self._rows = {f"task {i}": range(a, b) for i, (a, b) in enumerate(zip([0, *ends], ends, strict=False))}
        self._medians = {name: np.exp(rng.uniform(np.log(4), np.log(120), 2)) for name in self._rows}
        self.tasks = tuple(self._rows)

    def rows(self, task: str) -> range:
        """The rows of a task."""
        return self._rows[task]

    def read(self, rows: Sequence[int]) -> list[Example]:
        """Successive rows of one task."""
        task = next(name for name, its in self._rows.items() if rows[0] in its)
        query, document = self._medians[task]
        lengths = np.random.default_rng(rows[0]).lognormal(0, 0.6, (len(rows), 3)) * [query, document, document]
        return [
            Example(
                Side("10 ", f"{1 + q:.0f} q{row}"),
                Side("8 ", f"{1 + p:.0f} p{row}"),
                (Side("8 ", f"{1 + n:.0f} n{row}"),),
                task,
                str(row),
            )
            for row, (q, p, n) in zip(rows, lengths, strict=True)
        ]


def synthetic_ids(strings: Sequence[str]) -> list[list[int]]:
    """As many tokens as the numbers in a string say, and end of sequence."""
    return [[3] * sum(int(word) for word in string.split() if word.isdecimal()) + [1] for string in strings]


def own_memory() -> float:
    """MiB of anonymous memory of this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def open_source(arguments: argparse.Namespace) -> tuple[ExampleSource, Tokenizer, str, Path, int | None]:
    """Mixture, tokenizer, its digest, folder of the caches, and vocabulary."""
    if arguments.store is None:
        source = SyntheticMixture(arguments.tasks, arguments.rows)
        parent = Path(tempfile.mkdtemp(prefix="input_pipeline_"))
        return source, Tokenizer(synthetic_ids, arguments.length), "synthetic", parent, 2**15
    from instructor_jax.train.medi.storage.store import MediStore

    folder = arguments.tokenizer
    tokenizer = Tokenizer(load_token_ids(folder), arguments.length)
    parent = arguments.store.with_name(f"{arguments.store.name}.tokens")
    return MediStore(arguments.store), tokenizer, tokenizer_digest(folder), parent, vocabulary_size(folder)


def time_batches(builder: BatchBuilder, start: int, steps: int, workers: int) -> float:
    """Seconds per batch as a loop sees them that does nothing else."""
    with host_batches(builder, start + steps, start, workers=workers) as batches:
        next(batches)
        began = time.perf_counter()
        for _ in batches:
            pass
        return (time.perf_counter() - began) / (steps - 1)


def main() -> None:
    """Runs everything and prints a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="a mixture made by 'instructor-jax medi'; none: a synthetic one")
    parser.add_argument("--tokenizer", type=Path, help="model folder, with --store")
    parser.add_argument("--tasks", type=int, default=330)
    parser.add_argument("--rows", type=int, default=300_000, help="of the synthetic mixture")
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--group-rows", type=int, default=64, help="packed rows of a group")
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args()

    print(f"memory with all modules loaded: {own_memory():.0f} MiB; {os.cpu_count()} cores")
    began = time.perf_counter()
    cache = open_token_cache(*open_source(arguments))
    size, took = sum(cache.meta["bytes"].values()) / 2**20, time.perf_counter() - began
    print(f"token cache: {len(cache.tasks)} tasks, {len(cache.rows)} rows, {size:.0f} MiB, {took:.1f} s")

    began = time.perf_counter()
    weights = task_weights([len(rows) for rows in cache.tasks.values()])
    tokens = arguments.group_rows * arguments.length
    examples = examples_needed(cache.rows, cache.tasks, weights, tokens, negatives=1)
    shape = GroupShape(arguments.group_rows, arguments.length, examples, negatives=1)
    plan = MixturePlan(cache.rows, cache.tasks, weights, shape, arguments.groups)
    alone = sum(task.alone for task in plan.tasks)
    print(f"plan: {time.perf_counter() - began:.1f} s; {alone} tasks fill a step; {shape} x {arguments.groups}")
    builder = BatchBuilder(plan, cache)
    print(f"memory with the plan: {own_memory():.0f} MiB")

    made, seconds = [], []
    for step in range(arguments.steps):
        began = time.perf_counter()
        batch = builder(step)
        seconds.append(time.perf_counter() - began)
        made.append((batch.tokens / plan.groups / shape.tokens, batch.examples, batch.cut_tokens))
    fill, texts, cut = zip(*made, strict=True)
    print(f"tokens filled: {100 * statistics.mean(fill):.1f} % (planned {100 * plan.expected_fill:.1f} %)")
    print(f"examples per step: {statistics.mean(texts):.0f} of {plan.groups * examples}; cut tokens: {sum(cut)}")
    print(f"time per batch, one thread: {1e3 * statistics.median(seconds):.1f} ms (median)")
    print(f"memory after {arguments.steps} batches: {own_memory():.0f} MiB")
    for workers in (0, 2):
        took = 1e3 * time_batches(builder, arguments.steps, arguments.steps, workers)
        print(f"time per batch, {workers} workers ahead: {took:.1f} ms")
    for step in (10**5, 10**6):
        began = time.perf_counter()
        plan(step)
        print(f"first plan at step {step}: {time.perf_counter() - began:.2f} s")
    for task in range(len(plan.tasks)):
        plan.rows(task, 10)
    print(f"memory with every task used: {own_memory():.0f} MiB")


if __name__ == "__main__":
    main()
