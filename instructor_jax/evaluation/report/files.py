"""Where an evaluation's results go, and whether something of somebody else lies there."""

import os
from pathlib import Path

from instructor_jax.evaluation.report.markdown import TITLE
from instructor_jax.pages.own_pages import is_our_page

MARKDOWN, PAGE = "report.md", "report.html"


def refuse_other_reports(output: Path) -> None:
    """Refuses a folder of results in which a report of ours would replace a file that is none; before any work.

    Raises:
        FileExistsError: so it is.
        NotADirectoryError: it is no folder.
    """
    if os.path.lexists(output) and not output.is_dir():
        raise NotADirectoryError(f"{output} is no folder; results need one of their own.")
    for path, ours in ((output / MARKDOWN, _is_our_markdown), (output / PAGE, is_our_page)):
        if os.path.lexists(path) and not ours(path):
            raise FileExistsError(f"{path} exists and is no report of an evaluation; name another --output.")


def _is_our_markdown(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.readline(80).strip() == TITLE.encode()
    except OSError:
        return False
