"""Search a folder of notes by meaning: every paragraph of its .md and .txt files is a note.

    python examples/search_notes.py examples/notes "the heating has lost pressure" "when do I hand in my receipts"

Nothing is kept between calls; for many notes see `instructor-jax encode` and `search --corpus-vectors`.
"""

import sys
from pathlib import Path

import numpy as np

from instructor_jax import Instructor

QUESTION = "Represent the question for retrieving the note that answers it: "
NOTE = "Represent the note for retrieval: "
BEST = 3


def paragraphs(folder: Path) -> list[tuple[str, str]]:
    """(place, text) of every paragraph, headings left out."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".md", ".txt")):
        for block in path.read_text(encoding="utf-8").split("\n\n"):
            text = " ".join(block.split())
            if text and not text.startswith("#"):
                found.append((str(path.relative_to(folder)), text))
    return found


def main(folder: Path, questions: list[str]) -> None:
    """Print the best paragraphs for each question."""
    notes = paragraphs(folder)
    if not notes:
        sys.exit(f"{folder} has no paragraph in a .md or .txt file")
    model = Instructor.from_pretrained()
    vectors = model.encode([text for _, text in notes], instruction=NOTE)
    scores = model.encode(questions, instruction=QUESTION) @ vectors.T
    for question, row in zip(questions, scores, strict=True):
        print(f"\n{question}")
        for index in np.argsort(-row)[:BEST]:
            place, text = notes[index]
            print(f"  {row[index]:.2f}  {place}: {text}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python search_notes.py FOLDER QUESTION [QUESTION ...]")
    main(Path(sys.argv[1]), sys.argv[2:])
