"""The code blocks of the pages, and which of them no test can run, and why."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

# What a block holds that cannot be had where tests run: no network, no TPU, no GPU. The reason stands beside it.
NOT_RUN = {
    r"pip (install|download)|uv (venv|pip)|python3? -m venv": "installs from a registry",
    r"hkunlp/|sentence-transformers/gtr|hf download|# needs the Hugging Face hub": "needs the Hugging Face hub",
    r"\bgcloud\b|\bxpk\b|\bsrun\b|\btorchrun\b|--coordinator": "needs several machines, or a scheduler",
    r"--topology|\[train,tpu\]": "needs the TPU's or NVIDIA's compiler; tests/train/plan compiles with both",
    r"medi (fetch|build)|data/(raw|medi)|medi-data\.json|eval-data": "needs data that a network brings",
    r"checkpoint_1000|flax-folder|runs/mine/checkpoints": "needs such a checkpoint; tests/convert makes them",
    r"convert verify": "needs the extra torch; tests/convert runs it",
    r"pre-commit|pytest|ruff|\.ci/run|git clone": "works on the project itself",
}


class Block(NamedTuple):
    """A fenced block: its page, language, text, and the number of its first line."""

    page: str
    language: str
    text: str
    line: int

    @property
    def reason(self) -> str | None:
        """Why it is not run; None where it is."""
        return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, self.text, re.MULTILINE)), None)


def blocks_of(page: Path) -> list[Block]:
    """Returns the blocks of shell commands and Python of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT).as_posix()
    found = re.finditer(r"^```(bash|sh|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(name, match[1], match[2], text[: match.start()].count("\n") + 2) for match in found]


def commands_of(block: Block) -> list[list[str]]:
    """Returns the commands of this program in a block, each as its arguments, without pipes and environment."""
    joined = block.text.replace("\\\n", " ")
    found = []
    for line in joined.splitlines():
        match = re.search(r"(?:^|&& |\| )(?:\.venv/bin/)?instructor-jax (?=[a-z-]+)(.*)", line)
        if match and not line.lstrip().startswith("#"):
            arguments = shlex.split(match[1], comments=True)
            ends = [place for place, word in enumerate(arguments) if word in ("|", "&&", "&", ";", ">")]
            found.append(arguments[: ends[0]] if ends else arguments)
    return found
