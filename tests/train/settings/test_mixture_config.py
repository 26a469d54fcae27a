import logging
from pathlib import Path

import pytest

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.storage.staging import Staging
from instructor_jax.train.medi.storage.store import MediStore
from instructor_jax.train.medi.storage.store_writer import write_store
from instructor_jax.train.settings.mixture_config import (
    MixtureConfig,
    TaskWeight,
    by_licence,
    is_redistributable,
    tasks_of,
    weights_of,
)

LICENCES = {
    "free": {"licence": "MIT", "redistributable": True},
    "gnu": {"licence": "GPL-3.0", "redistributable": True},
    "research": {"licence": "CC BY-NC 4.0", "redistributable": False},
    "silent": {"licence": "none stated", "redistributable": False},
    "unmarked": {"licence": "see the sources"},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> MediStore:
    folder: Path = tmp_path_factory.mktemp("store")
    staging = Staging(folder / "medi.partial")
    for count, (task, about) in enumerate(LICENCES.items(), start=2):
        rows = [Example(Side("", f"q {i}"), Side("", f"p {i}"), (), task, str(i)) for i in range(count)]
        staging.write(task, rows, about=about)
    write_store(folder / "medi", staging)
    return MediStore(folder / "medi")


def test_only_stated_free_licences_are_redistributable(store, caplog) -> None:
    with caplog.at_level(logging.INFO, "instructor_jax"):
        assert tasks_of(store, MixtureConfig(redistributable=True)) == ("free", "gnu")
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "redistributable: 2 tasks (5 rows) are taken, 3 tasks (15 rows) left out"
    assert "  left out, CC BY-NC 4.0: 1 tasks (4 rows): research" in lines
    assert "  left out, none stated: 1 tasks (5 rows): silent" in lines
    assert "  left out, see the sources: 1 tasks (6 rows): unmarked" in lines
    assert "  taken, under a GPL: 1 tasks (3 rows): gnu" in lines
    assert [task for task in store.tasks if is_redistributable(store, task)] == ["free", "gnu"]


def test_names_choose_first_and_by_default_licences_do_not_matter(store) -> None:
    assert tasks_of(store, MixtureConfig()) == store.tasks
    assert tasks_of(store, MixtureConfig(without=("gnu",), redistributable=True)) == ("free",)
    assert by_licence(store, ("free", "silent")) == {"MIT": ["free"], "none stated": ["silent"]}


def test_a_mixture_without_any_is_refused(store) -> None:
    with pytest.raises(ValueError, match="leaves no task .*none of the 2 chosen ones"):
        tasks_of(store, MixtureConfig(only=("silent", "unmarked"), redistributable=True))


def test_weights_multiply_the_shares_that_rows_give() -> None:
    rows = {"a_one": 10, "a_two": 30, "b": 60}
    assert weights_of(rows, MixtureConfig()).tolist() == pytest.approx([0.1, 0.3, 0.6])
    more = MixtureConfig(weights=(TaskWeight("a_*", 3.0), TaskWeight("a_two", 0.5)))
    assert weights_of(rows, more).tolist() == pytest.approx([30 / 135, 45 / 135, 60 / 135])


def test_weights_that_fit_no_task_or_are_not_positive_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no task is called 'c_\*'"):
        weights_of({"a": 1}, MixtureConfig(weights=(TaskWeight("c_*", 2.0),)))
    with pytest.raises(ValueError, match=r"'a' has times=0\.0, which must be positive"):
        MixtureConfig(weights=(TaskWeight("a", 0.0),))
