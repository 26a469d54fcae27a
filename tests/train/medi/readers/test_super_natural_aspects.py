"""Reviews and their rewriting, by topic and by feeling, from a task file as its origin writes it."""

import gzip
import json

import pytest

from instructor_jax.train.medi.readers.source import read_source
from instructor_jax.train.medi.readers.super_natural_aspects import opposed_sources
from instructor_jax.train.medi.readers.super_natural_instructions import super_natural_sources

NAME = "task927_yelp_negative_to_positive_style_transfer.json"
REVIEWS = {
    "soup": ("the soup was cold", "the soup was hot"),
    "staff": ("rude staff", "kind staff"),
    "room": ("a dirty room", "a clean room"),
}


@pytest.fixture(params=[NAME, f"{NAME}.gz"])
def root(request, tmp_path):
    instances = [{"id": name, "input": bad, "output": [good, "so say others"]} for name, (bad, good) in REVIEWS.items()]
    content = json.dumps({"Instances": instances, "Instance License": ["MIT"]}).encode()
    path = tmp_path / "super_natural_instructions" / "tasks" / request.param
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return tmp_path


def test_what_agrees_in_one_is_opposed_in_the_other(root):
    topic, feeling = opposed_sources(super_natural_sources(root / "super_natural_instructions"))
    bad, good = ({texts[i] for texts in REVIEWS.values()} for i in (0, 1))
    other = {text: rewritten for pair in REVIEWS.values() for text, rewritten in (pair, pair[::-1])}
    rows = list(read_source(topic, root))
    assert len(rows) == 3  # a pair is the same from either end
    for row in rows:
        assert row.positive.text == other[row.query.text]
        for negative in row.negatives:
            assert negative.text in (bad if row.query.text in bad else good)  # alike in feeling
    rows = list(read_source(feeling, root))
    assert {row.query.text for row in rows} | {row.positive.text for row in rows} == bad | good
    for row in rows:
        assert row.positive.text in (bad if row.query.text in bad else good) - {row.query.text}
        assert [negative.text for negative in row.negatives] == [other[row.query.text]]


def test_instructions_differ_and_the_licence_lets_weights_pass_on(root):
    topic, feeling = opposed_sources(super_natural_sources(root / "super_natural_instructions"))
    assert topic.query != feeling.query
    assert topic.redistributable
    assert feeling.redistributable
    assert "sentiment" in str(feeling.query)


def test_nothing_without_the_task(root):
    sources = super_natural_sources(root / "super_natural_instructions")
    assert opposed_sources([one for one in sources if "927" not in one.name]) == []
