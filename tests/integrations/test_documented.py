"""Every snippet of docs/integrations.md runs in an empty folder and prints what its last comment says."""

import contextlib
import io
import re
import sys
import tomllib
from pathlib import Path

import pytest

from instructor_jax.inference import devices

PAGE = (Path(__file__).resolve().parents[2] / "docs/integrations.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
# What a snippet imports first of all, and where no extra of ours brings it, the name to install it by.
OTHERS = {
    "langchain_core": "",
    "llama_index": "",
    "chromadb": "",
    "lancedb": "",
    "haystack": "",
    "bertopic": "bertopic",
    "keybert": "keybert",
    "txtai": "txtai",
    "dspy": "dspy",
    "sklearn": "scikit-learn",
    "qdrant_client": "qdrant-client",
    "faiss": "faiss-cpu",
}


def library(snippet: str) -> str:
    imported = re.findall(r"^(?:from|import) (\w+)", snippet, re.M)
    return next(name for name in OTHERS if name in imported)


def test_the_page_has_a_snippet_for_each() -> None:
    assert {library(snippet) for snippet in SNIPPETS} == set(OTHERS)


@pytest.mark.slow
@pytest.mark.parametrize("snippet", SNIPPETS, ids=[library(snippet) for snippet in SNIPPETS])
def test_a_snippet_prints_what_it_says(snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = library(snippet)
    pytest.importorskip(name, reason=f"{OTHERS[name] or name} is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "local_devices", lambda *asked, whole=devices.local_devices: whole(*asked)[:1])
    monkeypatch.setitem(sys.modules, "InstructorEmbedding", sys.modules.get("InstructorEmbedding"))  # put back later
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(snippet, "docs/integrations.md", "exec"), {"__name__": name})
    (expected,) = re.findall(r"^# (.*)\n\Z", snippet, re.M)
    assert printed.getvalue().strip().splitlines()[-1] == expected


def test_each_adapter_has_its_extra(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.findall(r"^\| \w+ \| `([\w-]+)` \|", PAGE, re.M)
    assert len(extras) == 5
    for extra in extras:
        assert len(project["optional-dependencies"][extra]) == 1
        assert extra in project["optional-dependencies"]["integrations"][-1]
