"""The benchmark for one GPU runs from a checkout with few packages, and a section that fails costs only itself."""

import argparse
import importlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from .conftest import Load

# What a machine with a GPU has, at the least.
PRESENT = ("jax", "flax", "optax", "orbax-checkpoint", "numpy", "safetensors", "tokenizers", "jaxtyping")
ABSENT = {
    "cyclopts",
    "grain",
    "datasets",
    "beartype",
    "transformers",
    "huggingface_hub",
    "tqdm",
    "jinja2",
    "orjson",
    "torch",
}
# Imported by every process at its start: no package of the list can be found, nor this project where it is installed.
BLOCKER = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
class Blocker:
    blocked = {blocked!r}
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in cls.blocked:
            raise ModuleNotFoundError(f"No module named {{name!r}} (blocked)", name=name)
sys.meta_path[:] = [Blocker, BuiltinImporter, FrozenImporter, PathFinder]
"""


def needed(names: tuple[str, ...]) -> set[str]:
    """Distributions that these need, themselves included; tokenizers needs the hub only to download."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if name in found:
            continue
        found.add(name)
        if name == "tokenizers":
            continue
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # for another platform
            continue
        left += [re.split(r"[ ;<>=!~\[(]", line, maxsplit=1)[0] for line in requirements if "extra ==" not in line]
    return found


@pytest.fixture(scope="module")
def few_packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which Python finds only what is promised to be enough."""
    allowed = needed(PRESENT)
    owners = importlib.metadata.packages_distributions()
    blocked = {
        module
        for module, distributions in owners.items()
        if not {re.sub(r"[-_.]+", "-", name).lower() for name in distributions} & allowed
    }
    assert {name for name in ABSENT if name in owners} <= blocked
    folder = tmp_path_factory.mktemp("blocker")
    (folder / "sitecustomize.py").write_text(BLOCKER.format(blocked=sorted((blocked | ABSENT) - {"instructor_jax"})))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XLA_", "COV"))}
    return {**kept, "PYTHONPATH": str(folder), "JAX_PLATFORMS": "cpu"}


def lines_of(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.slow  # seven processes, of which each starts JAX
def test_it_runs_with_few_packages_from_a_checkout(few_packages, repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "gpu.jsonl"
    # as much time as a busy machine takes; alone it takes about a minute
    options = ["--tiny", "--limit", "3600", "--out", str(out)]
    command = [sys.executable, str(repository / "benchmarks" / "gpu.py"), *options]
    result = subprocess.run(command, env=few_packages, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert out.read_text() == result.stdout
    figures = lines_of(result.stdout)
    assert not [line for line in figures if "error" in line or line.get("ok") is False]
    assert sum(line.get("ok") is True for line in figures) >= 6  # vectors in two types, steps with and without dropout
    said = {line["what"]: line for line in figures if "what" in line}
    assert said["PyTorch base"]["skipped"] == "torch is absent"
    assert said["encode base, rows of 512, ours, einsum"]["tokens_per_s"] > 0
    assert said["train base, remat=full, einsum"]["planned_gib"] > 0
    assert said["96 triples in one step, base, einsum"]["loss"] > 0


@pytest.fixture
def gpu(module: Load) -> ModuleType:
    return module("gpu")


def run(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scripts: dict[str, str], limit: float
) -> list[dict]:
    """Runs sections that are these scripts, and returns what was written."""
    script = tmp_path / "sections.py"
    script.write_text(
        "import sys\nnumber = int(sys.argv[1].partition('=')[2])\n"
        f"exec(compile({list(scripts.values())!r}[number], 'section', 'exec'))\n"
    )
    monkeypatch.setattr(gpu, "__file__", str(script))
    monkeypatch.setattr(gpu, "SECTIONS", tuple(gpu.Section(name, 0, "") for name in scripts))
    out = tmp_path / "out.jsonl"
    with out.open("w") as file:
        gpu.run_all(gpu.Output(file), argparse.Namespace(limit=limit, only="", tiny=False))
    return lines_of(out.read_text())


def test_a_section_that_fails_costs_only_itself(gpu, monkeypatch, tmp_path) -> None:
    scripts = {
        "raises": "print('{\"what\": \"a\"}'); raise SystemError('broken card')",
        "crashes": 'import os; print(\'{"what": "b"}\', flush=True); os._exit(134)',
        "chatters": "print('no json'); print('[1]'); print('{\"what\": \"c\", \"ok\": false}')",
        "works": 'print(\'{"what": "d"}\')',
    }
    lines = run(gpu, monkeypatch, tmp_path, scripts, limit=60)
    assert [line["what"] for line in lines if "what" in line] == ["a", "b", "c", "d"]
    assert [line["said"] for line in lines if "said" in line] == ["no json", "[1]"]
    ends = {line["section"]: line.get("error", "") for line in lines if "section" in line}
    assert "broken card" in ends["raises"]
    assert "134" in ends["crashes"]
    assert ends["chatters"] == ends["works"] == ""
    assert lines[-1]["failures"] == 3


def test_a_section_that_hangs_is_stopped_and_what_it_said_is_kept(gpu, monkeypatch, tmp_path) -> None:
    scripts = {"hangs": 'import time; print(\'{"what": "a"}\', flush=True); time.sleep(60)', "late": "print('{}')"}
    lines = run(gpu, monkeypatch, tmp_path, scripts, limit=1.5)
    assert lines[0] == {"what": "a"}
    assert "stopped" in lines[1]["error"]
    assert "skipped" in lines[2]
    assert lines[2]["section"] == "late"
