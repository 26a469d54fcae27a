"""Our `Instructor.encode` against sentence-transformers, ONNX Runtime and OpenVINO: same weights, texts, machine, run.

    python benchmarks/encode.py --texts FILE FOLDER ... --out results.json

See README.md beside this file for what is measured and how.
"""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from contenders import Dtype, Ours, Peer, Process, Setting
from cyclopts import App, Group, Parameter
from machine import describe_machine
from parts import Bench, agreements
from report import lines, processor
from runtimes import RUNTIMES, GraphLibrary, Runtime, installed_runtimes, of_dtype, write_graph
from workload import HasTokenizer, Workload, make_workload

from instructor_jax.io.atomic import whole_file

Part = Literal["mixed", "lengths", "latency"]

app = App(name="encode.py", help_format="plaintext")


def _names(type_: Any, tokens: Sequence[Any]) -> tuple[str, ...]:
    return tuple(part for token in tokens for part in token.value.split(",") if part)


def _integers(type_: Any, tokens: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(part) for part in _names(type_, tokens))


Names = Parameter(converter=_names, n_tokens=1, negative="")
Integers = Parameter(converter=_integers, n_tokens=1, negative="")


@Parameter(name="*", group=Group("Work"))
@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """What is encoded.

    Attributes:
        texts: Files and folders of text: .json, .jsonl, .csv, .tsv, .txt, .md, also with .gz.
        workload: A file made by --save-workload, instead of texts.
        save_workload: Write what is encoded to one file, for a machine without the texts.
        count: Texts in the mix; equally many short texts, sentences, paragraphs and documents.
        queries: Queries encoded one at a time.
        lengths: Exact lengths in tokens, instruction included, comma-separated.
        tokens_per_length: About how many tokens the texts of one exact length have together.
        instruction: In front of every text.
        tokenizer: Folder with a tokenizer.json; by default a vocabulary is trained on the texts.
        seed: Of the draw of texts and of the random weights.
    """

    texts: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative="")] = ()
    workload: Path | None = None
    save_workload: Path | None = None
    count: int = 500
    queries: int = 50
    lengths: Annotated[tuple[int, ...], Integers] = (16, 32, 64, 128, 256, 512)
    tokens_per_length: int = 8192
    instruction: str = "Represent the sentence for retrieval: "
    tokenizer: Path | None = None
    seed: int = 0

    def load(self, model: Path | None) -> Workload:
        """The workload: read, or drawn with the model's own tokenizer where there is a model; saved where asked for."""
        if bool(self.texts) == bool(self.workload):
            raise ValueError("give either --texts or --workload.")
        if self.workload is not None:
            return Workload.load(self.workload)
        drawn = make_workload(
            self.texts,
            instruction=self.instruction,
            count=self.count,
            queries=self.queries,
            lengths=self.lengths,
            tokens_per_length=self.tokens_per_length,
            seed=self.seed,
            tokenizer=self.tokenizer or model,
        )
        if self.save_workload is not None:
            drawn.save(self.save_workload)
        return drawn


@Parameter(name="*", group=Group("Measurement"))
@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How it is measured.

    Attributes:
        parts: Any of mixed, lengths, latency, comma-separated.
        dtypes: float32, bfloat16 or both, comma-separated.
        peer_batch_sizes: Batch sizes of the peer, comma-separated; its best one counts.
        peer_attentions: eager, sdpa or both, comma-separated; the best one counts.
        runtimes: Any of onnx, onnx-int8, openvino, openvino-bf16, comma-separated, or none; those installed otherwise.
        runtime_batch_sizes: Batch sizes of the runtimes, comma-separated; the best one of each counts.
        rounds: Interleaved rounds.
        size: Published size of the random weights, or "tiny".
        model: A model folder, instead of random weights.
        peer_model: Another model for the peer, to compare two models by texts per second; their tokens differ.
    """

    parts: Annotated[tuple[Part, ...], Names] = ("mixed", "lengths", "latency")
    dtypes: Annotated[tuple[Dtype, ...], Names] = ("float32", "bfloat16")
    peer_batch_sizes: Annotated[tuple[int, ...], Integers] = (8, 16, 32, 64)
    peer_attentions: Annotated[tuple[str, ...], Names] = ("eager", "sdpa")
    runtimes: Annotated[tuple[Runtime | Literal["none"], ...] | None, Names] = None
    runtime_batch_sizes: Annotated[tuple[int, ...], Integers] = (8, 32)
    rounds: int = 3
    size: str = "instructor-base"
    model: Path | None = None
    peer_model: Path | None = None

    def __post_init__(self) -> None:
        known = {"parts": ("mixed", "lengths", "latency"), "dtypes": ("float32", "bfloat16")}
        if self.runtimes is not None:
            known["runtimes"] = (*RUNTIMES, "none")
        for name, values in known.items():
            if not getattr(self, name) or set(getattr(self, name)) - set(values):
                raise ValueError(f"{name}={','.join(getattr(self, name))}: choose of {', '.join(values)}.")
        if self.rounds < 1 or not self.peer_batch_sizes or not self.peer_attentions or not self.runtime_batch_sizes:
            raise ValueError("rounds must be at least 1; batch sizes and ways of attention must not be empty.")

    def chosen_runtimes(self) -> tuple[Runtime, ...]:
        """Those asked for, or those installed; none where the peer has another model, of which there is no graph."""
        if self.runtimes is None:
            return () if self.peer_model else installed_runtimes()
        return tuple(name for name in self.runtimes if name != "none")

    def settings(self, runtimes: Sequence[Runtime] = ()) -> list[Setting]:
        """Every contender of a race."""
        peers = [Setting("peer", size, kind) for kind in self.peer_attentions for size in self.peer_batch_sizes]
        others = [Setting(name, size) for name in runtimes for size in self.runtime_batch_sizes]
        return [Setting("ours"), *peers, *others]


@app.default
def benchmark(*, out: Path | None = None, work: Work = Work(), plan: Plan = Plan()) -> None:
    """Measure encode against sentence-transformers, ONNX Runtime and OpenVINO.

    Example:

      python benchmarks/encode.py --texts articles.jsonl.gz questions.txt --out results.json

    Args:
        out: Write all figures as JSON; written after every part, so that an interrupted run keeps what it has.
        work: See Work.
        plan: See Plan.
    """
    machine = describe_machine()
    workload = work.load(plan.model)
    options = {**dataclasses.asdict(work), **dataclasses.asdict(plan)}
    results: dict[str, Any] = {"machine": machine, "options": options, "workload": workload.describe(), "runs": {}}
    vectors: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = plan.model or random_model(Path(scratch), workload, plan.size, work.seed)
        for dtype in plan.dtypes:
            run: dict[str, Any] = {"processor": processor(machine)}
            results["runs"][dtype] = run
            runtimes = of_dtype(plan.chosen_runtimes(), dtype)
            with _processes(plan, dtype, folder, Path(scratch), runtimes) as processes:
                run["about"] = {name: process.about for name, process in processes.items()}
                bench = Bench(dtype, workload, plan.settings(runtimes), plan.rounds, processes)
                for part in plan.parts:
                    if part == "mixed":
                        run["mixed"], found = bench.mixed()
                        if plan.peer_model is None:
                            vectors |= found
                            run["agreement"] = agreements(dtype, vectors)
                    elif part == "lengths":
                        run["lengths"] = bench.lengths()
                    else:
                        run["latency"] = bench.latency()
                    _write(out, results)
    print("\n".join(lines(results)))


@contextlib.contextmanager
def _processes(
    plan: Plan, dtype: Dtype, folder: Path, scratch: Path, runtimes: Sequence[Runtime]
) -> Iterator[dict[str, Process]]:
    """Every library in a process of its own, loaded one after the other."""
    with contextlib.ExitStack() as stack:
        processes = {"ours": stack.enter_context(Process(Ours, folder, dtype))}
        theirs = plan.peer_model or folder
        processes["peer"] = stack.enter_context(Process(Peer, theirs, dtype, plan.peer_attentions))
        for name in runtimes:
            graph = write_graph(folder, scratch / name.partition("-")[0], name)
            processes[name] = stack.enter_context(Process(GraphLibrary, graph, name))
        yield processes


def random_model(scratch: Path, workload: HasTokenizer, size: str, seed: int) -> Path:
    """A model folder with random weights and the workload's tokenizer, written by `instructor-jax create`."""
    tokenizer, folder = scratch / "tokenizer", scratch / "model"
    tokenizer.mkdir()
    workload.write_tokenizer(tokenizer)
    options = ["--size", size, "--tokenizer", str(tokenizer), "--seed", str(seed)]
    # In a process of its own: this one must not start JAX, which on a GPU would keep memory from the contenders.
    command = [sys.executable, "-m", "instructor_jax", "create", str(folder), *options]
    made = subprocess.run(command, env={**os.environ, "JAX_PLATFORMS": "cpu"}, capture_output=True, text=True)
    if made.returncode:
        raise ValueError(f"no model of size {size!r} could be made: {made.stderr.strip()}")
    return folder


def _write(out: Path | None, results: dict[str, Any]) -> None:
    if out is not None:
        with whole_file(out) as draft:
            draft.write_text(json.dumps(results, indent=1, default=str) + "\n", encoding="utf-8")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or the folder of the random weights stays behind
    try:
        app()
    except (ValueError, OSError, ImportError) as error:
        print(f"encode.py: error: {error}", file=sys.stderr)
        sys.exit(2)
