"""This server beside another one that speaks OpenAI's `/v1/embeddings`, on one model and the same texts, in turns.

    HF_HUB_OFFLINE=1 infinity_emb v2 --model-id MINILM --served-model-name minilm --engine torch --device cpu \
        --port 7997 --url-prefix /v1 --no-bettertransformer
    python benchmarks/serve_beside.py MINILM --beside http://127.0.0.1:7997 --beside-model minilm --out beside.json

The other server must run already; both stay up, and the one that is not asked uses no CPU. Vectors are compared first.
"""

import argparse
import base64
import json
import statistics
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine
from serve import Server, texts_of

CASES = ((32, 8), (1, 64), (1, 1))  # texts a request, requests in flight


def vectors_of(url: str, body: dict[str, Any]) -> np.ndarray:
    """Returns the vectors [texts, dim] of one request."""
    asked = urllib.request.Request(
        f"{url}/v1/embeddings", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(asked) as answer:
        found = json.load(answer)["data"]
    rows = [item["embedding"] for item in found]
    return np.array([np.frombuffer(base64.b64decode(row), "<f4") if isinstance(row, str) else row for row in rows])


def main() -> None:
    """Compares the vectors, then measures both in turns."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", help="a folder or a name that both can serve")
    parser.add_argument("--beside", required=True, help="the other server, without /v1")
    parser.add_argument("--beside-model", required=True, help="the model's name there")
    parser.add_argument("--count", type=int, default=480)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    texts = texts_of(options.count, 0)
    own = Server([options.model, "--instruction", ""])
    other = Server.__new__(Server)  # somebody else's process
    other.url = options.beside
    named = {"own": (own, {}), "beside": (other, {"model": options.beside_model})}
    results: dict[str, Any] = {"machine": describe_machine(), "texts_per_second": {}}
    try:
        ours, theirs = (vectors_of(server.url, {"input": texts[:32], **extra}) for server, extra in named.values())
        results["smallest_cosine"] = float(np.min(np.sum(ours * theirs, 1) / np.linalg.norm(theirs, axis=1)))
        for size, workers in CASES:
            few = texts if size > 1 else texts[: max(len(texts) // (1 if workers > 1 else 4), 1)]
            rates: dict[str, list[float]] = {name: [] for name in named}
            for turn in range(options.rounds + 1):  # the first warms both up
                for name, (server, extra) in named.items():
                    bodies = [{"input": few[k : k + size], **extra} for k in range(0, len(few), size)]
                    seen = server.load("closed", bodies=bodies, workers=workers)
                    if turn:
                        rates[name].append(len(few) / seen["seconds"])
            results["texts_per_second"][f"{size}x{workers}"] = rates
            ratio = statistics.median(rates["own"]) / statistics.median(rates["beside"])
            spread = {name: [round(rate, 1) for rate in found] for name, found in rates.items()}
            print(
                f"{size} texts a request, {workers} at a time: {ratio:.2f} times as many texts a second {spread}",
                flush=True,
            )
    finally:
        own.process.terminate()
        own.process.wait(60)
    print(f"smallest cosine {results['smallest_cosine']:.6f}; {results['machine']['cpu']}")
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
