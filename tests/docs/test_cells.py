"""Notebooks of the site: shell commands shown as such, outputs kept until the code changes."""

from pathlib import Path

import pytest


def test_shell_cells_are_shown_without_their_first_line() -> None:
    nodes = pytest.importorskip("docutils.nodes", reason="needs the extra `docs`")
    from docutils.utils import new_document
    from manual.cells import show_shell_commands

    document = new_document("page")
    for text in ("%%bash -e\necho a\necho b", "print('%%bash')"):
        block = nodes.literal_block(text, text, language="ipython3")
        document += block
    show_shell_commands(None, document)
    shell, python = document.findall(nodes.literal_block)
    assert (shell.astext(), shell.rawsource, shell["language"]) == ("echo a\necho b",) * 2 + ("bash",)
    assert (python.astext(), python["language"]) == ("print('%%bash')", "ipython3")


def test_outputs_are_kept_for_one_state_of_the_code(tmp_path: Path) -> None:
    pytest.importorskip("docutils", reason="needs the extra `docs`")
    from manual.cells import kept_outputs, state_of_code

    (tmp_path / "train").mkdir()
    (tmp_path / "train/step.py").write_text("a = 1\n")
    (tmp_path / "docs.md").write_text("a page")
    before = state_of_code(tmp_path)
    (tmp_path / "docs.md").write_text("another page")
    (tmp_path / "train/step.pyc").write_bytes(b"compiled")
    assert state_of_code(tmp_path) == before
    (tmp_path / "train/step.py").write_text("a = 2\n")
    assert state_of_code(tmp_path) != before
    assert kept_outputs("build/site").parent == Path("build/notebooks")


def test_pieces_of_a_stream_are_joined_as_they_came() -> None:
    pytest.importorskip("docutils", reason="needs the extra `docs`")
    from manual.cells import joined_streams

    def piece(name: str, text: str) -> dict[str, str]:
        return {"output_type": "stream", "name": name, "text": text}

    picture = {"output_type": "display_data"}
    pieces = [piece("stdout", "a 1"), piece("stderr", "e"), piece("stdout", "00\nb"), picture, piece("stdout", "\n")]
    assert joined_streams(pieces) == [piece("stdout", "a 100\nb\n"), piece("stderr", "e"), picture]
