"""The console command with a stand-in for the embedder, in this process and as a program of its own."""

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

FAKE = Path(__file__).parent / "fake_embedder.py"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The stand-in, in place of `instructor_jax.embedder`; `fake.loaded` lists the models that were loaded."""
    spec = importlib.util.spec_from_file_location("fake_embedder", FAKE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "instructor_jax.embedder", module)
    return module


@pytest.fixture
def run(fake: ModuleType) -> Callable[..., None]:
    """Run the command in this process; raises SystemExit where it exits with another code than 0."""
    from instructor_jax.cli import main

    return lambda *arguments: main([str(argument) for argument in arguments])


@pytest.fixture
def fails(run: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must fail in the expected way, exit code 2 and one line on stderr; gives the line."""

    def fail(*arguments: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_info:
            run(*arguments)
        assert exit_info.value.code == 2
        *progress, line = [part for part in re.split(r"[\r\n]", capsys.readouterr().err) if part.strip()]
        assert all(part.startswith(("encode:", "search:")) for part in progress)
        assert line.startswith("instructor-jax: error: ")
        return line

    return fail
