"""Interleaved rounds: every contender works once a round, so that whatever else the machine does hits all alike.

After the first round only those settings of a library go on that are near its best; the others have no chance to count.
"""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from contenders import Latencies, Measurement, Setting

_NEAR_BEST = 0.85  # of the best speed of the first round; the spread between rounds is well below on a quiet machine


def race(run: Callable[[Setting], Measurement], settings: Sequence[Setting], rounds: int) -> list[dict[str, Any]]:
    """Runs the settings round by round, every other round in reverse order.

    Args:
        run: one measurement.
        settings: of all libraries.
        rounds: how often the finalists run.

    Returns:
        Per setting: `setting`, `measurements` in order of the rounds, and `finalist`.
    """
    results: dict[Setting, list[Measurement]] = {setting: [] for setting in settings}
    field = list(settings)
    for number in range(rounds):
        if number == 1:
            field = finalists(results)
        for setting in field[::-1] if number % 2 else field:
            results[setting].append(run(setting))
    return [
        {"setting": setting, "measurements": measurements, "finalist": setting in field}
        for setting, measurements in results.items()
    ]


def finalists(results: dict[Setting, list[Measurement]]) -> list[Setting]:
    """Ours, and the settings near a library's best in time or, since others may have disturbed that, in CPU time."""
    return [
        setting
        for setting, runs in results.items()
        if setting.library == "ours"
        or _near_best(runs[0], [other[0] for same, other in results.items() if same.library == setting.library])
    ]


def _near_best(run: Measurement, of_library: list[Measurement]) -> bool:
    wall, cpu = (min(getattr(other, name) for other in of_library) for name in ("wall", "cpu"))
    return wall / run.wall >= _NEAR_BEST or cpu / run.cpu >= _NEAR_BEST


def summary(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Speeds of a race as JSON values; the peer counts with whichever of its settings is best in each figure."""
    ours = next(entry for entry in entries if entry["setting"].library == "ours")
    first: Measurement = ours["measurements"][0]
    assert first.token_counts is not None
    tokens, texts = int(first.token_counts.sum()), len(first.token_counts)
    rows = [_row(entry, tokens, texts) for entry in entries]
    own = next(row for row in rows if row["library"] == "ours")
    peers = [row for row in rows if row["library"] == "peer" and row["finalist"]]
    best = {key: max(row[key] for row in peers) for key in ("tokens_per_s", "median_tokens_per_s", "tokens_per_cpu_s")}
    typical = max(peers, key=lambda row: row["median_tokens_per_s"])
    return {
        "texts": texts,
        "tokens": tokens,
        "padding": first.padding,
        "contenders": rows,
        "best_peer": max(peers, key=lambda row: row["tokens_per_s"])["label"],
        "speedup": own["tokens_per_s"] / best["tokens_per_s"],
        "speedup_of_medians": own["median_tokens_per_s"] / best["median_tokens_per_s"],
        "speedup_by_round": _by_round(own, typical),  # beside the setting of the best median
        "speedup_per_cpu_second": own["tokens_per_cpu_s"] / best["tokens_per_cpu_s"],
        "libraries": _libraries(rows, own),
    }


def _libraries(rows: list[dict[str, Any]], own: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of every library the setting with the best median, and what our speed is beside it, round by round."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        best = found.get(row["library"])
        if row["finalist"] and (best is None or row["median_tokens_per_s"] > best["median_tokens_per_s"]):
            found[row["library"]] = row
    keys = ("label", "median_tokens_per_s", "slowest_tokens_per_s", "tokens_per_s")
    return {
        name: {**{key: row[key] for key in keys}, "speedup_by_round": _by_round(own, row)}
        for name, row in found.items()
    }


def _by_round(own: dict[str, Any], other: dict[str, Any]) -> list[float]:
    ratios = [theirs["wall"] / ours["wall"] for ours, theirs in zip(own["rounds"], other["rounds"], strict=True)]
    return [min(ratios), max(ratios)]


def _row(entry: dict[str, Any], tokens: int, texts: int) -> dict[str, Any]:
    setting: Setting = entry["setting"]
    runs: list[Measurement] = entry["measurements"]
    wall = min(run.wall for run in runs)
    return {
        "label": setting.label,
        "library": setting.library,
        "finalist": entry["finalist"],
        "tokens_per_s": tokens / wall,
        "median_tokens_per_s": tokens / statistics.median(run.wall for run in runs),
        "slowest_tokens_per_s": tokens / max(run.wall for run in runs),
        "texts_per_s": texts / wall,
        "tokens_per_cpu_s": tokens / min(run.cpu for run in runs),
        "rounds": [{"wall": run.wall, "cpu": run.cpu, "others": run.others} for run in runs],
    }


def latency_row(setting: Setting, rounds: list[Latencies]) -> dict[str, Any]:
    """Median and 95th percentile, in milliseconds, of all queries of all rounds, and the best round's median."""
    milliseconds = 1e3 * np.asarray([round.seconds for round in rounds])
    return {
        "label": setting.kind,
        "library": setting.library,
        "queries": milliseconds.shape[1],
        "median_ms": float(np.median(milliseconds)),
        "p95_ms": float(np.percentile(milliseconds, 95)),
        "best_round_median_ms": float(np.median(milliseconds, axis=1).min()),
        "worst_round_median_ms": float(np.median(milliseconds, axis=1).max()),
        "rounds": [
            {"others": round.others, "milliseconds": row}
            for round, row in zip(rounds, milliseconds.tolist(), strict=True)
        ],
    }


def agreement(ours: np.ndarray, peer: np.ndarray) -> dict[str, float]:
    """How near two libraries' vectors of the same texts are: largest difference and cosines."""
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(peer, axis=1)
    cosine = np.einsum("nd,nd->n", ours, peer) / np.maximum(norms, 1e-30)
    return {
        "max_difference": float(np.abs(ours - peer).max()),
        "min_cosine": float(cosine.min()),
        "mean_cosine": float(cosine.mean()),
    }
