"""The same texts under two instructions, side by side: what counts as alike is for the instruction to say.

    pip install "instructor-jax[plots]"
    python examples/two_instructions.py two_instructions.png

The packaged model learnt a few such pairs of instructions, this one among them; published models know more of them.
"""

import sys
import textwrap

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from instructor_jax import Instructor

TEXTS = [
    "How do I know whether I have asthma?",
    "What helps against asthma?",
    "How do I know whether I have the flu?",
    "What helps against the flu?",
    "How do I know whether I have a migraine?",
    "What helps against a migraine?",
]
DISEASES = np.array([0, 0, 1, 1, 2, 2])
KINDS = np.array([0, 1, 0, 1, 0, 1])  # how to recognise it, what to do about it
INSTRUCTIONS = {
    "disease": "Represent the question for clustering by the disease that it is about: ",
    "kind": "Represent the question for clustering by what it wants to know of the disease: ",
}


def contrast(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean cosine of texts with the same label minus that of texts with different ones."""
    same = labels[:, None] == labels[None, :]
    others = ~np.eye(len(labels), dtype=bool)
    return float(scores[same & others].mean() - scores[~same].mean())


def main(picture: str) -> None:
    """Print how far each instruction sets diseases and kinds of questions apart, and draw the cosines."""
    model = Instructor.from_pretrained()
    figure, axes = plt.subplots(1, 2, figsize=(14, 5), layout="constrained", sharey=True)
    for side, (name, instruction) in zip(axes, INSTRUCTIONS.items(), strict=True):
        vectors = np.asarray(model.encode(TEXTS, instruction=instruction))
        scores = vectors @ vectors.T
        print(
            f"{name:8} same disease {contrast(scores, DISEASES):+.3f}, same kind {contrast(scores, KINDS):+.3f}"
            "  (cosine above that of the others)"
        )
        image = side.imshow(scores, vmin=-0.2, vmax=1, cmap="viridis")
        side.set(title=textwrap.fill(instruction, 50), xticks=range(len(TEXTS)), xticklabels=range(1, len(TEXTS) + 1))
        side.set_yticks(range(len(TEXTS)), [f"{text} {i}" for i, text in enumerate(TEXTS, 1)])
        for (row, column), score in np.ndenumerate(scores):
            side.text(column, row, f"{score:.2f}", ha="center", va="center", color="w" if score < 0.6 else "k")
    figure.colorbar(image, ax=axes, label="cosine")
    figure.savefig(picture, dpi=120)
    print(f"picture: {picture}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python two_instructions.py PICTURE")
    main(sys.argv[1])
