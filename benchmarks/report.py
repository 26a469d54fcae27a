"""The results as tables that a person reads: what was measured, then each figure beside the one that is wanted."""

from collections.abc import Iterator
from typing import Any

_WANTED_SPEEDUP = 2.0
_WANTED_ON_CPU_IN_BFLOAT16 = 1.5
_WANTED_PADDING = 0.05


def lines(results: dict[str, Any]) -> Iterator[str]:
    """The whole report, line by line."""
    yield from _machine(results)
    yield from _workload(results["workload"])
    for dtype, run in results["runs"].items():
        yield from ["", f"== {dtype}, {processor(results['machine'])} =="]
        yield from _about(run["about"])
        if "mixed" in run:
            yield from _race(f"mixed lengths, {run['mixed']['texts']} texts", run["mixed"])
            on_cpu = run["about"]["ours"]["device"].startswith("cpu")
            wanted = _WANTED_ON_CPU_IN_BFLOAT16 if on_cpu and dtype == "bfloat16" else _WANTED_SPEEDUP
            yield from _verdict(run["mixed"], wanted)
        for name, values in run.get("agreement", {}).items():
            yield (
                f"vectors, {name}: max difference {values['max_difference']:.1e}, "
                f"cosine mean {values['mean_cosine']:.6f}, min {values['min_cosine']:.6f}"
            )
        if run.get("lengths"):
            yield from _lengths(run["lengths"])
        if "latency" in run:
            yield from _latency(run["latency"])
    yield from overview(results["runs"])
    yield f"on        {processor(results['machine'])}"


def processor(machine: dict[str, Any]) -> str:
    """Returns the CPU with its instruction sets: a figure means nothing without them."""
    return (
        f"{machine['cpu']}, {machine['cores']} cores ({' '.join(machine['cpu_flags']) or 'instruction sets unknown'})"
    )


def _machine(results: dict[str, Any]) -> Iterator[str]:
    machine = results["machine"]
    yield f"machine   {processor(machine)}, {machine['memory_gib']} GiB, {machine['system']}"
    yield f"load      {machine['load_average']} at the start, {machine['time']}"
    versions = (f"{name} {version}" for name, version in machine["versions"].items() if version)
    yield f"versions  Python {machine['python']}, {', '.join(versions)}"
    yield f"model     {results['options']['model'] or results['options']['size'] + ', random weights'}"
    if results["options"]["peer_model"]:
        yield f"          peer: {results['options']['peer_model']}; tokens are ours, texts a second compare the models"


def _workload(workload: dict[str, Any]) -> Iterator[str]:
    quantiles = ", ".join(f"{share}: {value}" for share, value in workload["token_quantiles"].items())
    yield f"texts     {workload['texts']}; tokens a text {workload['mean_tokens']:.0f} on average ({quantiles})"
    yield f"          with the instruction {workload['instruction']!r}, {workload['instruction_tokens']} tokens"


def _about(about: dict[str, Any]) -> Iterator[str]:
    ours, peer = about["ours"], about["peer"]
    yield (
        f"ours      {ours['device']}; loaded in {ours['load_seconds']:.1f} s, {ours['programs']} programs compiled and "
        f"run once in {ours['warmup_seconds']:.1f} s (no cache); {ours['tokens_per_call']} tokens a call"
    )
    yield (
        f"peer      {peer['device']}; loaded in {peer['load_seconds']:.1f} s; attention "
        f"{', '.join(sorted(set(peer['attention'].values())))}; weights {', '.join(peer['dtypes'])}"
    )
    for name, runtime in about.items():
        if name not in ("ours", "peer"):
            yield (
                f"{name:15} {runtime['version']}; loaded in {runtime['load_seconds']:.1f} s; "
                f"{runtime['bytes'] / 1e6:.0f} MB"
            )


def overview(runs: dict[str, Any]) -> Iterator[str]:
    """One table of all libraries, by the medians of each one's best setting, with their range over the rounds."""
    if not any("mixed" in run or "latency" in run for run in runs.values()):
        return
    yield from ["", "== all together: medians (slowest to fastest round) =="]
    header = ("tokens/s, mixed", "ours is, times", "one query, ms", "least cosine")
    yield f"{'':26}" + "".join(f"{name:>24}" for name in header)
    for dtype, run in runs.items():
        libraries = run.get("mixed", {}).get("libraries", {})
        queries = _best_latencies(run.get("latency", []))
        for name in dict.fromkeys([*libraries, *queries]):
            speed, query = libraries.get(name), queries.get(name)
            cells = ["", "", "", ""]
            if speed is not None:
                cells[0] = _spread(speed, "median_tokens_per_s", "slowest_tokens_per_s", "tokens_per_s", 0)
                cells[1] = "" if name == "ours" else _range(speed["speedup_by_round"])
            if query is not None:
                cells[2] = _spread(query, "median_ms", "worst_round_median_ms", "best_round_median_ms", 1)
            found = run.get("agreement", {}).get(f"{name} {dtype} and peer float32")
            cells[3] = f"{found['min_cosine']:.6f}" if found else ""
            title = f"{name} {dtype}" if name in ("ours", "peer") else name
            yield f"{title:26}" + "".join(f"{cell:>24}" for cell in cells)


def _best_latencies(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    best: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["library"] not in best or row["median_ms"] < best[row["library"]]["median_ms"]:
            best[row["library"]] = row
    return best


def _spread(row: dict[str, Any], median: str, slowest: str, fastest: str, digits: int) -> str:
    return f"{row[median]:.{digits}f} ({row[slowest]:.{digits}f} to {row[fastest]:.{digits}f})"


def _race(title: str, race: dict[str, Any]) -> Iterator[str]:
    yield ""
    title = f"{title}, {race['tokens']} tokens"
    yield f"{title:44}{'tokens/s':>9}{'median':>8}{'slowest':>8}{'texts/s':>9}{'tok/cpu-s':>11}"
    for row in race["contenders"]:
        yield (
            f"{row['label']:44}{row['tokens_per_s']:9.0f}{row['median_tokens_per_s']:8.0f}"
            f"{row['slowest_tokens_per_s']:8.0f}{row['texts_per_s']:9.1f}{row['tokens_per_cpu_s']:11.0f}"
            f"{_rounds(row['rounds'])}{'' if row['finalist'] else ', not near the best'}"
        )


def _verdict(race: dict[str, Any], wanted: float) -> Iterator[str]:
    yield (
        f"speed-up over {race['best_peer']}: {race['speedup']:.2f} (wanted {wanted}); of medians "
        f"{race['speedup_of_medians']:.2f} ({_range(race['speedup_by_round'])} by round), per CPU second "
        f"{race['speedup_per_cpu_second']:.2f}"
    )
    yield f"padding: {race['padding']:.1%} of the computed tokens (wanted at most {_WANTED_PADDING:.0%})"


def _range(values: list[float]) -> str:
    return " to ".join(f"{value:.2f}" for value in values)


def _lengths(lengths: dict[str, Any]) -> Iterator[str]:
    yield ""
    header = ("ours tok/s", "peer tok/s", "speed-up", "of medians", "by round", "per CPU-s", "padding")
    yield f"{'tokens a text':15}" + "".join(f"{name:>14}" for name in header) + "  best peer"
    for length, race in lengths.items():
        rows = {row["label"]: row for row in race["contenders"]}
        yield (
            f"{length:15}{rows['ours']['tokens_per_s']:14.0f}{rows[race['best_peer']]['tokens_per_s']:14.0f}"
            f"{race['speedup']:14.2f}{race['speedup_of_medians']:14.2f}{_range(race['speedup_by_round']):>14}"
            f"{race['speedup_per_cpu_second']:14.2f}{race['padding']:14.1%}  {race['best_peer']}"
        )


def _latency(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield ""
    title = f"one query at a time, {rows[0]['queries']} queries"
    yield f"{title:44}{'median ms':>11}{'p95 ms':>9}{'medians of rounds':>20}"
    for row in rows:
        yield (
            f"{row['label']:44}{row['median_ms']:11.1f}{row['p95_ms']:9.1f}"
            f"{row['best_round_median_ms']:12.1f} to {row['worst_round_median_ms']:.1f}"
            f"{_rounds(row['rounds'])}"
        )
    ours = next(row for row in rows if row["library"] == "ours")
    peer = min((row for row in rows if row["library"] == "peer"), key=lambda row: row["median_ms"])
    yield f"latency against {peer['label']}: {ours['median_ms'] / peer['median_ms']:.2f} (wanted at most 1)"


def _rounds(rounds: list[dict[str, Any]]) -> str:
    """How many there were, and the most processors that other processes took in one."""
    others = [round["others"] for round in rounds if round["others"] is not None]
    count = f"  {len(rounds)} round{'s' * (len(rounds) > 1)}"
    return f"{count}, others took {max(others):.1f} CPUs" if others else count
