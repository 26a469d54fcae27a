"""What it costs to load a model: memory at its peak, and the time until the first vector of a fresh process.

    python benchmarks/loading.py                        (the packaged model)
    python benchmarks/loading.py --size instructor-base (random weights of a published size)
    python benchmarks/loading.py --model FOLDER --runs 5 --json loading.json

Memory is what a fresh process grows by from the moment when JAX runs until the model is loaded, at its peak, beside the
bytes of its weights. Times begin when the process is started, and end with the first vector on the host; the first one
with an empty cache of compiled programs, all others with that cache filled. Linux only: the peak is read from /proc.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import describe_machine

PROGRAM = """
import json, sys, time
started = float(sys.argv[2])
from pathlib import Path

def memory(field):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024

from instructor_jax import Instructor
imported = time.time()
import jax
import jax.numpy as jnp
if sys.argv[3] == "memory":
    jnp.zeros(8).block_until_ready()
before = memory("VmRSS")
model = Instructor.from_pretrained(sys.argv[1])
loaded = time.time()
peak, after = memory("VmHWM"), memory("VmRSS")
model.encode("a first text", instruction="Represent the text: ")
first = time.time()
model.encode("a second text", instruction="Represent the text: ")
second = time.time()
weights = sum(leaf.nbytes for leaf in jax.tree.leaves(model.params)) if sys.argv[3] == "memory" else 0
print(json.dumps({
    "import": imported - started, "load": loaded - imported, "first_vector": first - started, "second": second - first,
    "weights": weights, "before": before, "peak": peak, "after": after,
}))
"""


def fresh(model: str, cache: Path, what: str) -> dict[str, Any]:
    """Loads a model and encodes in a process of its own.

    Args:
        model: folder or name.
        cache: folder of compiled programs.
        what: "memory", or "time", which leaves out everything that is not needed for it.
    """
    environment = {**os.environ, "INSTRUCTOR_JAX_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    command = [sys.executable, "-c", PROGRAM, model, repr(time.time()), what]
    return json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout)


def measured(model: str, runs: int) -> dict[str, Any]:
    """Measures a model; times in seconds, memory in bytes."""
    with tempfile.TemporaryDirectory() as scratch:
        cold = fresh(model, Path(scratch), "time")
        warm = [fresh(model, Path(scratch), "time") for _ in range(runs)]
        memory = fresh(model, Path(scratch), "memory")
    grown = memory["peak"] - memory["before"]
    seconds = sorted(one["first_vector"] for one in warm)
    return {
        "first_vector_empty_cache_s": cold["first_vector"],
        "first_vector_warm_cache_s": statistics.median(seconds),
        "first_vector_warm_cache_range_s": [seconds[0], seconds[-1]],
        **{f"{part}_s": statistics.median(one[part] for one in warm) for part in ("import", "load", "second")},
        "weights_bytes": memory["weights"],
        "before_bytes": memory["before"],
        "peak_bytes": memory["peak"],
        "peak_growth_in_weights": grown / memory["weights"],
        "growth_after_in_weights": (memory["after"] - memory["before"]) / memory["weights"],
    }


def random_model(size: str, scratch: Path) -> str:
    """Makes a folder of a published T5 size with random weights and the tokenizer of the size `tiny`."""
    from instructor_jax.commands.create import write_tiny_tokenizer

    folder = str(scratch / "model")
    write_tiny_tokenizer(scratch)
    options = ["--size", size, "--tokenizer", str(scratch)]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "instructor_jax", "create", folder, *options]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return folder


def main() -> None:
    """Measures one model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default", help="folder or name; the packaged model by default")
    parser.add_argument("--size", help="random weights of this published size instead")
    parser.add_argument("--runs", type=int, default=5, help="fresh processes with a filled cache (default 5)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model = random_model(options.size, Path(scratch)) if options.size else options.model
        figures = {"machine": describe_machine(), "model": options.size or model, **measured(model, options.runs)}
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
