import pytest

from instructor_jax.config import parameter_count
from instructor_jax.train.data.group_packing import GroupShape
from instructor_jax.train.medi.source_list import SOURCES
from instructor_jax.train.optimizer import learning_rate
from instructor_jax.train.plan.settings import planned_model
from instructor_jax.train.recipes import RECIPES, SAME_TEXTS, recipe
from instructor_jax.train.run.train_config import train_config, trained_model


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_makes_a_configuration(name: str) -> None:
    run = recipe(name)
    model = run.model
    if run.init_from:
        model = planned_model(run)
    length = run.batch.length or run.max_length or model.max_length
    shape = GroupShape(run.batch.rows, length, run.mixture.rows_per_group or 8, run.batch.negatives)
    tasks = dict.fromkeys([*(source.name for source in SOURCES), *SAME_TEXTS])
    config = train_config(run, trained_model(run, model), shape, tuple(tasks))
    assert config.optimizer.schedule_steps > config.optimizer.warmup_steps
    assert RECIPES[name].__doc__ is not None
    for word in ("Data:", "Hardware:", "Score:", f"instructor-jax train {name} data="):
        assert word in RECIPES[name].__doc__


def test_the_published_rate_never_leaves_the_warm_up() -> None:
    """Trap 5 of the original's code: a nominal run of ten epochs, stopped after 20,000 steps."""
    run = recipe("instructor_large")
    assert run.optimizer.warmup_steps > run.steps
    assert float(learning_rate(run.optimizer, run.steps)) == pytest.approx(2e-5 * run.steps / 358_750)


def test_tiny_is_small_enough_to_ship() -> None:
    assert parameter_count(recipe("tiny").model) < 6_000_000


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"no recipe is called 'huge'; there are tiny, small, default, instructor_base"
    ):
        recipe("huge")
