"""Kills `encode` or `train` at random moments, starts it again, and compares the bytes with those of a whole run.

    python benchmarks/kills.py encode 20
    python benchmarks/kills.py train 6

The moments are drawn from a seed, over the time that an undisturbed run takes. A tiny random model and words are made
first; everything lies in a temporary folder. The exit code is 1 if any comparison fails.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = ("apple", "pear", "plum", "cherry", "grape", "melon", "fig", "lemon", "peach", "quince")
TRAIN = (
    "steps=60", "checkpoints.every=10", "log.tensorboard=false", "log.every=1", "held_out.rows=4", "held_out.every=30",
    "model.encoder.vocab=90", "model.encoder.embed=16", "model.encoder.heads=2", "model.encoder.head_dim=8",
    "model.encoder.ffn=32", "model.projection=8", "model.max_length=32", "batch.groups=2", "batch.length=64",
    "mixture.max_examples=0", "mixture.temperature=1", "optimizer.warmup_steps=5",
)  # fmt: skip


def command(*arguments: str) -> list[str]:
    """The command line of a verb."""
    return [sys.executable, "-m", "instructor_jax", *arguments]


def run(arguments: list[str], cache: Path, kill_after: float | None = None) -> float:
    """Runs a command to its end, or kills it; returns the seconds it ran.

    Raises:
        SystemExit: it was not killed and failed.
    """
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "INSTRUCTOR_JAX_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    began = time.monotonic()
    program = subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _, errors = program.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        program.kill()
        program.communicate()
        return time.monotonic() - began
    if program.returncode:
        sys.exit(f"{' '.join(arguments)} ended with {program.returncode}: {errors[-500:]}")
    return time.monotonic() - began


def encode_case(place: Path) -> tuple[list[str], list[str]]:
    """Arguments of `encode` but for the output, and the files to compare below it."""
    chance = random.Random(1)
    texts = [" ".join(chance.choices(WORDS, k=chance.randint(3, 40))) for _ in range(4000)]
    (place / "texts.txt").write_text("\n".join(texts) + "\n")
    run(command("create", str(place / "model")), place / "cache")
    arguments = ["encode", str(place / "texts.txt"), "-m", str(place / "model"), "--part-size", "200", "-o"]
    return arguments, ["out.npy"]


def train_case(place: Path) -> tuple[list[str], list[str]]:
    """Arguments of `train` but for the output, and the files to compare below it."""
    chance = random.Random(1)
    with (place / "pairs.jsonl").open("w") as file:
        for _ in range(120):
            some = chance.sample(WORDS, 4)
            file.write(json.dumps({"query": " ".join(some), "positive": " ".join(some[::-1])}) + "\n")
    run(command("medi", "import", str(place / "pairs.jsonl"), "--to", str(place / "mix")), place / "cache")
    return ["train", "tiny", f"data={place / 'mix'}", *TRAIN], ["model/model.safetensors", "losses"]


def arguments_for(verb: str, case: list[str], output: Path) -> list[str]:
    """The whole command line of a case with its output."""
    return command(*case, str(output / "out.npy")) if verb == "encode" else command(*case, f"output={output}")


def digest(output: Path, names: list[str]) -> str:
    """Hash of the results of a run."""
    found = hashlib.sha256()
    for name in names:
        if name == "losses":
            lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
            found.update(json.dumps([[line["step"], line["loss"]] for line in lines if "loss" in line]).encode())
        else:
            found.update((output / name).read_bytes())
    return found.hexdigest()[:16]


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("encode", "train"))
    parser.add_argument("kills", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        case, names = (encode_case if options.verb == "encode" else train_case)(place)
        for name in ("warm", "whole"):  # the second finds its programs compiled, as those that are killed do
            (place / name).mkdir()
            seconds = run(arguments_for(options.verb, case, place / name), place / "cache")
        expected = digest(place / "whole", names)
        print(f"a whole run takes {seconds:.1f} s: {expected}", flush=True)
        wrong = 0
        for number in range(options.kills):
            output = place / f"killed-{number}"
            output.mkdir()
            arguments = arguments_for(options.verb, case, output)
            ran = run(arguments, place / "cache", kill_after=chance.random() * seconds)
            run(arguments, place / "cache")
            same = digest(output, names) == expected
            wrong += not same
            print(f"{number + 1}: killed after {ran:.1f} s, {'equal' if same else 'DIFFERENT'}", flush=True)
        print(f"{options.verb}: {options.kills - wrong} of {options.kills} equal, byte for byte")
        sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
