"""`--help` of every verb and of those below it: examples that are shown as they are typed, and that would be taken."""

import inspect
import sys
from pathlib import Path

import pytest

from instructor_jax.cli import VERBS, _application, main

sys.path.insert(0, str(Path(__file__).parent))  # --import-mode=importlib has no neighbours
from blocks import Block, assert_taken, commands_of

MARK = "  instructor-jax "


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_examples_that_are_taken(verb: str, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    application = _application(verb)[verb]
    paths = [(verb,), *((verb, name) for name in application if not name.startswith("-"))]
    for path in paths:
        main([*path, "--help"])
        shown = capsys.readouterr().out
        said = application if len(path) == 1 else application[path[1]]
        text = inspect.getdoc(said.default_command) if said.default_command else said.help
        typed = {line for line in (text or "").splitlines() if line.startswith(MARK)}
        assert typed <= {line.rstrip() for line in shown.splitlines()}, f"{path}: a line is too long for 80 columns"
        examples = commands_of(Block("help", "bash", shown.replace(f"\n{MARK}", f"\n{MARK[2:]}"), 1))
        assert any(tuple(example[: len(path)]) == path for example in examples), f"{path} has no example"
        for example in examples:
            assert_taken(example, f"{' '.join(path)} --help")
