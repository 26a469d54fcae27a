"""Sort texts into groups without naming the groups first, and draw them: needs scikit-learn and Matplotlib.

    pip install "instructor-jax[plots]" scikit-learn
    python examples/clusters.py examples/headlines.txt 4 clusters.png

The second argument is the number of groups.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from instructor_jax import Instructor

INSTRUCTION = "Represent the news headline for clustering by topic: "
SHOWN = 44  # characters of a text in the picture


def main(file: Path, groups: int, picture: Path) -> None:
    """Print the groups and draw all texts on a plane."""
    texts = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    vectors = np.asarray(Instructor.from_pretrained().encode(texts, instruction=INSTRUCTION))
    labels = KMeans(groups, n_init=10, random_state=0).fit_predict(vectors)
    for label in range(groups):
        print(f"\ngroup {label + 1}")
        for index in np.flatnonzero(labels == label):
            print(f"  {texts[index]}")
    places = PCA(2, random_state=0).fit_transform(vectors)
    figure, axes = plt.subplots(figsize=(11, 7), layout="constrained")
    axes.scatter(places[:, 0], places[:, 1], c=labels, cmap="tab10", s=60)
    for (x, y), text in zip(places, texts, strict=True):
        axes.annotate(text[:SHOWN], (x, y), xytext=(6, 4), textcoords="offset points", fontsize=8)
    axes.set(title=f"{len(texts)} texts of {file.name} in {groups} groups", xticks=[], yticks=[])
    axes.margins(x=0.25)
    figure.savefig(picture, dpi=120)
    print(f"\npicture: {picture}")


if __name__ == "__main__":
    if len(sys.argv) != 4 or not sys.argv[2].isdecimal():
        sys.exit("usage: python clusters.py FILE GROUPS PICTURE")
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
