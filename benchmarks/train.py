"""Our trainer against sentence-transformers': same weights, same rows, same machine, same run; real tokens a second.

    python benchmarks/train.py --store data/medi --size t5-small --out results.json

See README.md beside this file for what is measured and how.
"""

import contextlib
import dataclasses
import json
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Literal

from contenders import Dtype, Process, Setting
from cyclopts import App, Group, Parameter
from encode import Integers, Names, random_model
from machine import describe_machine
from tqdm import tqdm
from train_contenders import OurTrainer, PeerTrainer, Shape, Stretch
from train_workload import TrainWorkload, draw_workload

from instructor_jax.io.atomic import whole_file

_WANTED = {"cpu": 1.5, "gpu": 2.0}
_NEAR_BEST = 0.85  # settings of the peer slower than this share of its best drop out after the first round
_SETTLE_SECONDS = 0.3

app = App(name="train.py", help_format="plaintext")


@Parameter(name="*", group=Group("Work"))
@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """What is trained on.

    Attributes:
        store: A mixture of 'instructor-jax medi build'.
        workload: A file made by --save-workload, instead of a store.
        save_workload: Write what is trained on to one file, for a machine without the mixture.
        tasks: Tasks drawn from the mixture.
        rows: Rows of each.
        seed: Of the draw and of the random weights.
    """

    store: Path | None = None
    workload: Path | None = None
    save_workload: Path | None = None
    tasks: int = 16
    rows: int = 500
    seed: int = 0

    def load(self) -> TrainWorkload:
        """The workload: read, or drawn; saved where asked for."""
        if self.workload is not None and self.store is None:
            return TrainWorkload.load(self.workload)
        if self.store is None or self.workload is not None:
            raise ValueError("give either --store or --workload.")
        drawn = draw_workload(self.store, self.tasks, self.rows, self.seed)
        if self.save_workload is not None:
            drawn.save(self.save_workload)
        return drawn


@Parameter(name="*", group=Group("Measurement"))
@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How it is measured.

    Attributes:
        dtype: Of the computation; weights are float32 in both.
        peer_batch_sizes: Triples of the peer's batch, comma-separated; its best one counts.
        peer_attentions: eager, sdpa or both, comma-separated; the best one counts.
        peer_mini_batch: 0 for MultipleNegativesRankingLoss; else the mini batch of its cached form.
        rounds: Interleaved rounds.
        seconds: About how long each contender trains in a round.
        size: Published size of the random weights, or "tiny".
        model: A model folder, instead of random weights.
        max_length: Most tokens of a text.
        groups: Groups of our step.
        group_rows: Packed rows of a group.
        remat: What our layers compute again: none, dots, full.
        chunks: Parts in which we encode a group.
        temperature: Of the softmax.
        ours_only: Leave the peer out.
    """

    dtype: Dtype = "float32"
    peer_batch_sizes: Annotated[tuple[int, ...], Integers] = (8, 16, 32)
    peer_attentions: Annotated[tuple[str, ...], Names] = ("sdpa", "eager")
    peer_mini_batch: int = 0
    rounds: int = 3
    seconds: float = 20.0
    size: str = "t5-small"
    model: Path | None = None
    max_length: int = 512
    groups: int = 1
    group_rows: int = 8
    remat: Literal["none", "dots", "full"] = "none"
    chunks: int = 1
    temperature: float = 0.05
    ours_only: Annotated[bool, Parameter(negative="")] = False

    def shape(self) -> Shape:
        """What both trainers are told."""
        return Shape(
            self.max_length, self.groups, self.group_rows, self.max_length, self.remat, self.chunks, self.temperature
        )

    def settings(self) -> list[Setting]:
        """Every contender."""
        peers = [Setting("peer", size, kind) for kind in self.peer_attentions for size in self.peer_batch_sizes]
        return [Setting("ours"), *([] if self.ours_only else peers)]


@app.default
def benchmark(*, out: Path | None = None, work: Work = Work(), plan: Plan = Plan()) -> None:
    """Measure training against sentence-transformers' trainer.

    Example:

      python benchmarks/train.py --store data/medi --size t5-small --out results.json

    Args:
        out: JSON file of all measurements.
    """
    workload = work.load()
    results: dict[str, Any] = {
        "machine": describe_machine(),
        "workload": workload.describe(plan.max_length),
        "options": json.loads(json.dumps(dataclasses.asdict(plan), default=str)),
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = plan.model or random_model(Path(scratch), workload, plan.size, work.seed)
        arguments = (folder, workload, plan.shape(), plan.dtype)
        with contextlib.ExitStack() as stack:
            processes = {"ours": stack.enter_context(Process(OurTrainer, *arguments))}
            if not plan.ours_only:
                processes["peer"] = stack.enter_context(Process(PeerTrainer, *arguments, plan.peer_mini_batch))
            results["about"] = {name: process.about for name, process in processes.items()}
            results["rows"] = rows = [row(setting, runs) for setting, runs in race(processes, plan).items()]
            results["mfu"] = processes["ours"].call(OurTrainer.utilization, rows[0]["tokens_per_s"])
    if out is not None:
        with whole_file(out) as draft:
            draft.write_text(json.dumps(results, indent=1, default=str) + "\n", encoding="utf-8")
    print("\n".join(report(results)))


def race(processes: dict[str, Process], plan: Plan) -> dict[Setting, list[Stretch]]:
    """Interleaved rounds, every other one in reverse order; each contender trains about equally long."""
    settings = plan.settings()
    functions = {"ours": OurTrainer.stretch, "peer": PeerTrainer.stretch}
    runs: dict[Setting, list[Stretch]] = {setting: [] for setting in settings}
    steps: dict[Setting, int] = {}
    with tqdm(desc="training", unit="run") as bar:

        def one(setting: Setting, count: int) -> Stretch:
            bar.set_postfix_str(setting.label)
            time.sleep(_SETTLE_SECONDS)
            done = processes[setting.library].call(functions[setting.library], setting, count)
            bar.update()
            return done

        for setting in settings:
            one(setting, 1)  # compiles, and fills caches
            probe = one(setting, 3)
            steps[setting] = max(3, round(plan.seconds / (probe.wall / probe.steps)))
        for number in range(plan.rounds):
            if number == 1:
                settings = near_best(runs)
            for setting in settings[::-1] if number % 2 else settings:
                runs[setting].append(one(setting, steps[setting]))
    return {setting: runs[setting] for setting in settings}


def near_best(runs: dict[Setting, list[Stretch]]) -> list[Setting]:
    """Ours, and the peer's settings near its best."""
    speeds = {setting: max(run.tokens / run.wall for run in done) for setting, done in runs.items() if done}
    best = max((speed for setting, speed in speeds.items() if setting.library == "peer"), default=0.0)
    return [setting for setting in runs if setting.library == "ours" or speeds[setting] >= _NEAR_BEST * best]


def row(setting: Setting, runs: list[Stretch]) -> dict[str, Any]:
    """The figures of one contender as JSON values."""
    return {
        "label": setting.label,
        "library": setting.library,
        "tokens_per_s": max(run.tokens / run.wall for run in runs),
        "median_tokens_per_s": statistics.median(run.tokens / run.wall for run in runs),
        "tokens_per_cpu_s": max(run.tokens / run.cpu for run in runs),
        "padding": 1 - sum(run.tokens for run in runs) / sum(run.computed for run in runs),
        "tokens_of_a_step": sum(run.tokens for run in runs) / sum(run.steps for run in runs),
        "others": max((run.others or 0.0) for run in runs),
        "runs": [dataclasses.asdict(run) for run in runs],
    }


def report(results: dict[str, Any]) -> list[str]:
    """The tables that a person reads."""
    machine, about = results["machine"], results["about"]
    work, rows = results["workload"], results["rows"]
    quantiles = ", ".join(f"{share}: {value}" for share, value in work["token_quantiles"].items())
    lines = [
        f"machine   {machine['cpu']}, {machine['cores']} cores; load {machine['load_average']}, {machine['time']}",
        f"model     {results['options']['model'] or results['options']['size'] + ', random weights'}, "
        f"{results['options']['dtype']}; {', '.join(about[name]['device'] for name in about)}",
        f"work      {work['rows']} triples of {work['tasks']} tasks; {work['mean_tokens']:.0f} tokens a text "
        f"({quantiles})",
        "",
        f"{'':32}{'tokens/s':>9}{'median':>8}{'tok/cpu-s':>11}{'padding':>9}{'tok/step':>10}{'others':>8}",
    ]
    lines += [
        f"{one['label']:32}{one['tokens_per_s']:9.0f}{one['median_tokens_per_s']:8.0f}{one['tokens_per_cpu_s']:11.0f}"
        f"{one['padding']:9.1%}{one['tokens_of_a_step']:10.0f}{one['others']:8.1f}"
        for one in rows
    ]
    if peers := [one for one in rows if one["library"] == "peer"]:
        ratios = [rows[0][key] / max(one[key] for one in peers) for key in ("tokens_per_s", "median_tokens_per_s")]
        wanted = _WANTED["gpu" if "cuda" in about["peer"]["device"] else "cpu"]
        lines.append(f"speed-up over the peer's best: {ratios[0]:.2f} (wanted {wanted}), of medians {ratios[1]:.2f}")
    if results["mfu"] is not None:
        lines.append(f"MFU on real tokens: {results['mfu']:.1%} (wanted 50 %)")
    return lines


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or the folder of the random weights stays behind
    try:
        app()
    except (ValueError, OSError, ImportError) as error:
        print(f"train.py: error: {error}", file=sys.stderr)
        sys.exit(2)
