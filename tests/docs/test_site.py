"""The site is built without a warning, from nothing, and what it needs is in it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

NEEDED = ("sphinx", "furo", "myst_parser", "sphinx_copybutton", "sphinx_design")


@pytest.mark.slow
@pytest.mark.skipif(any(importlib.util.find_spec(name) is None for name in NEEDED), reason="needs the extra `docs`")
def test_the_site_is_built_without_a_warning(repository: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", str(tmp_path / "site")],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    site = tmp_path / "site"
    assert "instructor-jax train" in (site / "reference/commands/train.html").read_text(encoding="utf-8")
    assert "gradient_cache_chunks" in (site / "reference/settings.html").read_text(encoding="utf-8")
    inventory = (site / "reference/api/embedding.html").read_text(encoding="utf-8")
    assert 'id="instructor_jax.Instructor.encode"' in inventory
    assert "reference/settings.html" in (site / "llms.txt").read_text(encoding="utf-8")
