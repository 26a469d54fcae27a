"""The server against the library in one run: texts a second, latency of a lone request, many small ones, overload.

    python benchmarks/serve.py --count 2000 --rounds 3 --overload-seconds 30 --out serve.json

The server is a process of its own, as users start it; so is the client, at the lowest priority, since it shares the
machine's cores. Library and server take turns on the same texts: the one that is not measured waits and uses no CPU.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from machine import describe_machine
from serve_load import closed_loop, open_loop

INSTRUCTION = "Represent the document for retrieval: "
WORDS = ("river bank rate boiler valve market city train music garden", "winter engine paper light doctor school")


def texts_of(count: int, seed: int) -> list[str]:
    """Texts of mixed length: 4 to 12 words, 13 to 35, 36 to 140, as many of each."""
    draw, words = random.Random(seed), " ".join(WORDS).split()
    spans = ((4, 12), (13, 35), (36, 140))
    return [" ".join(draw.choices(words, k=draw.randint(*spans[k % 3]))) for k in range(count)]


class Server:
    """The command in a process of its own, with what its metrics say."""

    def __init__(self, options: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "instructor_jax", "serve", "--port", "0", "--no-access-log", *options],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[2]

    def metric(self, name: str) -> float:
        """Returns the sum of a counter over its labels."""
        with urllib.request.urlopen(f"{self.url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))

    def resident_mib(self) -> float:
        """Returns the memory of the process; 0 where the system does not tell."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except OSError:
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def load(self, kind: str, **options: Any) -> dict[str, Any]:
        """Runs a client process against the server; returns what it saw."""
        command = [sys.executable, __file__, "--client"]
        work = json.dumps({"kind": kind, "url": self.url, **options})
        done = subprocess.run(command, input=work, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)


def bodies(texts: list[str], size: int, encoding: str) -> list[dict[str, Any]]:
    """Requests of so many texts each."""
    return [
        {"input": texts[k : k + size], "instruction": INSTRUCTION, "encoding_format": encoding}
        for k in range(0, len(texts), size)
    ]


def throughput(server: Server, library: Any, texts: list[str], rounds: int) -> dict[str, Any]:
    """Texts a second of the library and of the server, in turns."""
    found: dict[str, list[float]] = {"library": [], "base64": [], "float": [], "single": []}
    calls = 0.0
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in library.encode_stream([[INSTRUCTION, text] for text in texts]):
            pass
        found["library"].append(len(texts) / (time.perf_counter() - began))
        for encoding in ("base64", "float"):
            seen = server.load("closed", bodies=bodies(texts, 32, encoding), workers=8)
            found[encoding].append(len(texts) / seen["seconds"])
        few = texts[: len(texts) // 2]
        before = server.metric("instructor_device_calls_total")
        seen = server.load("closed", bodies=bodies(few, 1, "base64"), workers=64)
        found["single"].append(len(few) / seen["seconds"])
        calls += server.metric("instructor_device_calls_total") - before
    return {**found, "texts_per_call": rounds * (len(texts) // 2) / calls}


def latency(server: Server, library: Any, text: str, count: int) -> dict[str, float]:
    """Milliseconds of one text at a time: the library's encode, and a lone request."""
    own = []
    for _ in range(count):
        began = time.perf_counter()
        library.encode([text], instruction=INSTRUCTION)
        own.append((time.perf_counter() - began) * 1000)
    seen = server.load("closed", bodies=bodies([text] * count, 1, "base64"), workers=1)["milliseconds"]
    return {
        "library_median": statistics.median(own),
        "library_p99": sorted(own)[int(0.99 * count)],
        "server_median": statistics.median(seen),
        "server_p99": sorted(seen)[int(0.99 * count)],
    }


def overload(server: Server, texts: list[str], per_second: float, seconds: float, text: str) -> dict[str, Any]:
    """Ten times as many requests as the server can answer: statuses, latency while and after, memory."""
    few = bodies([text] * 20, 1, "base64")
    lone = statistics.median(server.load("closed", bodies=few, workers=1)["milliseconds"])
    memory = [server.resident_mib()]
    seen = server.load("open", bodies=bodies(texts, 32, "base64"), per_second=10 * per_second / 32, seconds=seconds)
    began = time.perf_counter()
    while statistics.median(server.load("closed", bodies=few[:5], workers=1)["milliseconds"]) > 2 * lone:
        if time.perf_counter() - began > 60:
            break
    memory.append(server.resident_mib())
    return {**seen, "back_seconds": time.perf_counter() - began, "resident_mib": memory}


def report(results: dict[str, Any]) -> None:
    """Prints the figures beside what is wanted."""
    machine, speed = results["machine"], results["throughput"]
    print(f"machine   {machine['cpu']}, {machine['cores']} cores, load {machine['load_average']}, {machine['time']}")
    best = {name: max(speed[name]) for name in ("library", "base64", "float", "single")}
    print(f"library   {best['library']:.0f} texts/s (encode_stream), rounds {[round(x) for x in speed['library']]}")
    for name, wanted in (("base64", 0.9), ("float", 0.85), ("single", 0.8)):
        share, rounds = best[name] / best["library"], [round(x) for x in speed[name]]
        print(f"{name:9} {best[name]:.0f} texts/s, {share:.2f} of the library (wanted {wanted}), rounds {rounds}")
    print(f"          {speed['texts_per_call']:.1f} texts a device call of single-text requests (wanted 8)")
    lone = results["latency"]
    extra = lone["server_median"] - lone["library_median"]
    print(
        f"latency   library {lone['library_median']:.2f} ms, lone request {lone['server_median']:.2f} ms "
        f"({extra:+.2f}, wanted +2), p99 {lone['server_p99']:.1f} ms (wanted {3 * lone['server_median']:.1f})"
    )
    if over := results.get("overload"):
        print(
            f"overload  {over['statuses']}, {over['texts_per_second']:.0f} texts/s, p99 of the answers "
            f"{over['p99_seconds']:.1f} s, latency back after {over['back_seconds']:.1f} s, "
            f"memory {over['resident_mib'][0]:.0f} -> {over['resident_mib'][1]:.0f} MiB"
        )


def main() -> None:
    """Runs everything once."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="default", help="a folder or a name; by default the packaged model")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--overload-seconds", type=float, default=30.0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--client", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        work = json.load(sys.stdin)
        if work.get("workers") != 1:  # a lone request waits for its client alone
            os.nice(10)
        json.dump({"closed": closed_loop, "open": open_loop}[work.pop("kind")](**work), sys.stdout)
        return
    from instructor_jax import Instructor

    server = Server([options.model])
    try:
        library = Instructor.from_pretrained(options.model)
        library.warmup()
        texts = texts_of(options.count, 0)
        server.load("closed", bodies=bodies(texts[:320], 32, "base64"), workers=8)
        results: dict[str, Any] = {"machine": describe_machine()}
        results["throughput"] = throughput(server, library, texts, options.rounds)
        results["latency"] = latency(server, library, texts[1], 200)
        if options.overload_seconds:
            best = max(results["throughput"]["base64"])
            results["overload"] = overload(server, texts, best, options.overload_seconds, texts[1])
    finally:
        server.process.terminate()
        server.process.wait(60)
    report(results)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
