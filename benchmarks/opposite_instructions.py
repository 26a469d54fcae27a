"""The same reviews clustered by topic and by feeling, under the right instruction, the other one, and none.

    python benchmarks/opposite_instructions.py default OTHER_MODEL --out opposite.json

128 short reviews of eight kinds of things, half of them pleased and half not, put together from parts so that both
labels are known and neither gives the other away. Needs scikit-learn.
"""

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import v_measure_score

from instructor_jax import Instructor

TOPICS = {
    "film": ("This film", "The movie we saw last night", "The new thriller", "That picture with its long chases"),
    "phone": ("This phone", "The mobile I bought in May", "The battery of my handset", "The screen of the new model"),
    "hotel": ("The hotel", "Our room by the lake", "The inn near the station", "The bed and the breakfast there"),
    "restaurant": ("The restaurant", "Our dinner at the Italian place", "The soup of the day", "The chef's menu"),
    "book": ("The book", "This novel", "Her last collection of stories", "The chapter about his childhood"),
    "airline": ("The airline", "Our flight to Madrid", "The crew on board", "The seat in the plane"),
    "car": ("The car", "My used hatchback", "The gearbox of this estate", "The engine on the motorway"),
    "course": ("The course", "The evening class in pottery", "The teacher of our seminar", "The lessons on statistics"),
}
FEELINGS = {
    "pleased": ("was wonderful, I would choose it again.", "made us happy from beginning to end."),
    "annoyed": ("was terrible, I want my money back.", "made us angry from beginning to end."),
}
INSTRUCTIONS = {
    "topic": "Represent the review for clustering by its topic: ",
    "feeling": "Represent the review for classifying the sentiment as positive or negative: ",
    "none": "",
}
HEAD = """\
| instruction | by topic | by feeling | cosine, same topic | cosine, same feeling |
| --- | --- | --- | --- | --- |"""


def reviews() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Texts, the number of the topic of each, and that of its feeling."""
    texts, topics, feelings = [], [], []
    for (topic, subjects), (feeling, ends) in product(enumerate(TOPICS.values()), enumerate(FEELINGS.values())):
        for subject, end in product(subjects, ends):
            texts.append(f"{subject} {end}")
            topics.append(topic)
            feelings.append(feeling)
    return texts, np.array(topics), np.array(feelings)


def contrast(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Mean cosine of texts with the same label minus that of texts with different ones."""
    scores, same = vectors @ vectors.T, labels[:, None] == labels[None, :]
    others = ~np.eye(len(labels), dtype=bool)
    return float(scores[same & others].mean() - scores[~same].mean())


def measured(vectors: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """V-measure of k-means (mean of ten starts, percent), and the contrast of cosines."""
    count = int(labels.max()) + 1
    found = [
        v_measure_score(labels, KMeans(count, n_init="auto", random_state=seed).fit_predict(vectors))
        for seed in range(10)
    ]
    return {"v_measure": 100 * float(np.mean(found)), "contrast": contrast(vectors, labels)}


def main() -> None:
    """Prints a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["default"])
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    arguments = parser.parse_args()
    texts, topics, feelings = reviews()
    found: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for name in arguments.models:
        model = Instructor.from_pretrained(name)
        print(name, HEAD, sep="\n")
        found[name] = {}
        for asked, instruction in INSTRUCTIONS.items():
            vectors = np.asarray(model.encode(texts, instruction=instruction))
            topic, feeling = measured(vectors, topics), measured(vectors, feelings)
            found[name][asked] = {"topic": topic, "feeling": feeling}
            print(
                f"| {asked} | {topic['v_measure']:.1f} | {feeling['v_measure']:.1f} | "
                f"{topic['contrast']:+.3f} | {feeling['contrast']:+.3f} |"
            )
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
