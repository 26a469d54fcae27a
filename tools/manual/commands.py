"""The pages of the command line, written from the commands themselves: a page for each verb, with all its options."""

import re
from pathlib import Path

from instructor_jax.cli import _EXIT_CODES, VERBS, _application

from .files import write_if_changed


def write_command_pages(folder: Path) -> None:
    """Writes a page for each verb, and their index.

    Args:
        folder: Where the pages are written; pages of verbs that are gone are removed from it.
    """
    pages = {f"{verb}.md": command_page(verb) for verb in VERBS} | {"index.md": index_page()}
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.md"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        write_if_changed(folder / name, text)


def index_page() -> str:
    """Returns the page that lists the verbs with their summaries, and what the exit codes mean."""
    rows = "".join(f"| [`{verb}`]({verb}.md) | {summary} |\n" for verb, (_, summary) in VERBS.items())
    listed = "\n".join(VERBS)
    return f"""# Command line

`instructor-jax VERB ...`, or `python -m instructor_jax VERB ...`. These pages are made of the commands' own `--help`.

| verb | what it does |
| --- | --- |
{rows}
{_EXIT_CODES}

```{{toctree}}
:hidden:

{listed}
```
"""


def command_page(verb: str) -> str:
    """Returns the page of one verb: what it does, its examples, all its options, and the same of verbs below it.

    Raises:
        KeyError: There is no such verb.
    """
    if verb not in VERBS:
        raise KeyError(verb)
    markdown = _application(verb)[verb].generate_docs(output_format="markdown", recursive=True)
    return page_of_help(markdown, verb)


def page_of_help(markdown: str, verb: str) -> str:
    """Returns cyclopts' page of a command as one of this site.

    Its table of contents is the site's own, the name of the program stands before usages, and the lines of a docstring
    that are indented are commands.
    """
    markdown = re.sub(r"\n## Table of Contents\n.*?(?=\n\*\*|\n## )", "", markdown, count=1, flags=re.DOTALL)
    markdown = re.sub(r"^```console\n(?=\w)", "```console\n$ instructor-jax ", markdown, flags=re.MULTILINE)
    # cyclopts takes the module that Python was started with for a part of the name
    markdown = re.sub(r"^(\$ instructor-jax [a-z -]*?) -m [\w.]+", r"\1", markdown, flags=re.MULTILINE)
    markdown = re.sub(rf"\(#{verb}-([\w-]+)\)", rf"(#instructor-jax-{verb}-\1)", markdown)
    markdown = re.sub(r"^(#+) (?=\w)", r"\1 instructor-jax ", markdown, flags=re.MULTILINE)
    return _options(_fenced(markdown))


def _fenced(markdown: str) -> str:
    """Returns the text with its examples and indented lists in fences."""
    done, in_fence = [], False
    for block in markdown.split("\n\n"):
        fences = block.count("```")
        lines = block.split("\n")
        command = (lines[0].startswith("  ") and "instructor-jax " in block) or lines[0].startswith("instructor-jax ")
        if not in_fence and not fences and (command or lines[0].startswith("  ")):
            kind = "bash" if command else "text"
            block = f"```{kind}\n" + "\n".join(line[2:] if line.startswith("  ") else line for line in lines) + "\n```"
        elif not in_fence and not fences:
            # typography would make a dash of the two
            block = re.sub(r"(`[^`]*`)|(?<![\w-])(--[a-z][\w-]*)", lambda found: found[1] or f"`{found[2]}`", block)
        in_fence ^= fences % 2 == 1
        done.append(block)
    return re.sub(r"(?<=\n)```\n\n```bash\n", "\n", "\n\n".join(done))


def _options(markdown: str) -> str:
    """Returns the text with angle brackets and stars of descriptions taken as such."""
    return re.sub(r"^(\* `.*)$", lambda line: line[1].replace("<", "\\<"), markdown, flags=re.MULTILINE)
