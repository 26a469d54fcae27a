"""Our `Instructor.encode` against sentence-transformers: same weights, same texts, same machine, same run.

    python benchmarks/encode.py --texts FILE FOLDER ... --out results.json

See README.md beside this file for what is measured and how.
"""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from contenders import Dtype, Ours, Peer, Process, Setting
from cyclopts import App, Group, Parameter
from machine import describe_machine
from parts import Bench, agreements
from report import lines, processor
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
    lengths: Annotated[tuple[int, ...], Integers] = (16, 64, 256, 512)
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
        rounds: Interleaved rounds.
        size: Published size of the random weights, or "tiny".
        model: A model folder, instead of random weights.
        peer_model: Another model for the peer, to compare two models by texts per second; their tokens differ.
    """

    parts: Annotated[tuple[Part, ...], Names] = ("mixed", "lengths", "latency")
    dtypes: Annotated[tuple[Dtype, ...], Names] = ("float32", "bfloat16")
    peer_batch_sizes: Annotated[tuple[int, ...], Integers] = (8, 16, 32, 64)
    peer_attentions: Annotated[tuple[str, ...], Names] = ("eager", "sdpa")
    rounds: int = 3
    size: str = "instructor-base"
    model: Path | None = None
    peer_model: Path | None = None

    def __post_init__(self) -> None:
        for name, known in (("parts", ("mixed", "lengths", "latency")), ("dtypes", ("float32", "bfloat16"))):
            wrong = [value for value in getattr(self, name) if value not in known]
            if wrong or not getattr(self, name):
                raise ValueError(f"{name}={','.join(getattr(self, name))}: choose of {', '.join(known)}.")
        if self.rounds < 1 or not self.peer_batch_sizes or not self.peer_attentions:
            raise ValueError("rounds must be at least 1, and the peer needs a batch size and a way of attention.")

    def settings(self) -> list[Setting]:
        """Every contender of a race."""
        peers = [Setting("peer", size, kind) for kind in self.peer_attentions for size in self.peer_batch_sizes]
        return [Setting("ours"), *peers]


@app.default
def benchmark(*, out: Path | None = None, work: Work = Work(), plan: Plan = Plan()) -> None:
    """Measure encode against sentence-transformers.

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
            theirs = plan.peer_model or folder
            with Process(Ours, folder, dtype) as ours, Process(Peer, theirs, dtype, plan.peer_attentions) as peer:
                run["about"] = {"ours": ours.about, "peer": peer.about}
                bench = Bench(dtype, workload, plan.settings(), plan.rounds, {"ours": ours, "peer": peer})
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
