"""What a release needs: workflows that name extras and files that exist, a README that can stand alone, one version."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from absolute_links import absolute

import instructor_jax

BASE = "https://example.org/o/n"


def test_links_and_pictures_become_addresses() -> None:
    text = "[a](docs/a.md#b) ![p](docs/p.png) [![badge](https://x.org/b)](LICENSE) [d](https://y.org) [e](#here)"
    assert absolute(text, BASE, "v1") == (
        f"[a]({BASE}/blob/v1/docs/a.md#b) ![p]({BASE}/raw/v1/docs/p.png) "
        f"[![badge](https://x.org/b)]({BASE}/blob/v1/LICENSE) [d](https://y.org) [e](#here)"
    )
    code = "```python\nx[0](y)\n```"
    assert absolute(code, BASE, "v1") == code


def test_no_relative_link_of_the_readme_is_left(repository: Path) -> None:
    text = absolute((repository / "README.md").read_text(encoding="utf-8"), BASE, "v1")
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not re.findall(r"\]\((?!https://)[^)]*\)", outside)
    assert f"{BASE}/raw/v1/docs/pictures/two_instructions.png" in text


def test_the_picture_is_small(repository: Path) -> None:
    assert (repository / "docs/pictures/two_instructions.png").stat().st_size < 150_000


@pytest.mark.parametrize("name", ["test", "release"])
def test_workflows_name_what_is_there(repository: Path, name: str) -> None:
    yaml = pytest.importorskip("yaml", reason="needs pyyaml")
    workflow: dict[str, Any] = yaml.safe_load(
        (repository / f".github/workflows/{name}.yml").read_text(encoding="utf-8")
    )
    assert workflow["permissions"] == {"contents": "read"}
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    extras = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    for command in commands:
        for asked in re.findall(r'-e "\.\[([\w,-]+)\]"', command):
            assert set(asked.split(",")) <= extras.keys()
        for path in re.findall(r"python (tools/\w+\.py)", command):
            assert (repository / path).is_file()
    if name == "release":
        assert any("twine check --strict" in command for command in commands)
        assert workflow["jobs"]["publish"]["permissions"] == {"id-token": "write"}
        assert workflow["jobs"]["publish"]["needs"] == "build"


def test_the_version_is_one(repository: Path) -> None:
    """CITATION.cff says the version that is cited, and the list of changes has it."""
    cited = re.search(r"^version: (\S+)$", (repository / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited is not None
    assert cited[1] == instructor_jax.__version__
    assert f"\n## {instructor_jax.__version__} " in (repository / "CHANGELOG.md").read_text(encoding="utf-8")


def test_read_the_docs_builds_with_the_extra(repository: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="needs pyyaml")
    settings: dict[str, Any] = yaml.safe_load((repository / ".readthedocs.yaml").read_text(encoding="utf-8"))
    assert settings["sphinx"]["fail_on_warning"] is True
    assert (repository / settings["sphinx"]["configuration"]).is_file()
    assert settings["python"]["install"][0]["extra_requirements"] == ["docs"]
