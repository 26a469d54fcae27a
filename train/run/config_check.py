"""All processes of a run must mean the same run, and a run that goes on must be the one that began.

Processes are compared before the first step: later they would hang in a collective that only some of them reach, or
train on a blend of two mixtures without a word.
"""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from instructor_jax.io.json_files import parse_json
from instructor_jax.io.tokenizers.digest import digest_of_files
from instructor_jax.requirements import installed_version

from ..distill.output_names import AXES, START
from ..settings.comparison import differences
from ..settings.flat import flat
from ..settings.run_config import RunConfig
from .distributed import wait_for_all
from .run_folder import TOKENIZER, is_own_copy

_OWN = ("data", "workers", "prefetch")  # of each host; what lies under `data` is compared by its fingerprint
_PACKAGES = ("instructor-jax", "jax", "jaxlib")
_SHOWN = 5


def require_same_config(run: RunConfig, fingerprint: str, loss: str | None = None) -> None:
    """Compares settings, data and versions of all processes; returns at once where there is one.

    Args:
        run: Settings of this process.
        fingerprint: Fingerprint of this process's mixture.
        loss: Name of this process's own loss, if it has one.

    Raises:
        ValueError: They differ; the same on every process.
    """
    if jax.process_count() == 1:
        return
    own = is_own_copy(run.output)
    facts = {key: value for key, value in flat(run).items() if key not in _OWN and not (own and key == "output")}
    facts |= {"the mixture's fingerprint": fingerprint, "the loss": loss} | {
        name: installed_version(name) for name in _PACKAGES
    }
    require_same_facts(facts | (_digests(Path(run.output)) if own else {}))


def require_same_facts(facts: dict[str, Any]) -> None:
    """Compares what every process says of its run.

    Args:
        facts: Facts of this process, by what they are called in a message.

    Raises:
        ValueError: They differ; the same on every process.
    """
    wait_for_all("what the processes say of the run")
    differing = config_differences(_gathered(facts))
    if differing:
        raise ValueError(
            f"the processes of this run differ: {'; '.join(differing[:_SHOWN])}. Start all of them with the same "
            "command, data and versions."
        )


def config_differences(everyone: list[dict[str, Any]]) -> list[str]:
    """Returns what processes have otherwise than process 0, a line for each fact, naming one process."""
    first = everyone[0]
    found = {}
    for number, other in enumerate(everyone):
        for key in {**first, **other}:
            if first.get(key) != other.get(key):
                found.setdefault(key, f"{key} is {first.get(key)!r} in process 0 and {other.get(key)!r} in {number}")
    return list(found.values())


def _digests(folder: Path) -> dict[str, str]:
    """Returns digests of what each process made in a folder of its own, and what decides what it computes."""
    found = {}
    for name in (TOKENIZER, AXES, START):
        files = [path for path in (folder / name, *sorted((folder / name).rglob("*"))) if path.is_file()]
        found[f"the digest of {name}"] = digest_of_files(folder, files)
    return found


def _gathered(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the facts of every process, in their order."""
    from jax.experimental.multihost_utils import process_allgather

    text = np.frombuffer(json.dumps(facts, default=str).encode(), np.uint8)
    sizes = np.asarray(process_allgather(np.asarray([len(text)], np.int32))).reshape(-1)
    padded = np.zeros(int(sizes.max()), np.uint8)
    padded[: len(text)] = text
    rows = np.asarray(process_allgather(padded)).reshape(len(sizes), -1)
    return [
        parse_json(row[:size].tobytes(), "what a process says of its run")
        for row, size in zip(rows, sizes, strict=True)
    ]


def check_same_run(old: dict[str, Any], new: dict[str, Any], folder: Path) -> None:
    """Checks that a run may go on with these settings.

    Raises:
        ValueError: Its mixture, its loss or a setting that decides the losses is another.
    """
    if not isinstance(old.get("run"), dict) or not isinstance(old.get("fingerprint"), str):
        raise ValueError(
            f"{folder}: its latest checkpoint does not say what it is of; delete that checkpoint's folder."
        )
    if old.get("loss") != new.get("loss"):
        before, now = (one.get("loss") or "the configured loss" for one in (old, new))
        raise ValueError(
            f"{folder} was trained with {before}, this run has {now}; give another output, or the old loss."
        )
    if old["fingerprint"] != new["fingerprint"]:
        raise ValueError(
            f"{folder} was trained on a mixture with fingerprint {old['fingerprint']}, this one has "
            f"{new['fingerprint']}; give another output, or the old mixture."
        )
    changed = differences(old["run"], new["run"])
    if changed:
        told = ", ".join(f"{key} was {before!r} and is {now!r}" for key, (before, now) in list(changed.items())[:5])
        raise ValueError(f"{folder} holds a run with other settings: {told}. Give another output, or the old settings.")
