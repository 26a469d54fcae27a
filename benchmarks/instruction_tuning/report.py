"""Tables, intervals and a figure of the runs of this experiment.

    python benchmarks/instruction_tuning/report.py tuned --csv instruction_tuning.csv --figure instruction_tuning.png

A mean over tasks has two sources of chance: the seed (which examples, in which order) and the tasks that happen to be
there. So each difference of two arms, paired by seed and by task, comes with two intervals of 95 %: Student's over the
seeds, and a bootstrap over the tasks of the means over seeds.
"""

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measures import ASYMMETRIC, SYMMETRIC

from instructor_jax.io.atomic import whole_file
from instructor_jax.train.recipes import SAME_TEXTS

GROUPS: dict[str, Sequence[str]] = {
    "symmetric tasks": tuple(SYMMETRIC),
    "asymmetric tasks": tuple(ASYMMETRIC),
    "held-out triples, trained tasks": [
        task for task in SAME_TEXTS if not task.startswith(("medquad", "sgd_dialogues"))
    ],
    "held-out triples, tasks not trained on": [
        task for task in SAME_TEXTS if task.startswith(("medquad", "sgd_dialogues"))
    ],
    "crossed labels": ("wording 1", "wording 2"),
}
COMPARED = (("own", "none"), ("own", "shuffled"))


def figures(run: Mapping[str, Any]) -> dict[str, float]:
    """All figures of a run by name; without instructions there is one figure of crossed labels, for every wording."""
    crossed: dict[str, float] = run["crossed"]
    if run["arm"] == "none":
        crossed = dict.fromkeys(GROUPS["crossed labels"], crossed["none"])
    return {**run["tasks"], **run["triples"], **crossed}


def table_of(runs: Sequence[Mapping[str, Any]], mixture: str, arm: str, names: Sequence[str]) -> np.ndarray:
    """Figures of an arm, seeds by names."""
    chosen = sorted(
        (run for run in runs if (run["mixture"], run["arm"]) == (mixture, arm)), key=lambda run: run["seed"]
    )
    return np.array([[figures(run)[name] for name in names] for run in chosen]).reshape(len(chosen), len(names))


def over_seeds(differences: np.ndarray) -> tuple[float, float]:
    """Student's interval of 95 % of the mean over seeds."""
    from scipy.stats import t

    each = differences.mean(axis=1)
    if len(each) < 2:
        return -np.inf, np.inf
    half = t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each))
    return float(each.mean() - half), float(each.mean() + half)


def over_tasks(differences: np.ndarray, draws: int = 10_000) -> tuple[float, float]:
    """Bootstrap interval of 95 % of the mean over tasks."""
    each = differences.mean(axis=0)
    means = each[np.random.default_rng(0).integers(len(each), size=(draws, len(each)))].mean(axis=1)
    return tuple(np.quantile(means, (0.025, 0.975)).tolist())


def lines(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Markdown: means of every arm, then the differences with their intervals."""
    seeds = {run["seed"] for run in runs if run["mixture"] == "union"}
    columns = [("start", "none"), ("start", "own"), *(("union", arm) for arm in ("none", "own", "shuffled"))]
    columns += [one for one in (("symmetric", "none"), ("symmetric", "own")) if len(table_of(runs, *one, ["STS16"]))]
    columns = [one for one in columns if len(table_of(runs, *one, ["STS16"]))]
    found = [f"{len(seeds)} seeds", "", "| | " + " | ".join(f"{mixture}, {arm}" for mixture, arm in columns) + " |"]
    found.append("| --- " * (len(columns) + 1) + "|")
    for group, names in GROUPS.items():
        means = [f"{table_of(runs, *column, names).mean():.1f}" for column in columns]
        found.append(f"| {group} ({len(names)}) | " + " | ".join(means) + " |")
    found += ["", "| difference | of | mean | over seeds | over tasks |", "| --- | --- | --- | --- | --- |"]
    for group, names in GROUPS.items():
        for one, other in COMPARED:
            found += _difference(f"{one} - {other}, union", group, _paired(runs, "union", one, other, names))
        union, alone = (_paired(runs, mixture, "own", "none", names) for mixture in ("union", "symmetric"))
        both = min(len(union), len(alone))
        if both:
            found += _difference("own - none, symmetric alone", group, alone)
            found += _difference(
                "(own - none) of the union minus that of the symmetric", group, union[:both] - alone[:both]
            )
    return found


def _paired(runs: Sequence[Mapping[str, Any]], mixture: str, one: str, other: str, names: Sequence[str]) -> np.ndarray:
    first, second = (table_of(runs, mixture, arm, names) for arm in (one, other))
    both = min(len(first), len(second))
    return first[:both] - second[:both]


def _difference(what: str, group: str, found: np.ndarray) -> list[str]:
    if not len(found):
        return []
    seeds, tasks = over_seeds(found), over_tasks(found)
    by_seed = f"{seeds[0]:+.1f} to {seeds[1]:+.1f}" if len(found) > 1 else "one seed"
    return [f"| {what} | {group} | {found.mean():+.1f} | {by_seed} | {tasks[0]:+.1f} to {tasks[1]:+.1f} |"]


def reworded(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Markdown: best and worst of five wordings of one meaning, the mean over seeds."""
    found = ["", "| task | arm | best | worst | gap |", "| --- | --- | --- | --- | --- |"]
    arms = [("start", "own"), ("union", "own")]
    tasks = next(list(run["reworded"]) for run in runs if run["reworded"])
    for task in tasks:
        for mixture, arm in arms:
            scores = [run["reworded"][task] for run in runs if (run["mixture"], run["arm"]) == (mixture, arm)]
            if scores:
                best, worst = (float(np.mean([pick(one) for one in scores])) for pick in (max, min))
                found.append(f"| {task} | {mixture}, {arm} | {best:.1f} | {worst:.1f} | {best - worst:.1f} |")
    return found


def write_csv(runs: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Writes every figure of every run."""
    with whole_file(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["mixture", "arm", "seed", "measure", "score"])
        for run in runs:
            head = [run["mixture"], run["arm"], run["seed"]]
            writer.writerows([*head, name, f"{score:.2f}"] for name, score in figures(run).items() if name != "none")
            for task, scores in run["reworded"].items():
                writer.writerows([*head, f"{task}, wording {at}", f"{one:.2f}"] for at, one in enumerate(scores, 1))


def draw(runs: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draws each group's means, a point a seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    arms = (("start", "none"), ("union", "none"), ("union", "shuffled"), ("union", "own"))
    for axes, (group, names) in zip(figure.subplots(1, len(GROUPS)), GROUPS.items(), strict=True):
        for place, (mixture, arm) in enumerate(arms):
            table = table_of(runs, mixture, arm, names)
            if not len(table):
                continue
            each = table.mean(axis=1)
            axes.plot([place] * len(each), each, "o", color=f"C{place}", alpha=0.5)
            axes.plot([place - 0.3, place + 0.3], [each.mean()] * 2, color=f"C{place}")
        axes.set_title(group.replace(", ", ",\n"), fontsize=8)
        labels = [mixture if mixture == "start" else arm for mixture, arm in arms]
        axes.set_xticks(range(len(arms)), labels, rotation=60, fontsize=8)
        axes.tick_params(axis="y", labelsize=8)
    with whole_file(path) as draft:
        figure.savefig(draft, dpi=150, format="png")


def main() -> None:
    """Prints the tables; writes the figures of all runs and a picture where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder of the runs")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(options.output.glob("*-*-*.json"))]
    print("\n".join([*lines(runs), *reworded(runs)]))
    if options.csv:
        write_csv(runs, options.csv)
    if options.figure:
        draw(runs, options.figure)


if __name__ == "__main__":
    main()
