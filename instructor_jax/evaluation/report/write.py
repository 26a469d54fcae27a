"""`report.md` and `report.html` of an output folder, from the files of its runs alone."""

from pathlib import Path

from instructor_jax.evaluation.report.files import MARKDOWN, PAGE
from instructor_jax.evaluation.report.markdown import markdown
from instructor_jax.evaluation.report.page import report_page
from instructor_jax.evaluation.report.published import published_scores
from instructor_jax.evaluation.runner import read_runs
from instructor_jax.io.atomic import whole_file


def write_report(output: Path) -> tuple[Path, Path]:
    """Writes both reports; returns their paths.

    Raises:
        ValueError: the folder holds no run, or a broken file of one.
        ImportError: Matplotlib is absent.
    """
    runs = read_runs(output)
    if not runs:
        raise ValueError(f"{output} holds no run of an evaluation.")
    published = published_scores()
    for name, text in ((MARKDOWN, markdown(runs, published)), (PAGE, report_page(runs, published))):
        with whole_file(output / name) as beside:
            beside.write_text(text, encoding="utf-8")
    return output / MARKDOWN, output / PAGE
