"""Makes the relative links and pictures of a Markdown file absolute, for places that show it without its repository.

python tools/absolute_links.py README.md https://github.com/OWNER/NAME REVISION
"""

import re
import sys
from pathlib import Path

_TARGET = re.compile(r"(!?)(\[(?:[^\[\]]|\[[^\]]*\])*\])\((?![a-z]+:|#)([^()\s]+)\)")


def absolute(text: str, repository: str, revision: str) -> str:
    """Returns the text with addresses in place of paths; code is left as it is.

    Args:
        text: Markdown.
        repository: Address of the repository, such as https://github.com/owner/name.
        revision: Commit, tag or branch that the links lead to.
    """

    def link(match: re.Match[str]) -> str:
        kind = "raw" if match[1] else "blob"
        return f"{match[1]}{_inner(match[2], repository, revision)}({repository}/{kind}/{revision}/{match[3]})"

    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else _TARGET.sub(link, part) for part in parts)


def _inner(words: str, repository: str, revision: str) -> str:
    """Returns the words of a link, where a picture in them has an address too, as badges have."""
    return "[" + absolute(words[1:-1], repository, revision) + "]"


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python absolute_links.py FILE REPOSITORY REVISION")
    path = Path(sys.argv[1])
    path.write_text(absolute(path.read_text(encoding="utf-8"), sys.argv[2], sys.argv[3]), encoding="utf-8")
