"""Measures the packer: texts -> rows -> the arrays of all device calls, without tokenization and without a model.

    python benchmarks/packing.py
    python benchmarks/packing.py --texts 100000 --tokens-per-call 65536

Lengths are as those of web text: most under a hundred tokens, a long tail cut at 512. Times are milliseconds of the
process's own CPU time (one thread), the least and the median of the repetitions, so that other work on the machine
counts less. "Plan" is which text goes where, "arrays" the filling; "group" is what training does, one shape for all.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from instructor_jax.text.batches import TokenizedTexts
from instructor_jax.text.buckets import PackingConfig
from instructor_jax.text.packing import build_batches, plan_calls
from instructor_jax.train.data.group_packing import GroupShape, fill_rows, pack_group


def web_texts(count: int, longest: int = 512) -> TokenizedTexts:
    """Draws random tokens with the lengths of web text."""
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(3.9, 0.9, count), 3, longest).astype(np.int32)
    offsets = np.append(0, np.cumsum(lengths)).astype(np.int64)
    tokens = random.integers(1, 32_000, int(offsets[-1])).astype(np.int32)
    return TokenizedTexts(tokens, offsets, np.minimum(lengths - 1, 8), lengths)


def milliseconds(work: Callable[[], object], repeat: int) -> str:
    """Times a call, and says the least and the median."""
    times = []
    for _ in range(repeat):
        start = time.process_time()
        work()
        times.append(1000 * (time.process_time() - start))
    return f"{min(times):8.1f} {statistics.median(times):8.1f}"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=8192)
    parser.add_argument("--tokens-per-call", type=int, default=4096)
    parser.add_argument("--repeat", type=int, default=15)
    options = parser.parse_args()
    texts = web_texts(options.texts)
    packing = PackingConfig(tokens_per_call=options.tokens_per_call)
    plan = list(plan_calls(texts.lengths, packing))
    rows = fill_rows(texts.lengths, 512, 64).rows
    shape = GroupShape(rows=rows, length=512, examples=-(-options.texts // 2), negatives=0)
    numbers = np.arange(options.texts)
    print(f"{options.texts:,} texts, {len(texts.tokens):,} tokens, {len(plan)} calls; ms: least, median")
    work: dict[str, Callable[[], object]] = {
        "plan": lambda: list(plan_calls(texts.lengths, packing)),
        "arrays": lambda: build_batches(texts, plan),
        "plan and arrays": lambda: build_batches(texts, list(plan_calls(texts.lengths, packing))),
        "group": lambda: pack_group(numbers, texts.tokens, texts.offsets[1:], texts.unpooled, shape),
    }
    for name, call in work.items():
        print(f"  {name:16}{milliseconds(call, options.repeat)}")


if __name__ == "__main__":
    main()
