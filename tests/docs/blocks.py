"""The code blocks of the pages: who runs them, and which of them nobody can, and why.

Pages with cells are notebooks, which the build of the site executes (`test_site.py`). A plain block on such a page
is one that cannot be executed, and has its reason below.
"""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

# What a block holds that cannot be had where tests run: no network, no TPU, no GPU. The reason stands beside it.
NOT_RUN = {
    r"^from openai import": "needs the extra clients; tests/server runs it",
    r"--engine ray": "needs the extra ray; tests/commands/encode and tests/integrations run it",
    r"pip (install|download)|uv (venv|pip)|python3? -m venv": "installs from a registry",
    r"hkunlp/|sentence-transformers/gtr|hf download|# needs the Hugging Face hub": "needs the Hugging Face hub",
    r"\bgcloud\b|\bxpk\b|\bsrun\b|\btorchrun\b|--coordinator|#SBATCH": "needs several machines, or a scheduler",
    r"--topology|\[train,tpu\]": "needs the TPU's or NVIDIA's compiler; tests/train/plan compiles with both",
    r"medi (fetch|build)|data/(raw|medi)|medi-data\.json|eval-data": "needs data that a network brings",
    r"checkpoint_1000|flax-folder|runs/mine/checkpoints": "needs such a checkpoint; tests/convert makes them",
    r"convert verify": "needs the extra torch; tests/convert runs it",
    r"pre-commit|pytest|ruff|\.ci/run|git clone": "works on the project itself",
}


class Block(NamedTuple):
    """A fenced block: its page, language, text, the number of its first line, and whether the site's build runs it."""

    page: str
    language: str
    text: str
    line: int
    cell: bool = False

    @property
    def reason(self) -> str | None:
        """Why it is not run; None where it is."""
        if self.cell:
            return None
        return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, self.text, re.MULTILINE)), None)


def blocks_of(page: Path) -> list[Block]:
    """Returns the blocks of shell commands and Python of a page, in their order; cells without their options."""
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT).as_posix()
    blocks = []
    for match in re.finditer(r"^```(bash|sh|python|\{code-cell\} ipython3)\n(.*?)^```$", text, re.M | re.S):
        language, code, cell = match[1], match[2], match[1].startswith("{")
        if cell:
            code = re.sub(r"\A(?:---\n.*?^---\n|(?::.*\n)+\n?)", "", code, flags=re.M | re.S)
            language = "bash" if code.startswith("%%bash") else "python"
            code = code.removeprefix("%%bash -e\n")
        blocks.append(Block(name, language, code, text[: match.start()].count("\n") + 2, cell))
    return blocks


def is_notebook(page: Path) -> bool:
    """Tells whether the build of the site executes a page."""
    return any(block.cell for block in blocks_of(page))


def commands_of(block: Block) -> list[list[str]]:
    """Returns the commands of this program in a block, each as its arguments, without pipes and environment."""
    joined = block.text.replace("\\\n", " ")
    found = []
    for line in joined.splitlines():
        match = re.search(r"(?:^|&& |\| )(?:\.venv/bin/)?instructor-jax (?=[a-z-]+)(.*)", line)
        if match and not line.lstrip().startswith("#"):
            arguments = shlex.split(match[1], comments=True)
            ends = [place for place, word in enumerate(arguments) if word in ("|", "&&", "&", ";", ">", "2>")]
            found.append(arguments[: ends[0]] if ends else arguments)
    return found


def assert_taken(arguments: list[str], place: str) -> None:
    """Asserts that a command's own parser takes the arguments, and that the settings among them are settings."""
    from instructor_jax.cli import VERBS, _application
    from instructor_jax.train.recipes import recipe
    from instructor_jax.train.settings.overrides import override

    verb = arguments[0]
    if verb == "VERB" or verb.isupper():
        return
    assert verb in VERBS, f"{place}: {verb}"
    tokens = ["/dev/stdin" if word == "-" else word for word in arguments]  # as `main` does
    _application(verb).parse_args(tokens, exit_on_error=False, print_error=False)
    settings = [word for word in arguments[2:] if re.match(r"[a-z_]+(\.[a-z_]+)*=", word)]
    if verb in ("train", "plan") and settings and "/" not in arguments[1] and arguments[1].islower():
        override(recipe(arguments[1]), settings, None)
