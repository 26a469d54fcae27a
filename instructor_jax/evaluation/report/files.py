"""Where an evaluation's results go, and whether something of somebody else lies there."""

import os
from pathlib import Path

from instructor_jax.evaluation.report.markdown import TITLE
from instructor_jax.io.ownership import Claim, check_claims
from instructor_jax.pages.own_pages import is_our_page

MARKDOWN, PAGE = "report.md", "report.html"


def refuse_other_reports(output: Path) -> None:
    """Refuses a folder of results in which a report of ours would replace a file that is none; before any work.

    Raises:
        NotOursError: so it is.
        NotADirectoryError: it is no folder.
    """
    if os.path.lexists(output) and not output.is_dir():
        raise NotADirectoryError(f"{output} is no folder; results need one of their own.")
    check_claims([Claim(output / MARKDOWN, _is_our_markdown), Claim(output / PAGE, is_our_page)])


def _is_our_markdown(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.readline(80).strip() == TITLE.encode()
    except OSError:
        return False
