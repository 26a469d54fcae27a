"""Choosing tasks: patterns keep the mixture's order, and one that fits nothing is an error."""

import pytest

from instructor_jax.train.data.task_names import chosen_tasks


def test_patterns_choose_tasks_in_their_order() -> None:
    tasks = ("a1", "a2", "b")
    assert chosen_tasks(tasks, (), ()) == tasks
    assert chosen_tasks(tasks, ("b", "a*"), ("a1",)) == ("a2", "b")
    with pytest.raises(ValueError, match="no task is left"):
        chosen_tasks(tasks, ("b",), ("b",))


def test_a_pattern_that_fits_nothing_is_named() -> None:
    with pytest.raises(ValueError, match=r"no task is called 'nli_\*'; there are a, b"):
        chosen_tasks(("a", "b"), ("a", "nli_*"))
