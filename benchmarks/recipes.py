"""Short runs of one recipe that differ in a few settings, scored on local tasks: what is worth a long run.

    python benchmarks/recipes.py default --data data/medi --evaluation data/raw --output tried --steps 300 \\
        --common "mixture.avoid=data/raw" \\
        "" "distill.distill_only=1 distill.decay=0" "loss.temperature=0.02"

Every variant is the recipe with its `key=value` settings, trained for the same number of steps unless it says
otherwise. Killed and started again, it goes on where it stopped. Writes recipes.json and recipes.md into the output.
Scores of short runs rank recipes for short runs; whoever chooses by them has chosen by these tasks.
"""

import argparse
import json
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

# One to four of each kind, those that are quick on a CPU.
TASKS = (
    "AgNewsClusteringLocal", "Clinc150ClusteringLocal", "PublicApisClusteringLocal", "CisiRetrievalLocal",
    "CovidFaqRetrievalLocal", "CranfieldRetrievalLocal", "XQuADRetrieval", "TrecQaRerankingLocal",
    "CovidQuestionPairsLocal", "MsrParaphrasePairsLocal", "TweetEvalEmotionClassificationLocal",
    "NluAskUbuntuClassificationLocal", "NluWebApplicationsClassificationLocal", "STS12", "STS13", "STS14", "STS15",
    "STS16", "STSBenchmark",
)  # fmt: skip


def train(recipe: str, settings: list[str], output: Path) -> Path:
    """Trains unless it is done; the folder of the model."""
    model = output / "model"
    if not model.is_dir():
        _run("train", recipe, f"output={output}", *settings)
    return model


def scores(model: Path, evaluation: Path, output: Path, tasks: list[str]) -> dict[str, float]:
    """Score of each task in percent; finished ones are not run again."""
    _run(
        "evaluate", str(model), "--benchmark", "local", "--data", str(evaluation), "-o", str(output), "--tasks", *tasks
    )
    found = [json.loads(path.read_text(encoding="utf-8")) for path in output.glob("runs/*/*/*.json")]
    return {one["task"]: one["score"] for one in found if one["score"] is not None and one["task"] in tasks}


def last_metrics(run: Path) -> dict[str, Any]:
    """What the run's metrics say of its last steps."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    found: dict[str, Any] = {}
    for line in lines:
        found |= json.loads(line)
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """All variants side by side, tasks as rows, as Markdown."""
    names = [row["variant"] or "as it is" for row in rows]
    tasks = [task for task in rows[0]["scores"] if all(task in row["scores"] for row in rows)]
    lines = ["| | " + " | ".join(names) + " |", "| --- " * (len(rows) + 1) + "|"]
    for task in sorted(tasks):
        lines.append(f"| {task} | " + " | ".join(f"{row['scores'][task]:.1f}" for row in rows) + " |")
    means = (statistics.fmean(row["scores"][task] for task in tasks) for row in rows)
    lines.append(f"| **mean of {len(tasks)}** | " + " | ".join(f"**{mean:.1f}**" for mean in means) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Trains and scores every variant; the table grows with each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("variants", nargs="*", default=[""], help="settings apart from the recipe, in quotes")
    parser.add_argument("--data", required=True, help="the mixture")
    parser.add_argument("--evaluation", type=Path, required=True, help="folder of evaluation sets")
    parser.add_argument("--output", type=Path, default=Path("tried"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--common", default="", help="settings of all variants, in quotes")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS))
    arguments = parser.parse_intermixed_args()  # variants may come after the options
    rows = []
    for variant in arguments.variants:
        run = arguments.output / (re.sub(r"[^\w.=-]+", "_", variant) or "as_it_is")
        settings = [f"data={arguments.data}", f"steps={arguments.steps}", *shlex.split(arguments.common)]
        model = train(arguments.recipe, [*settings, *shlex.split(variant)], run)
        found = scores(model, arguments.evaluation, run / "scores", arguments.tasks)
        rows.append({"variant": variant, "steps": arguments.steps, "metrics": last_metrics(run), "scores": found})
        (arguments.output / "recipes.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        (arguments.output / "recipes.md").write_text(table(rows), encoding="utf-8")
        print(table(rows), flush=True)


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "instructor_jax", *arguments], check=True)


if __name__ == "__main__":
    main()
