"""Texts labelled in several ways: alike in the aspect that is asked for, unlike in the rest; negatives the reverse."""

import random
from itertools import product

import pytest

from instructor_jax.train.medi.readers.contrasts import Labelled, by_aspect

FOODS, PRICES, CITIES = ("soup", "cake", "rice"), ("cheap", "dear"), ("Rome", "Oslo")
TEXTS = [
    Labelled(f"{food}, {price}, in {city}", f"{food}:{price}:{city}", {"food": food, "price": price, "city": city})
    for food, price, city in product(FOODS, PRICES, CITIES)
]
VALUES = {one.text: one.values for one in TEXTS}


def _differing(one: str, other: str) -> set[str]:
    return {name for name, value in VALUES[one].items() if VALUES[other][name] != value}


@pytest.mark.parametrize("aspect", ["food", "price", "city"])
def test_positives_share_nothing_else_and_negatives_all_but_the_aspect(aspect):
    rows = list(by_aspect(TEXTS, aspect))
    assert [row.query for row in rows] == [one.text for one in TEXTS]
    for row in rows:
        assert _differing(row.query, row.positive) == {"food", "price", "city"} - {aspect}
        assert [_differing(row.query, text) for text in row.negatives] == [{aspect}]
        assert row.label == VALUES[row.query][aspect]


def test_a_negative_of_one_aspect_would_be_a_positive_under_another():
    """The property that the tasks are made for: no ranking of these texts that is blind to the instruction is right."""
    wanted = {(row.query, row.positive) for row in by_aspect(TEXTS, "price")}
    for row in by_aspect(TEXTS, "food"):
        assert VALUES[row.negatives[0]]["price"] == VALUES[row.query]["price"]
        assert VALUES[row.positive]["price"] != VALUES[row.query]["price"]
    assert all(VALUES[query]["price"] == VALUES[positive]["price"] for query, positive in wanted)


def test_the_draw_depends_on_the_texts_alone():
    random.seed(1)
    first = list(by_aspect(TEXTS, "food"))
    random.seed(2)
    assert list(by_aspect(TEXTS, "food")) == first


def test_texts_without_the_aspect_without_company_or_with_two_values_are_left_out():
    texts = [
        Labelled("a", "1", {"food": "soup"}),
        Labelled("b", "2", {"food": "soup"}),
        Labelled("c", "3", {"price": "cheap"}),
        Labelled("d", "4", {"food": "cake"}),  # the only one of its food
        Labelled("e", "5", {"food": "soup"}),
        Labelled("E ", "6", {"food": "cake"}),  # the same text with another value
        Labelled("A", "7", {"food": "soup"}),  # a copy
    ]
    rows = list(by_aspect(texts, "food"))
    assert [(row.query, row.positive, row.negatives) for row in rows] == [("a", "b", ()), ("b", "a", ())]


def test_no_text_is_its_own_positive_among_many_of_one_class():
    texts = [Labelled(str(i), str(i), {"kind": "x", "size": str(i % 2)}) for i in range(200)]
    rows = list(by_aspect(texts, "kind"))
    assert len(rows) == 200
    assert all(int(row.query) % 2 != int(row.positive) % 2 and row.negatives == () for row in rows)
