"""The two protocols by name, and what they set."""

import dataclasses

import pytest

from instructor_jax.evaluation.protocol import Protocol, corrected, published


def test_the_corrected_protocol_is_the_default():
    assert Protocol() == corrected()
    assert [p.name for p in (corrected(), published(), dataclasses.replace(published(), clustering_tokens=None))] == [
        "corrected",
        "published",
        "custom",
    ]


def test_the_published_protocol_differs_in_every_switch():
    pairs = zip(corrected().settings().items(), published().settings().items(), strict=True)
    assert all(ours != theirs for ours, theirs in pairs)
    assert published().clustering_tokens == 256
    assert not set(corrected().describe()) & set(published().describe())


@pytest.mark.parametrize("wrong", [{"clustering_tokens": 0}, {"toxic_samples_per_label": 0}])
def test_impossible_switches_are_refused(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        Protocol(**wrong)
