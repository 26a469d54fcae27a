"""Ten minutes on one GPU, most important first: is it right, how fast is it, how much memory does it take?

    python benchmarks/gpu.py --out gpu.jsonl
    python benchmarks/gpu.py --tiny          (on a CPU, to see that it runs)

From a checkout, without installation and network. It needs jax, flax, optax, orbax-checkpoint, numpy, safetensors,
tokenizers and jaxtyping; torch and transformers for the comparison with PyTorch. Every figure is one line of JSON, on
standard output and in the file. Every section is a process of its own, so that one that fails, hangs or runs out of
memory costs only itself; one for which too little time is left is left out, and says so. The exit code is 1 where a
section failed or a comparison was not good.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple


class Section(NamedTuple):
    """One part of the run: what it calls, and how many seconds it needs at least to be worth a start."""

    name: str
    least: int
    call: str
    arguments: tuple[Any, ...] = ()


_RUNS = ("base", 48, "full"), ("large", 32, "full"), ("base", 48, "dots"), ("xl", 16, "full")
SECTIONS = (
    Section("correctness of encode", 0, "correctness:vectors"),
    Section("correctness of training", 0, "correctness:steps"),
    Section("ceiling of this card", 20, "ceiling:ceilings"),
    Section("encode base", 30, "encode_speed:encode_speed", ("base", (512,))),
    Section("PyTorch base", 40, "torch_speed:torch_speed", ("base", (512,))),
    Section("train base", 45, "train_speed:train_speed", (*_RUNS[0], "einsum")),
    Section("train base, cuDNN", 45, "train_speed:train_speed", (*_RUNS[0], "cudnn")),
    Section("65,536 triples", 120, "train_speed:large_batch", (65536, "einsum")),
    Section("encode large", 40, "encode_speed:encode_speed", ("large", (512,))),
    Section("PyTorch large", 40, "torch_speed:torch_speed", ("large", (512,))),
    Section("encode xl", 50, "encode_speed:encode_speed", ("xl", (512,))),
    Section("PyTorch xl", 50, "torch_speed:torch_speed", ("xl", (512,))),
    Section("train large, cuDNN", 50, "train_speed:train_speed", (*_RUNS[1], "cudnn")),
    Section("train large", 50, "train_speed:train_speed", (*_RUNS[1], "einsum")),
    Section("train base, products kept", 45, "train_speed:train_speed", (*_RUNS[2], "einsum")),
    Section("encode base, short rows", 30, "encode_speed:encode_speed", ("base", (128, 32))),
    Section("PyTorch base, short rows", 30, "torch_speed:torch_speed", ("base", (128, 32))),
    Section("train xl, cuDNN", 60, "train_speed:train_speed", (*_RUNS[3], "cudnn")),
    Section("encode large, short rows", 30, "encode_speed:encode_speed", ("large", (128, 32))),
    Section("encode xl, short rows", 40, "encode_speed:encode_speed", ("xl", (128, 32))),
)
_TINY = ("correctness of encode", "correctness of training", "ceiling of this card", "encode base", "PyTorch base")
_TINY = (*_TINY, "train base", "65,536 triples")
# One process at a time has the card, so it may take nearly all; JAX's own three quarters would make large steps fail.
_ENVIRONMENT = {
    "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.92", "INSTRUCTOR_JAX_CACHE": "off", "HF_HUB_OFFLINE": "1",
    "TF_CPP_MIN_LOG_LEVEL": "2", "JAX_COMPILATION_CACHE_DIR": "",
}  # fmt: skip


def main() -> None:
    """Runs all sections, or those that are named, and one of them where this is its process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to which the lines are appended, too")
    parser.add_argument("--limit", type=float, default=570, help="seconds for everything (default 570)")
    parser.add_argument("--only", default="", help="only the sections whose name has this in it")
    parser.add_argument("--tiny", action="store_true", help="small models and few sections, to see that all of it runs")
    parser.add_argument("--section", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.section is not None:
        run_here(SECTIONS[options.section], options.tiny)
        return
    with open(options.out or os.devnull, "a", encoding="utf-8") as file:
        failed = run_all(Output(file), options)
    if failed:
        sys.exit(1)


class Output:
    """Lines of JSON on standard output and in a file, and whether one of them tells of a failure."""

    def __init__(self, file: IO[str]):
        self._file = file
        self.failures = 0

    def line(self, text: str) -> None:
        """Takes a line of a section; what is no JSON (a library's own chatter) is passed on as such."""
        try:
            figures = json.loads(text)
        except ValueError:
            figures = {"said": text[:300]}
        if not isinstance(figures, dict):
            figures = {"said": text[:300]}
        self.say(**figures)

    def say(self, **figures: Any) -> None:
        """Writes one line."""
        self.failures += "error" in figures or figures.get("ok") is False
        text = json.dumps(figures)
        print(text, flush=True)
        self._file.write(text + "\n")
        self._file.flush()


def run_all(output: Output, options: argparse.Namespace) -> int:
    """Runs section after section while there is time; returns how many lines tell of a failure."""
    began = time.monotonic()
    for number, section in enumerate(SECTIONS):
        if options.only not in section.name or (options.tiny and section.name not in _TINY):
            continue
        left = options.limit - (time.monotonic() - began)
        if left < section.least or left <= 0:
            output.say(section=section.name, skipped=f"needs {section.least} s, {left:.0f} s are left")
            continue
        started = time.monotonic()
        error = run_apart([sys.executable, __file__, f"--section={number}", *["--tiny"] * options.tiny], left, output)
        ended = {"section": section.name, "seconds": round(time.monotonic() - started, 1)}
        output.say(**ended, **({"error": error} if error else {}))
    output.say(done=round(time.monotonic() - began, 1), failures=output.failures)
    return output.failures


def run_apart(command: list[str], seconds: float, output: Output) -> str | None:
    """Runs a section in its process, passing on its lines as they come; returns what went wrong with the process."""
    environment = {**os.environ, **_ENVIRONMENT}
    if "--tiny" in command:  # compiled in a third of the time
        environment["XLA_FLAGS"] = f"{environment.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"
    if "cpu" not in environment.get("JAX_PLATFORMS", "cpu"):  # comparisons need both
        environment["JAX_PLATFORMS"] += ",cpu"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    errors: list[str] = []
    reader = threading.Thread(target=errors.extend, args=(process.stderr,), daemon=True)
    reader.start()
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        for text in process.stdout:
            output.line(text.rstrip("\n"))
        code = process.wait()
    finally:
        expired = not timer.is_alive()
        timer.cancel()
        process.kill()
    reader.join(5)
    if expired:
        return f"stopped after {seconds:.0f} s"
    return None if code == 0 else f"exit code {code}: {''.join(errors[-3:]).strip()[-500:]}"


def run_here(section: Section, tiny: bool) -> None:
    """Runs one section in this process."""
    from gpu_sections.checkout import use_checkout

    use_checkout()
    import jax

    module, _, name = section.call.partition(":")
    function: Callable[..., None] = getattr(__import__(f"gpu_sections.{module}", fromlist=[name]), name)
    if section is SECTIONS[0]:
        device = jax.devices()[0]
        about = {"device": device.device_kind, "platform": device.platform, "devices": jax.device_count()}
        versions = {"jax": jax.__version__, "python": sys.version.split()[0]}
        memory = (device.memory_stats() or {}).get("bytes_limit") if device.platform != "cpu" else None
        print(json.dumps({"what": "machine", **about, **versions, "bytes_limit": memory, "tiny": tiny}), flush=True)
    function(*section.arguments, tiny=tiny)


if __name__ == "__main__":
    main()
