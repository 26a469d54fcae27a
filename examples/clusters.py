"""Sort texts into groups without naming the groups first, and draw them: needs scikit-learn and Matplotlib.

    pip install "instructor-jax[plots]" scikit-learn
    python examples/clusters.py examples/headlines.txt 4 clusters.png

The second argument is the number of groups.
"""

import sys
import textwrap
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from instructor_jax import Instructor

INSTRUCTION = "Represent the news headline for clustering by topic: "
SHOWN = 60  # characters of a text in the picture


def main(file: Path, groups: int, picture: Path) -> None:
    """Print the groups and draw all texts on a plane."""
    texts = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    vectors = np.asarray(Instructor.from_pretrained().encode(texts, instruction=INSTRUCTION))
    labels = KMeans(groups, n_init=10, random_state=0).fit_predict(vectors)
    for label in range(groups):
        print(f"\ngroup {label + 1}")
        for index in np.flatnonzero(labels == label):
            print(f"  {texts[index]}")
    figure, axes = plt.subplots(figsize=(14, max(6, len(texts) / 4)), layout="constrained")
    draw(axes, PCA(2, random_state=0).fit_transform(vectors), texts, labels)
    axes.set(title=f"{len(texts)} texts of {file.name} in {groups} groups", xticks=[], yticks=[])
    figure.savefig(picture, dpi=120)
    print(f"\npicture: {picture}")


def draw(axes, places: np.ndarray, texts: list[str], labels: np.ndarray) -> None:
    """Draw a dot for each text, and its words at the nearer side, one below the other, so that none lies on another."""
    colours = plt.get_cmap("tab10")(labels % 10)
    axes.scatter(places[:, 0], places[:, 1], c=colours, s=60, zorder=2)
    axes.margins(0.06)
    from_left = np.argsort(places[:, 0])
    for side, shown in ((0, from_left[: len(texts) // 2]), (1, from_left[len(texts) // 2 :])):
        from_below = shown[np.argsort(places[shown, 1])]
        for height, index in zip(np.linspace(0.02, 0.98, len(shown)), from_below, strict=True):
            axes.annotate(
                textwrap.shorten(texts[index], SHOWN, placeholder=" …"),
                places[index],
                xytext=(1.03 if side else -0.03, height),
                textcoords="axes fraction",
                ha="left" if side else "right",
                va="center",
                color=colours[index],
                arrowprops={"arrowstyle": "-", "color": colours[index], "linewidth": 0.6, "shrinkB": 3},
            )


if __name__ == "__main__":
    if len(sys.argv) != 4 or not sys.argv[2].isdecimal():
        sys.exit("usage: python clusters.py FILE GROUPS PICTURE")
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
