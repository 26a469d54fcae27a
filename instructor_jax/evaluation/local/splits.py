"""Splits of sets that come without one: train and test, and several sets to cluster; the same ones on every machine.

Cluster sets share no row, so that no text is encoded twice; where classes are many and small, a set gets whole classes,
since a few texts from each of many classes would cluster well by chance alone.
"""

from collections import defaultdict

from instructor_jax.evaluation.drawn_order import drawn_order
from instructor_jax.evaluation.local.records import ClusterSets, LabelledTexts, TrainTest

SEED = 42


def train_test(rows: LabelledTexts, test_share: float) -> TrainTest:
    """Draws test rows from each class by its share of the whole, so that both parts have the classes in proportion.

    Args:
        rows: at least two rows of each class.
        test_share: above 0 and below 1; every class leaves at least one row on either side.
    """
    by_label: dict[str, list[int]] = defaultdict(list)
    for row in drawn_order(len(rows.texts), SEED):
        by_label[rows.labels[row]].append(row)
    test: set[int] = set()
    for label, members in by_label.items():
        if len(members) < 2:
            raise ValueError(f"class {label!r} has one row only; it cannot be in train and in test.")
        test.update(members[: min(max(round(test_share * len(members)), 1), len(members) - 1)])
    numbers = range(len(rows.texts))
    return TrainTest(
        train=rows.rows([row for row in numbers if row not in test]),
        test=rows.rows([row for row in numbers if row in test]),
    )


def sets_of_rows(rows: LabelledTexts, sets: int) -> ClusterSets:
    """Draws every set's share of the rows at random: all classes are in all sets."""
    order = drawn_order(len(rows.texts), SEED)
    return ClusterSets([rows.rows(sorted(order[part::sets])) for part in range(sets)])


def sets_of_classes(rows: LabelledTexts, sets: int) -> ClusterSets:
    """Draws every set's share of the classes at random, with all their rows."""
    names = sorted(set(rows.labels))
    place = {names[name]: number % sets for number, name in enumerate(drawn_order(len(names), SEED))}
    members: list[list[int]] = [[] for _ in range(sets)]
    for row, label in enumerate(rows.labels):
        members[place[label]].append(row)
    return ClusterSets([rows.rows(part) for part in members])
