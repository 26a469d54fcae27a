"""Recipes of a user's own file, `path/to/file.py:function`: in Python and on the command line."""

import sys
from pathlib import Path

import pytest

from instructor_jax.cli import main
from instructor_jax.train.recipe_files import Recipe, load_recipe
from instructor_jax.train.recipes import tiny

from .programs import SETTINGS

FILE = """
import dataclasses

import jax.numpy as jnp
from my_losses import squared

from instructor_jax.train import Recipe, recipes


def alone():
    return dataclasses.replace(recipes.tiny(), steps=70)


def both():
    return alone(), squared


def all_of_it():
    return Recipe(alone(), squared, [{"query": "a", "positive": "b"}], print)


def text():
    return "tiny"


def loss_first():
    return squared, alone()


def five():
    return alone(), None, None, None, None


def fails():
    return {}["no\\nkey"]


def wants(size):
    return alone()


number = 3
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("own recipes")
    (folder / "my_losses.py").write_text(
        "def squared(pairs):\n    return ((pairs.query - pairs.positive) ** 2).sum(-1)\n"
    )
    (folder / "my recipes.py").write_text(FILE)
    return folder / "my recipes.py"


def test_a_function_of_a_file_is_a_recipe(file) -> None:
    assert load_recipe("tiny") == Recipe(tiny())
    alone = load_recipe(f"{file}:alone")
    assert (alone.config.steps, alone.loss, alone.examples) == (70, None, None)
    both = load_recipe(f"{file}:both")
    assert both.loss is not None
    assert both.loss.__qualname__ == "squared"
    whole = load_recipe(f"{file}:all_of_it")
    assert whole.examples == [{"query": "a", "positive": "b"}]
    assert whole.on_metrics is print


def test_a_path_relative_to_here(file, monkeypatch) -> None:
    monkeypatch.chdir(file.parent)
    assert load_recipe("./my recipes.py:alone").config.steps == 70


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (":alonne", "has no function 'alonne'; did you mean alone?"),
        (":zzz", "has no function 'zzz'; it has alone, both, all_of_it"),
        (":number", "has no function 'number'"),
        (":", "say which function of it makes the recipe"),
        ("", "say which function of it makes the recipe, as in .*my recipes.py:alone"),
        (":text", "returned str; it must return a RunConfig"),
        (":loss_first", r"returned \(function, RunConfig\); it must return a RunConfig"),
        (":five", "it must return a RunConfig"),
        (":fails", r"fails failed: KeyError: 'no\\nkey' \(line 35\)"),
        (":wants", r"wants failed: TypeError: wants\(\) missing 1 required positional argument"),
    ],
)
def test_what_is_wrong_is_one_line(file, capsys, function: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_recipe(f"{file}{function}")
    with pytest.raises(SystemExit) as exit_info:
        main(["train", f"{file}{function}", "--show"])
    assert exit_info.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = (\n", r"failed: SyntaxError"),
        ("import nothing_of_that_name\n", "failed: ModuleNotFoundError: .* .line 1."),
    ],
)
def test_a_file_that_does_not_run(tmp_path, content: str, message: str) -> None:
    (tmp_path / "broken.py").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_recipe(f"{tmp_path / 'broken.py'}:f")


def test_no_such_file(tmp_path, capsys) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such file; a recipe of your own is"):
        load_recipe(f"{tmp_path}/none.py:f")
    with pytest.raises(SystemExit):
        main(["train", f"{tmp_path}/none.py:f"])
    assert capsys.readouterr().err.count("\n") == 1


def test_settings_of_the_command_line_change_it(file, capsys) -> None:
    main(["train", f"{file}:both", "steps=90", "--show"])
    printed = capsys.readouterr().out.splitlines()
    assert "steps = 90" in printed
    assert printed[-1] == f"# loss: squared, of {file}:both"


OWN_RUN = """
import random

import jax
import jax.numpy as jnp

from instructor_jax.train import Recipe, recipes

lines = []


def farther(pairs):
    distance = ((pairs.query - pairs.positive) ** 2).sum(axis=-1)
    other = ((pairs.query - jnp.roll(pairs.positive, 1, axis=1)) ** 2).sum(axis=-1)
    return jax.nn.relu(distance - other + 0.5)


def mine():
    words = [first + second for first in "bdfglmnr" for second in ("al", "em", "in", "or", "us")]
    texts = [" ".join(random.Random(row).sample(words, 5)) for row in range(60)]
    rows = [{"query": text, "positive": text[::-1]} for text in texts]
    return Recipe(recipes.tiny(), farther, rows, lambda step, line: lines.append(step))
"""


@pytest.mark.slow
def test_a_recipe_with_all_of_its_own_is_trained_by_the_command(tmp_path, capsys) -> None:
    (tmp_path / "own.py").write_text(OWN_RUN)
    output = tmp_path / "run"
    settings = [*SETTINGS, "steps=2", "optimizer.warmup_steps=1", "batch.negatives=0", f"output={output}"]
    main(["train", f"{tmp_path / 'own.py'}:mine", *settings])
    printed = capsys.readouterr().out
    assert "farther, of your own" in printed
    assert "2 steps; model:" in printed
    assert (output / "model" / "modules.json").is_file()
    assert "loss: `farther`" in (output / "model" / "README.md").read_text()
    # held-out rows are told first and last; the line of goodput is the run's last
    assert sys.modules["instructor_jax_recipes_own"].lines == [0, 1, 2, 2, 2]
