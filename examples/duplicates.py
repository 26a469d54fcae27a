"""Find lines of a file that ask the same in other words.

    python examples/duplicates.py examples/questions.txt 0.6

The second argument is the least cosine; lower finds more pairs and more wrong ones.
"""

import sys
from pathlib import Path

import numpy as np

from instructor_jax import Instructor

INSTRUCTION = "Represent the question for finding other questions with the same meaning: "


def main(file: Path, least: float) -> None:
    """Print pairs of lines, the most alike first."""
    texts = list(dict.fromkeys(line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()))
    vectors = Instructor.from_pretrained().encode(texts, instruction=INSTRUCTION)
    scores = np.triu(vectors @ vectors.T, k=1)
    first, second = np.nonzero(scores >= least)
    for index in np.argsort(-scores[first, second]):
        a, b = first[index], second[index]
        print(f"{scores[a, b]:.2f}  {texts[a]}\n      {texts[b]}")
    print(f"{len(first)} pairs of {len(texts)} texts")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python duplicates.py FILE LEAST_COSINE")
    main(Path(sys.argv[1]), float(sys.argv[2]))
