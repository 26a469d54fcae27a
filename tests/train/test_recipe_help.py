"""`train --list` and `train RECIPE --help`: what each recipe is for, with a command that its parser takes."""

import shlex

import pytest

from instructor_jax.cli import _application, main
from instructor_jax.config import parameter_count
from instructor_jax.train.plan.settings import planned_model
from instructor_jax.train.recipe_help import help_of, recipe_page, size_of
from instructor_jax.train.recipes import RECIPES, recipe
from instructor_jax.train.settings.overrides import override


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipes_docstring_says_all_and_its_command_is_taken(name: str) -> None:
    told = help_of(name)
    assert told.sentence[0].isupper()
    assert told.sentence.endswith(".")
    assert set(told.parts) == {"Data", "Hardware", "Score"}
    assert all(len(text) > 5 for text in told.parts.values())
    program, verb, shown, *settings = shlex.split(told.example.replace("\\\n", " "))
    assert (program, verb, shown) == ("instructor-jax", "train", name)
    override(recipe(name), settings, None)
    _application("train").parse_args([verb, shown, *settings], exit_on_error=False, print_error=False)


def test_the_size_is_counted() -> None:
    weights = parameter_count(planned_model(RECIPES["tiny"]()))
    assert f"{weights / 1e6:.1f} million weights from scratch" in size_of(RECIPES["tiny"]())
    assert "110 million weights from sentence-transformers/gtr-t5-base; 40,000 steps" in size_of(
        RECIPES["instructor_base"]()
    )


def test_the_list_has_every_recipe_and_fits(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    main(["train", "--list"])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if line in RECIPES] == list(RECIPES)
    assert sum(line.startswith("  Hardware: ") for line in lines) == len(RECIPES)


def test_help_of_a_recipe_is_about_it(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    main(["train", "tiny", "--help"])
    shown = capsys.readouterr().out
    assert shown == recipe_page("tiny", 80) + "\n"
    assert "  instructor-jax train tiny data=data/mine output=runs/tiny" in shown
    main(["train", "--help"])
    assert "--dry-run" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no recipe is called 'tinny'"):
        help_of("tinny")


def test_without_a_recipe_the_list_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train"])
    assert ended.value.code == 2
    assert "name a recipe, such as tiny; 'instructor-jax train --list'" in capsys.readouterr().err
