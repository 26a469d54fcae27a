"""Every block of code on the pages runs, in an empty folder for each page, or its reason not to is in `NOT_RUN`.

The tutorials are notebooks: the build of the site (`test_site.py`) runs their cells. Those of the other pages run here.
Commands of this program run in this process, since starting Python and importing JAX for each takes longer than what
they do; other lines run in a shell.
"""

import contextlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from manual.links import FROM_ROOT

from instructor_jax.cli import main
from instructor_jax.inference import devices

sys.path.insert(0, str(Path(__file__).parent))  # --import-mode=importlib has no neighbours
from blocks import NOT_RUN, ROOT, Block, assert_taken, blocks_of, commands_of, is_notebook

PAGES = sorted(
    path
    for path in [*map(ROOT.joinpath, FROM_ROOT), *(ROOT / "docs").rglob("*.md")]
    if not {"commands", "project", "settings.md"} & set(path.parts)  # made of the code, or of files at the root
)
# Pages that are run as a reader would follow them; the snippets of docs/serve.md and docs/integrations.md have tests of
# their own, beside what they are about, and those of the other pages go without data and models that a reader has.
FOLLOWED = ["README.md", *(f"docs/{folder}" for folder in ("explanations", "how_to"))]
NOTEBOOKS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))


def followed() -> list[Path]:
    return [path for path in PAGES if any(path.relative_to(ROOT).as_posix().startswith(name) for name in FOLLOWED)]


def exit_code(arguments: list[str]) -> object:
    try:
        main(arguments)
    except SystemExit as ended:
        return ended.code
    return 0


def run_commands(block: Block) -> None:
    """Runs the lines of a block of shell commands."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["instructor-jax"] and not {">", ">>", "|", "&&"} & set(words):
            with contextlib.redirect_stdout(io.StringIO()):
                code = exit_code(words[1:])
            assert code == 0, f"{block.page}:{block.line}: {line}"
        elif words and not line.startswith(". "):
            subprocess.run(["bash", "-ec", line], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("page", followed(), ids=lambda path: path.relative_to(ROOT).with_suffix("").as_posix())
def test_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "local_devices", lambda *asked, whole=devices.local_devices: whole(*asked)[:1])
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks_of(page):
        if block.reason:
            continue
        if block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), names)
        else:
            run_commands(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).with_suffix("").as_posix())
def test_what_a_page_shows_is_there(page: Path) -> None:
    """Verbs take the options that are shown, recipes have the settings, and what Python imports exists."""
    for block in blocks_of(page):
        place = f"{block.page}:{block.line}"
        if block.language == "python":
            code = compile(block.text, place, "exec")
            assert code is not None
            for module, imported in re.findall(r"^from (instructor_jax[\w.]*) import ([\w, ]+)", block.text, re.M):
                if importlib.util.find_spec(module) and ".integrations." not in module and ".mteb." not in module:
                    names = [name.strip() for name in imported.split(",")]
                    assert all(hasattr(importlib.import_module(module), name) for name in names), place
            continue
        for arguments in commands_of(block):
            assert_taken(arguments, place)


def test_the_commands_of_the_readmes_table_are_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| .*\| `instructor-jax (.*?)` \|", text, re.MULTILINE)
    assert [command.split()[0] for command in shown] == ["serve", "convert", "train", "evaluate", "plan"]
    for command in shown:
        assert_taken(shlex.split(command), "README.md")


def test_every_reason_is_one_of_some_block() -> None:
    blocks = [block for page in PAGES for block in blocks_of(page)]
    reasons = {block.reason for block in blocks}
    assert set(NOT_RUN.values()) <= reasons
    run = [block for page in [*followed(), *NOTEBOOKS] for block in blocks_of(page) if not block.reason]
    assert len(run) >= 60


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_is_a_notebook_whose_plain_blocks_have_a_reason(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith("---\nfile_format: mystnb\n")
    assert is_notebook(page)
    for block in blocks_of(page):
        assert block.cell or block.reason, f"{block.page}:{block.line}: make it a cell, or give a reason in blocks.py"
    # a failing line fails the cell, and so the build, only under -e
    assert text.count("\n%%bash") == text.count("```{code-cell} ipython3\n%%bash -e\n")
    assert not re.search(r"^!", text, re.MULTILINE), "a failing `!command` would not fail the build"
